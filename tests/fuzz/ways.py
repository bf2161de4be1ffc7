"""The way of foreign bytes up to the figures, for our own programs and for any; what comes of it can be shown."""

from __future__ import annotations

import re

from bpftop.anyscript.decode import RunMessage
from bpftop.anyscript.decode import decode as decode_run
from bpftop.anyscript.model import Complaint, Printed, Said, UserScript
from bpftop.anyscript.store import Log, MapStore
from bpftop.errors import BpftopError
from bpftop.model import Message, Rejected
from bpftop.stats.keys import KeyNames
from bpftop.stats.store import Store
from bpftop.text import safe
from bpftop.tracer.assemble import Assembler
from bpftop.tracer.decode import decode_line
from tests.recordings import MEASURES, STREAMS

STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
MAP_KEYS = 4096


def sentence(error: BpftopError) -> None:
    """What a person is told is one line of characters that draw themselves, when it is shown."""
    assert error.message
    for words in (error.message, error.hint):
        assert not STEERING.search(safe(words))


def harmless(text: str) -> None:
    """Nothing in an output steers the terminal."""
    found = STEERING.search(text)
    assert not found, text[max(0, found.start() - 40) : found.start() + 40].encode() if found else ""


class Watch:
    """Our own programs' output up to the figures."""

    def __init__(self) -> None:
        self.assembler = Assembler()
        self.store = Store(MEASURES, STREAMS, MAP_KEYS, names=KeyNames())
        self.store.started(1)
        self.refused = 0
        """Lines that could not be read."""

    def line(self, one: bytes) -> list[Message]:
        """Take a line; its messages."""
        messages = list(decode_line(one))
        assert bool(messages) == bool(one.strip()), "a line is decoded, refused or blank: none goes uncounted"
        for message in messages:
            self.refused += isinstance(message, Rejected)
            tick = self.assembler.take(message)
            if tick is not None:
                self.store.ingest(tick)
        return messages

    def check(self) -> None:
        """The accounts add up, and what is shown can be shown."""
        self.store.ingest(self.assembler.finish(1 << 61))
        books = self.store.accounting
        assert books.produced == books.shown + books.suppressed + books.lost + books.rejected
        assert min(books.produced, books.shown, books.suppressed, books.lost, books.rejected) >= 0
        for window in (10, None):
            for measure in self.store.measures(window).values():
                harmless("".join(row.client for row in measure.clients))
        for row in self.store.slow(None, 0):
            harmless(row.client + "".join(row.texts.values()))


class Run:
    """Any program's output up to the figures of ``bpftop run``."""

    def __init__(self) -> None:
        script = UserScript("a.bt", "", "a", {})
        self.maps, self.log, self._at = MapStore(script, MAP_KEYS), Log(), 0

    def line(self, one: bytes, twice: bool) -> list[RunMessage]:
        """Take a line; its messages."""
        messages = list(decode_run(one, escaped_twice=twice))
        assert bool(messages) == bool(one.strip()), "a line is decoded, refused or blank: none goes uncounted"
        self._at += 10**8
        for message in messages:
            if isinstance(message, Printed):
                self.maps.take(message, self._at, ending=False)
            elif isinstance(message, Said):
                self.log.say(message.text, self._at)
            elif isinstance(message, Complaint):
                self.log.complain(message.text, self._at)
        return messages

    def check(self) -> None:
        """It can be shown."""
        self.maps.views(over=False)
        self.log.newest()
