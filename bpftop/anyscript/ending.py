"""How a run ended: from bpftrace's exit code and words to a verdict for people. Pure."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from bpftop.anyscript.model import UserScript
from bpftop.text import safe
from bpftop.tracer.failures import explain

_LOCATED = re.compile(r"^(?:/proc/self/fd/\d+|stdin):(\d+)(?::[\d-]+|-\d+)?: (?:ERROR|error): (.+?)\.?$", re.MULTILINE)
_FILE = re.compile(r"/proc/self/fd/\d+")
_HOST = re.compile(
    r"[Tt]racepoint not found|No matches for|[Aa]ttach|No probes|kfunc|fentry|file not found|BTF|symbol|CAP_"
    r"|Permission denied|not permitted|root user|perf buffer|ring ?buffer|create.+map|Error loading|libraries|RINGBUF"
    r"|Unknown BPF object|Unknown struct|Cannot resolve unknown type|does not contain a field|No such process"
    r"|does not exist or is not executable|kprobe_events|usdt probe|limit of \d+|open files|available_events|/tmp"
)
"""What is not wrong with the program: another host could run it."""
_UNSAFE = re.compile(r"(\w+)\(\) is an unsafe function")
_FATAL = re.compile(r"ERROR|FATAL|fatal error|No probes to attach|Clang parse error")


_UNATTACHED = "nothing that it wants to trace is attached: "


def unattached(said: Sequence[str]) -> tuple[str, str]:
    """Why, and what to type. bpftrace up to 0.23 says only in a warning that it attaches nothing."""
    if any("kprobe_events" in line and "No such file" in line for line in said):
        return _UNATTACHED + "this kernel has no kprobes (CONFIG_KPROBES)", "grep -L kprobe /usr/sbin/*.bt"
    return _UNATTACHED + "this kernel, or the programs here, do not have it", "sudo bpftop doctor"


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended."""

    good: bool = True
    sentence: str = ""
    hint: str = ""
    host: bool = False
    """The host is the reason, not the program."""
    line: int | None = None
    """The line of the program that is not accepted."""


def ending_of(script: UserScript, said: Sequence[str], code: int | None, *, asked: bool, was_live: bool) -> Ending:
    """The verdict.

    Args:
        said: bpftrace's own words on stderr and stdout.
        code: as ``subprocess`` tells it; ``None``: unknown.
        asked: bpftop asked it to end.
        was_live: it said that it attaches. Up to 0.23 it says so before it tries.
    """
    if code == 0:
        return Ending(sentence="ended as asked" if asked else "the program ended by itself")
    if asked and code in (-signal.SIGINT, -signal.SIGTERM, -signal.SIGKILL):
        when = "before all its maps had come" if was_live else "before it was attached"
        return Ending(sentence=f"ended {when}: bpftrace got signal {-code}")
    if was_live and code is not None and code > 0 and not any(_FATAL.search(line) for line in said):
        return Ending(False, f"the program ended itself with exit code {code}")
    return _failure(script, said, code)


def _failure(script: UserScript, said: Sequence[str], code: int | None) -> Ending:
    text = "\n".join(line for line in said if "WARNING: " not in line)
    located = _LOCATED.search(text)
    line = int(located[1]) if located else None
    where = f"{script.path}:{line}: " if line else f"{script.path}: "
    if unsafe := _UNSAFE.search(text):
        sentence = f"{where}{unsafe[1]}() can change this host, and bpftop gives no program bpftrace's --unsafe"
        return Ending(False, sentence, f"sudo bpftrace --unsafe {script.path}", line=line)
    sentence, hint = explain(said, code)
    hint = "sudo bpftop doctor" if hint == "bpftop scripts" else hint  # that would be about our own scripts
    if located and sentence.startswith("bpftrace does not accept line"):
        sentence = located[2]
    host = bool(_HOST.search(located[2] if located else text)) or code is None or code < 0
    if located and not host:
        return Ending(False, where + located[2], f"sed -n {line}p {script.path}", line=line)
    return Ending(False, where + _FILE.sub(lambda _: script.path, sentence), hint, host, line)


def own_words(script: UserScript, line: str) -> str:
    """A line of bpftrace with the file's own name in it."""
    return safe(_FILE.sub(lambda _: script.path, line))
