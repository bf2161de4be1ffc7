"""The words that the process without rights may say to the supervisor, and the answers. Nothing else is understood.

A request is one packet of ASCII: a number, a word, and for some words a name or the number of a run. An answer is one
packet with the same number and a pickle of its value behind it, bpftrace's pipes with it where there are any; a large
pickle is in an anonymous file, the first of the descriptors.
Pickles go from root to the user only; what comes from the user is matched against one pattern.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

LONGEST = 80
"""Bytes of a request."""
SHORT = 4096
"""Bytes of a pickle that goes with the packet of an answer."""
_PATTERN = re.compile(rb"([0-9]{1,9}) ([a-z]{3,12})(?: ([a-z][a-z0-9_-]{0,31}|[0-9]{1,6}))?", re.ASCII)


class Argument(Enum):
    """What follows a word."""

    NOTHING = "nothing"
    NAME = "the name of a script"
    RUN = "the number of a run"


WORDS: Mapping[str, Argument] = MappingProxyType({
    "open": Argument.NOTHING,  # start what the command line asks for
    "start": Argument.NAME,  # start a script of the catalog on the same target
    "again": Argument.RUN,  # the same program anew, for the target as it is now
    "relax": Argument.RUN,  # the same program with all capabilities, when it failed at once with few
    "interrupt": Argument.RUN,
    "terminate": Argument.RUN,
    "kill": Argument.RUN,
    "ended": Argument.RUN,  # the exit code
    "look": Argument.NOTHING,  # the target as it is now; who stands still in it, and who waits
    "costs": Argument.RUN,  # what the kernel says of its programs
    "held": Argument.RUN,  # how many probes it holds
    "statistics": Argument.NOTHING,  # keep the kernel's statistics on while the answer's descriptor is open
})  # fmt: skip


class Refused(Exception):
    """No request: the reason is for the log of a test, nobody else reads it."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, valid by its form."""

    number: int
    word: str
    name: str = ""
    run: int = -1


def read(packet: bytes) -> Request:
    """The request in a packet. Raises Refused for everything else."""
    match = _PATTERN.fullmatch(packet) if len(packet) <= LONGEST else None
    if match is None:
        raise Refused("not of the form of a request")
    number, word, argument = int(match[1]), match[2].decode(), (match[3] or b"").decode()
    wanted = WORDS.get(word)
    if wanted is None:
        raise Refused("not a word of ours")
    if wanted is Argument.RUN and argument.isdecimal():
        return Request(number, word, run=int(argument))
    if wanted is Argument.NAME and argument and not argument.isdecimal():
        return Request(number, word, name=argument)
    if wanted is Argument.NOTHING and not argument:
        return Request(number, word)
    raise Refused(f"{word} takes {wanted.value}")


def written(number: int, word: str, argument: str | int = "") -> bytes:
    """The packet of a request."""
    return f"{number} {word} {argument}".strip().encode("ascii")
