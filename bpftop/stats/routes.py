"""From the first lines of requests to routes: ids in paths are folded to ``:id``, equal routes are counted as one.

The kernel counts by a code of 48 bits for each different "METHOD /path". Here each code gets the code of its route when
its counts arrive, so that a million different ids are one row, in constant memory.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from bpftop import wire
from bpftop.stats.tick import Keys
from bpftop.text import REPLACEMENT, safe

LINES = 16_384
"""First lines kept; of more, the ones not seen for longest are forgotten."""
ROUTES = 16_384
"""Routes kept apart; more are counted as others."""
_ID = ":id"
_CUT = "…"
_LONG = 16
"""Letters without a digit that nobody wrote are at least so many."""

_WHOLE = re.compile(
    r"\d[\d-]*"  # 42, 2024-05-01
    r"|(?:\d{1,3}\.){3}\d{1,3}"
    r"|(?:0x)?(?=[A-Fa-f]*\d)[0-9A-Fa-f]{8,}"
    r"|[^@%]+(?:@|%40)[^@%]+\.[^@%]+"  # an e-mail address
    r"|eyJ[\w-]{8,}(?:\.[\w-]*)*"  # a JSON web token
)
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_PART = re.compile(r"(?<![0-9A-Za-z])(?:(?=[A-Fa-f]*\d)[0-9A-Fa-f]{8,}|\d{5,})(?![0-9A-Za-z])")
"""Inside a segment, between signs: the hash in ``main.3f2a91bc.js``, the number in ``order-55123``."""
_TOKEN = re.compile(r"[\w~+=-]{10,}", re.ASCII)
_SLUG = re.compile(r"(?:[a-z]+|[A-Z][a-z]*|\d+)(?:[-_](?:[a-z]+|[A-Z][a-z]*|\d+))+")
_RUNS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
_ENDING = re.compile(r"(.+)(\.[a-z][a-z0-9]{0,4})")


def first_line(words: Iterable[int]) -> str:
    """``GET /users/42`` from the eight words of the kernel; ``…`` at the end of one that is not whole."""
    raw = b"".join((word & (1 << 64) - 1).to_bytes(8, sys.byteorder) for word in words)
    raw, cut = raw.partition(b"\0")[0], b"\0" not in raw
    text = raw.decode("utf-8", "replace")
    if cut:
        return _plain(text.rstrip("\ufffd")) + _CUT
    text = _plain(text)
    return text if " " in text else f"{text} {_CUT}"


def _plain(text: str) -> str:
    return safe(text.replace("\ufffd", REPLACEMENT))


def is_line(words: tuple[int, ...]) -> bool:
    """Whether these words are a first line, which begins with capital letters, and not a peer."""
    return bool(words) and words[0] > 0xFFFF


def route_of(line: str) -> str:
    """The route of a first line: ``GET /users/:id``."""
    method, space, path = line.partition(" ")
    if "/" not in path:
        return line
    *segments, last = path.removesuffix(_CUT).split("/")
    folded = [_segment(segment) for segment in segments]
    folded.append(_half_segment(last) if path.endswith(_CUT) else _segment(last))
    return method + space + "/".join(folded)


def _half_segment(text: str) -> str:
    return _CUT if any(letter.isdigit() for letter in text) else text + _CUT


def _segment(text: str) -> str:
    if not text or (text.isalpha() and len(text) < _LONG):
        return text
    text = _UUID.sub(_ID, text)
    if _is_id(text):
        return _ID
    ending = _ENDING.fullmatch(text)
    if ending and _is_id(ending[1]):
        return _ID + ending[2]
    return _PART.sub(_ID, text)


def _is_id(text: str) -> bool:
    return bool(_WHOLE.fullmatch(text)) or _is_token(text)


def _is_token(text: str) -> bool:
    """Whether letters and digits change so often that nobody wrote this: ``dQw4w9WgXcQ``, but not ``getUserByIdV2``."""
    if not _TOKEN.fullmatch(text) or _SLUG.fullmatch(text):
        return False
    runs = _RUNS.findall(text)
    numbers = sum(run[0].isdigit() for run in runs)
    share = len(runs) / len(text)
    if len(text) >= 20 and numbers >= 2:
        return share >= 0.25
    return (numbers >= 2 and share >= 0.4) or (len(text) >= _LONG and share >= 0.5)


class Routes:
    """The first lines and routes of a session."""

    def __init__(self) -> None:
        self._lines: dict[int, tuple[str, int]] = {}
        """By code: the line, and the code of its route."""
        self._routes: dict[int, str] = {}

    def learn(self, words: Mapping[int, tuple[int, ...]]) -> dict[int, str]:
        """Take the lines of one tick; other words are passed over. Returns the routes that are new, by code."""
        found = {}
        for code, value in words.items():
            if is_line(value):
                known = self._lines.pop(code, None)
                if known is None:
                    line, route = self._new(first_line(value))
                    known = line, route
                    found[route] = self._routes.get(route, "")
                self._lines[code] = known
        while len(self._lines) > LINES:
            del self._lines[next(iter(self._lines))]
        return {code: name for code, name in found.items() if name}

    def adopt(self, routes: Mapping[int, str], lines: Mapping[int, str]) -> None:
        """Take routes and lines that were found elsewhere, by their codes."""
        self._routes.update(routes)
        self._lines.update({code: (line, wire.OTHERS) for code, line in lines.items()})

    def all(self) -> tuple[dict[int, str], dict[int, str]]:
        """The routes and the first lines that are known, by code."""
        return dict(self._routes), {code: line for code, (line, _) in self._lines.items()}

    def _new(self, line: str) -> tuple[str, int]:
        route = route_of(line)
        code = route_code(route)
        if code not in self._routes and len(self._routes) >= ROUTES:
            return line, wire.OTHERS
        self._routes[code] = route
        return line, code

    def full(self) -> bool:
        """No new route can be kept apart until some are forgotten."""
        return len(self._routes) >= ROUTES

    def forget(self, used: Iterable[int]) -> None:
        """Keep only the routes whose codes are among ``used``."""
        kept = set(used)
        self._routes = {code: name for code, name in self._routes.items() if code in kept}
        self._lines = {code: each for code, each in self._lines.items() if each[1] in self._routes}

    def line(self, code: int) -> str:
        """The first line itself, for a single request; empty when it is forgotten."""
        return self._lines.get(code, ("", 0))[0]

    def name(self, code: int) -> str:
        """The route that a code from ``grouped`` stands for."""
        return self._routes.get(code) or self.line(code) or f"#{code:x}"

    def grouped(self, keys: Keys, measures: frozenset[int]) -> Keys:
        """Keys of ``@clients`` with the codes of routes for those of lines, in these measures (ids from 1).

        A line that is not known becomes ``others``.
        """
        measure = (keys >> np.uint64(wire.CLIENT_MEASURE_SHIFT)) & np.uint64(wire.CLIENT_MEASURE_MASK)
        mine: NDArray[np.bool_] = np.isin(measure, np.array(sorted(measures), np.uint64))
        if not mine.any():
            return keys
        lines, inverse = np.unique(keys[mine] >> np.uint64(wire.CLIENT_SHIFT), return_inverse=True)
        routes = [self._lines.get(code, ("", wire.OTHERS))[1] for code in lines.tolist()]
        out = keys.copy()
        low = np.uint64((1 << wire.CLIENT_SHIFT) - 1)
        out[mine] = (np.array(routes, np.uint64)[inverse] << np.uint64(wire.CLIENT_SHIFT)) | (keys[mine] & low)
        return out


def route_code(route: str) -> int:
    """48 bits for a route, never 0."""
    return 1 << 47 | int.from_bytes(blake2b(route.encode(), digest_size=6).digest(), "big")
