"""Keys from the terminal without looking ten times a second whether any came, as Textual's driver does."""

from __future__ import annotations

import os
import select
import threading
from codecs import getincrementaldecoder
from collections.abc import Iterable
from typing import Any

from textual._parser import ParseError
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

_ESCAPE_MS = 50
"""How often the parser is asked whether an escape was a key or begins a sequence, while it does not know."""
_READ = 4096


class Ended(threading.Event):
    """An event that can be polled, too."""

    def __init__(self) -> None:
        super().__init__()
        self.descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def set(self) -> None:
        """Wake who polls."""
        super().set()
        os.eventfd_write(self.descriptor, 1)

    def clear(self) -> None:
        """As before."""
        super().clear()
        try:
            os.eventfd_read(self.descriptor)
        except BlockingIOError:
            pass


class WaitingDriver(LinuxDriver):
    """Textual's driver, whose thread for input sleeps until there is some, or until it shall end."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.exit_event = self._ended = Ended()

    def run_input_thread(self) -> None:
        """Hand keys to the app until ``exit_event``, or until the terminal is gone (bpftop.ui.leave sees to that)."""
        parser, decode = XTermParser(self._debug), getincrementaldecoder("utf-8")().decode
        poll = select.poll()
        poll.register(self.fileno, select.POLLIN)
        poll.register(self._ended.descriptor, select.POLLIN)
        try:
            while not self.exit_event.is_set():
                events = dict(poll.poll(_ESCAPE_MS if parser._timeout_time is not None else None))
                keys = events.get(self.fileno, 0)
                if keys & select.POLLIN:
                    raw = os.read(self.fileno, _READ)
                    if text := decode(raw):
                        self._hand_over(parser.feed(text))
                    if not raw:
                        break
                elif keys:
                    break
                self._hand_over(parser.tick())
        finally:
            try:
                list(parser.feed(""))
            except (EOFError, ParseError):
                pass

    def _hand_over(self, messages: Iterable[Message]) -> None:
        for each in messages:
            self.process_message(each)
