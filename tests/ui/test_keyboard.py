"""The thread that waits for keys: what it hands over, when it wakes, and how it ends."""

from __future__ import annotations

import os
import pty
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual import events
from textual.message import Message

from bpftop.ui.keyboard import Ended, WaitingDriver


class Driver(WaitingDriver):
    """Without an app: messages are kept."""

    def __init__(self, terminal: int) -> None:
        self.fileno, self._debug = terminal, False
        self.exit_event = self._ended = Ended()
        self.got: list[Message] = []

    def process_message(self, message: Message) -> None:
        self.got.append(message)

    def said(self) -> list[str]:
        return [each.key if isinstance(each, events.Key) else type(each).__name__ for each in self.got]


class Typed:
    """A terminal, and the thread that reads it."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.driver = Driver(self.slave)
        self.thread = threading.Thread(target=self.driver.run_input_thread, daemon=True)
        self.thread.start()

    def type(self, *pieces: bytes) -> None:
        for piece in pieces:
            os.write(self.master, piece)
            time.sleep(0.02)

    def until(self, done: Callable[[], bool]) -> None:
        end = time.monotonic() + 20
        while not done() and time.monotonic() < end:
            time.sleep(0.01)
        assert done(), self.driver.said()


@pytest.fixture
def typed() -> Iterator[Typed]:
    typed = Typed()
    yield typed
    typed.driver.exit_event.set()
    typed.thread.join(10)
    assert not typed.thread.is_alive()
    for each in {typed.master, typed.slave} - {-1}:
        os.close(each)


def test_keys_pieces_of_letters_pastes_and_an_escape_alone(typed: Typed) -> None:
    typed.type(b"a", "é".encode()[:1], "é".encode()[1:], b"\x1b[", b"A", b"\x1b[200~two words\x1b[201~", b"\x1b")
    expected = ["a", "é", "up", "Paste", "escape"]
    typed.until(lambda: len(typed.driver.got) >= len(expected))
    assert [key.replace("e_acute", "é") for key in typed.driver.said()] == expected


def test_nobody_wakes_while_nothing_is_typed(typed: Typed) -> None:
    typed.type(b"a")
    typed.until(lambda: typed.driver.said() == ["a"])

    def switches() -> str:
        status = Path(f"/proc/self/task/{typed.thread.native_id}/status").read_text()
        return next(row for row in status.splitlines() if row.startswith("voluntary"))

    time.sleep(0.2)
    before = switches()
    time.sleep(0.6)
    assert switches() == before


def test_it_ends_with_the_terminal(typed: Typed) -> None:
    os.close(typed.master)
    typed.master = -1
    typed.thread.join(10)
    assert not typed.thread.is_alive()


def test_it_can_begin_again(typed: Typed) -> None:
    """As after a stop by ctrl+z."""
    typed.driver.exit_event.set()
    typed.thread.join(10)
    typed.driver.exit_event.clear()
    typed.thread = threading.Thread(target=typed.driver.run_input_thread, daemon=True)
    typed.thread.start()
    typed.type(b"b")
    typed.until(lambda: typed.driver.said() == ["b"])
