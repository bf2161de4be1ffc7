"""Servers as foreground children with all their files in one folder, ended by their pid."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.servers.case import Missing

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_START_S = 30


def tool(name: str, package: str, *places: str) -> str:
    """The path of a program, or of the newest that matches one of ``places``; raises Missing with its package."""
    found = shutil.which(name, path=_PATH)
    for place in places:
        matches = sorted(glob.glob(place))
        found = found or (matches[-1] if matches else None)
    if found is None:
        raise Missing(package)
    return found


def version(*command: str) -> str:
    """The first number with a dot that a program says about itself."""
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    match = re.search(r"\d+\.\d+(\.\d+)*", run.stdout + run.stderr)
    return match[0] if match else "?"


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def serving(
    command: Sequence[str],
    folder: Path,
    ready: int | Path,
    *,
    user: str | None = None,
    env: Mapping[str, str] | None = None,
    stop: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """A server until the end of the block; ``ready`` is its port, or its unix socket."""
    log = folder / f"{Path(command[0]).name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            user=user if os.geteuid() == 0 else None,
            group=user if os.geteuid() == 0 else None,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
    try:
        _wait_ready(process, ready, log)
        yield process
    finally:
        process.send_signal(stop)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what it left behind of its own group
        process.wait(10)


def _wait_ready(process: subprocess.Popen[bytes], ready: int | Path, log: Path) -> None:
    end = time.monotonic() + _START_S
    while not _accepts(ready):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{process.args!r} does not listen:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.02)


def _accepts(ready: int | Path) -> bool:
    family = socket.AF_UNIX if isinstance(ready, Path) else socket.AF_INET
    with socket.socket(family) as probe:
        try:
            probe.connect(str(ready) if isinstance(ready, Path) else ("127.0.0.1", ready))
            return True
        except OSError:
            return False
