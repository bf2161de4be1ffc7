"""Programs that say what they are, do one piece of work for each line they are told, and answer with a line."""

from __future__ import annotations

import json
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.load.build import program


class Told:
    """A running program of ``tests/load``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.ready = self.answer(10)
        """What it said first."""
        self.pid: int = self.ready["pid"]

    def tell(self, line: str = "go", timeout_s: float = 60) -> dict[str, Any]:
        """Its answer to a line. Raises RuntimeError when there is none in time."""
        self.start(line)
        return self.answer(timeout_s)

    def start(self, line: str) -> None:
        """Tell it a line and do not wait for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def answer(self, timeout_s: float = 60) -> dict[str, Any]:
        """The next line it says. Raises RuntimeError when there is none in time."""
        assert self._process.stdout is not None
        if select.select([self._process.stdout], [], [], timeout_s)[0] and (line := self._process.stdout.readline()):
            values: dict[str, Any] = json.loads(line)
            return values
        raise RuntimeError(f"{self._process.args!r} gave no answer; exit code {self._process.poll()}")


@contextmanager
def told(name: str, *words: object) -> Iterator[Told]:
    """``tests/load/NAME.c``, running until the block ends."""
    command = [str(program(name)), *map(str, words)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Told(process)
        finally:
            process.kill()


@contextmanager
def talking(*command: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A program that waits for a line."""
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.wait(10)
        for pipe in (child.stdin, child.stdout):
            assert pipe is not None
            pipe.close()


def ask(child: subprocess.Popen[str], line: str) -> str:
    """Say a line to a program; the line that it answers."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(f"{line}\n")
    child.stdin.flush()
    return child.stdout.readline()
