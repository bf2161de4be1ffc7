"""Compile the C programs once: the binary's name carries a hash of the source, so a cached one is never stale."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
FLAGS = ("-O2", "-Wall", "-Wextra", "-Werror")
LIBRARIES = ("-lm", "-lpthread")


def compiler() -> str | None:
    """The C compiler, or ``None``: tests that need these programs skip with that reason."""
    return shutil.which("gcc") or shutil.which("cc")


@cache
def program(name: str) -> Path:
    """The compiled ``tests/load/<name>.c``; raises RuntimeError with the compiler's words when it does not compile."""
    source = HERE / f"{name}.c"
    digest = hashlib.sha256(source.read_bytes() + (HERE / "common.h").read_bytes() + repr(FLAGS).encode()).hexdigest()
    folder = Path(tempfile.gettempdir()) / f"bpftop-load-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise RuntimeError(f"{folder} belongs to somebody else")
    binary = folder / f"{name}-{digest[:16]}"
    if not binary.exists():
        _compile(source, binary)
    return binary


def _compile(source: Path, binary: Path) -> None:
    gcc = compiler()
    if gcc is None:
        raise RuntimeError("no C compiler: install gcc")
    # Renamed into place, so that two test runs at the same time never start half a binary.
    with tempfile.TemporaryDirectory(dir=binary.parent) as folder:
        out = Path(folder) / source.stem
        done = subprocess.run(
            [gcc, *FLAGS, "-o", str(out), str(source), *LIBRARIES], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{source.name} does not compile:\n{done.stderr}")
        out.rename(binary)
