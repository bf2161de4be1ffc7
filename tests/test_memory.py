"""What the screen's process does without, and what it gives back; each in a process of its own."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

_HEAVY = (
    "ssl", "_ssl", "_hashlib", "secrets", "hmac", "http.client", "email", "xml", "multiprocessing", "zipfile", "csv",
    "numpy.ma", "numpy.random", "numpy.fft", "numpy.polynomial", "numpy.ctypeslib", "numpy.testing",
    "rich.markdown", "rich.syntax", "rich.traceback", "pygments", "markdown_it", "tree_sitter", "textual.document",
    "plotext", "opentelemetry", "bpftop.compare", "bpftop.tracer.simulate", "bpftop.export.files",
)  # fmt: skip
"""Modules that the first overview needs nothing of."""
_DIVIDED = """
import sys
from bpftop.cli import dispatch
def verb(options):
    {body}
    return 0
dispatch._verb = verb
sys.argv = ["bpftop", *{words!r}]
code = dispatch.main()
{after}
sys.exit(code)
"""
_SCREEN = "import bpftop.cli.watch, bpftop.session, bpftop.ensemble, bpftop.recording.writer, bpftop.ui.app"


def _run(code: str) -> str:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_the_screen_imports_nothing_heavy_that_the_first_overview_does_not_show() -> None:
    body = f"{_SCREEN}; print(*(name for name, module in sys.modules.items() if module))"
    loaded = set(_run(_DIVIDED.format(body=body, words=["watch", "--simulate"], after="")).split())
    assert {"bpftop.ui.app", "asyncio", "numpy"} <= loaded
    assert not loaded.intersection(_HEAVY)


def test_libraries_that_would_use_openssl_work_without_it_and_it_can_be_imported_afterwards() -> None:
    body = (
        f"{_SCREEN}; import hashlib, hmac, random, tempfile, uuid;"
        "assert sys.modules['ssl'] is None and not hasattr(hashlib, 'scrypt');"
        "hmac.new(b'k', b'm', 'sha256'); uuid.uuid4(); random.random(); tempfile.TemporaryFile().close();"
        "print(hashlib.sha256(b'').hexdigest()[:6], hashlib.blake2b(b'', digest_size=3).hexdigest())"
    )
    after = "import ssl; print(ssl.create_default_context().protocol)"
    out = _run(_DIVIDED.format(body=body, words=["watch", "--simulate"], after=after))
    assert out.split()[:2] == ["e3b0c4", "cec7ea"]
    assert len(out.split()) == 3


@pytest.mark.parametrize("words", [["serve", "--simulate"], ["report", "--simulate", "-d", "1"]])
def test_other_verbs_may_speak_tls(words: list[str]) -> None:
    body = "import asyncio.sslproto, ssl; print(asyncio.sslproto.ssl is ssl)"
    assert _run(_DIVIDED.format(body=body, words=words, after="")).split() == ["True"]


def test_who_starts_the_demo_imports_nothing_of_it() -> None:
    loaded = set(_run("import sys, bpftop.demo; print(*sys.modules)").split())
    assert "bpftop.demo" in loaded
    assert not loaded & {"asyncio", "random", "bpftop.demo.server", "bpftop.demo.story"}


_GLIBC = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="another C library")


@_GLIBC
@pytest.mark.parametrize(("first", "heaps"), [("", 5), ("one_heap()", 1)])
def test_all_threads_share_one_heap(first: str, heaps: int) -> None:
    code = f"""
import ctypes, threading
from bpftop.memory import one_heap
{first}
together = threading.Barrier(5)
def work():
    kept = [bytes(5_000) for _ in range(50)]
    together.wait()
    together.wait()
threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
together.wait()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
libc.malloc_info(0, ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w")))
libc.fflush(None)
together.wait()
"""
    assert _run(code).count("<heap nr=") == heaps


_MAPPED = """
import re, unicodedata
from bpftop.memory import settle
def mapped():
    parts = re.split(r"\\n(?=[0-9a-f]+-)", open("/proc/self/smaps").read())
    return sum(int(re.search(r"Rss: +(\\d+)", part)[1]) for part in parts
               if " r--p " in part.partition("\\n")[0] and re.search("libpython|/python3|unicodedata", part))
unicodedata.normalize("NFKD", "".join(map(chr, range(0xD000))))
before = mapped()
settle()
print(before, mapped(), unicodedata.normalize("NFKD", "\\u00e9") == "e\\u0301")
"""


@_GLIBC
def test_what_only_the_start_read_of_libraries_is_mapped_no_more() -> None:
    before, after, works = _run(_MAPPED).split()
    assert int(after) < 0.8 * int(before)
    assert works == "True"
