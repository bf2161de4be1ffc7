"""Blind mutations of real bytes, by a seed."""

from __future__ import annotations

import random
import re

PIECES = [
    *(rb"\uffffff41 \ud800 \udc80 \uffffffc3 \n 1e999 -0 NaN Infinity null true 18446744073709551616 E T".split()),
    *(rb'" { } [ ] , - @counts @addresses_a "@counts":{"1":99999999999999999999}'.split()),
    *(b" ", b"\0", b"\xff", b"\xc3", b"\xef\xbf\xbfff41", b"9" * 25),
    *(b"\xe2\x80\xae", b"\x1b[2J", b"\\u001b]0;", b"=", b"'", b"\t", b"\r", b"9" * 400, b"[" * 400),
]


_NUMBER = re.compile(rb"\d+")
NUMBERS = b"0 -1 1 2147483647 9223372036854775807 18446744073709551615 99999999999999999999 1e400 0.5".split()


def renumbered(chance: random.Random, one: bytes) -> bytes:
    """The same words with other numbers: what stays readable gets further than what does not."""
    return _NUMBER.sub(lambda found: _other_number(chance, found[0]), one)


def _other_number(chance: random.Random, text: bytes) -> bytes:
    kept = chance.randrange(10)
    if kept > 1:
        return text
    return chance.choice(NUMBERS) if kept else b"%d" % max(0, int(text[:18]) + chance.randrange(-3, 99))


def mutated(chance: random.Random, one: bytes, other: bytes) -> bytes:
    """One to three changes of ``one``, now and then by a part of ``other``."""
    text = bytearray(one)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(text) + 1)
        what = chance.randrange(6)
        if what == 0:
            del text[at : at + chance.randrange(1, 9)]
        elif what == 1:
            text[at:at] = chance.choice(PIECES)
        elif what == 2:
            text[at : at + 1] = bytes([chance.randrange(256)])
        elif what == 3:
            text[at : at + chance.randrange(1, 12)] = chance.choice(PIECES)
        elif what == 4:
            text[at:] = other[chance.randrange(len(other)) :] if other else b""
        else:
            text[at:at] = text[at : at + chance.randrange(20)]
    return bytes(text)
