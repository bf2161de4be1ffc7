"""What a recording says first: where, when and with what it was made, and of each track what it measured."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from bpftop import __version__
from bpftop.figures import Declared, Origin
from bpftop.model import Accounting
from bpftop.recording import told
from bpftop.recording.asked import Told
from bpftop.recording.codec import Damaged, seal, unseal
from bpftop.stats.tick import Named

_WORDS = 1


@dataclass(frozen=True, slots=True)
class Header:
    """The recording itself. The name of the host is left out on purpose."""

    bpftop_version: str
    created_unix_ns: int
    byteorder: str
    """Of the machine: addresses are kept as its memory has them."""
    machine: str
    """``x86_64``: system calls have other numbers on others."""

    @classmethod
    def of_this_host(cls) -> Header:
        """A recording that begins now and here."""
        return cls(__version__, time.time_ns(), sys.byteorder, os.uname().machine)

    def payload(self) -> bytes:
        """For a block."""
        return seal({_WORDS: told.dump(asdict(self))})


def header_of(payload: bytes) -> Header:
    """What ``payload`` wrote. Raises Damaged when this host cannot read such a recording."""
    words = _words(payload)
    found = Header(
        words["bpftop_version"].words(40), words["created_unix_ns"].whole(0), words["byteorder"].words(10),
        words["machine"].words(40),
    )  # fmt: skip
    if found.byteorder != sys.byteorder:
        raise Damaged(f"comes from a {found.byteorder}-endian machine and this one is {sys.byteorder}-endian")
    return found


@dataclass(frozen=True, slots=True)
class Track:
    """One bpftrace that was recorded."""

    name: str
    """Empty for the main one, else that of the script that was started beside it."""
    declared: Declared
    origin: Origin
    names: Named
    """What was known when the recording began."""
    base: Accounting = field(default_factory=Accounting)
    """The accounts when the recording began: those of the frames go on from here."""

    def payload(self) -> bytes:
        """For a block."""
        words: dict[str, Any] = {
            "name": self.name,
            "declared": told.declared_to(self.declared),
            "origin": told.origin_to(self.origin),
            "names": told.names_to(self.names),
            "base": asdict(self.base),
        }
        return seal({_WORDS: told.dump(words)})


def track_of(payload: bytes) -> Track:
    """What ``payload`` wrote. Raises Damaged."""
    words = _words(payload)
    base = words["base"]
    return Track(
        words["name"].words(60),
        told.declared_of(words["declared"]),
        told.origin_of(words["origin"]),
        told.names_of(words["names"]),
        # An account that the recorder did not know yet is not there.
        Accounting(*(base[name].maybe(_account) or 0 for name in Accounting.__dataclass_fields__)),
    )


def _account(said: Told) -> int:
    return said.whole(0, 1 << 62)


def _words(payload: bytes) -> Told:
    return told.load(unseal(payload).get(_WORDS, b""))
