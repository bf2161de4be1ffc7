"""From a key to its redraw in a table of 100,000 clients and one of 100: ``python benchmarks/many.py [--write]``.

The app is in a terminal of its own and gets new figures of all clients once a second while keys are pressed. What a
filter shows is compared with a count over a plain list. Times are of the machine at hand; the ratio is what tells.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

import pyte

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

from terminal import SIZE, Terminal  # noqa: E402

from bpftop.model import ClientRow, Snapshot  # noqa: E402
from bpftop.ui.app import BpftopApp  # noqa: E402
from bpftop.ui.options import UiOptions  # noqa: E402
from tests.ui import builders  # noqa: E402

FEW, MANY = 100, 100_000
Took = dict[str, list[float]]


def clients(count: int) -> list[ClientRow]:
    """So many addresses, every fifth of IPv6, each with figures of its own."""
    rng = random.Random(7)
    rows = []
    for i in range(count):
        name = f"2001:db8::{i:x}" if i % 5 == 4 else f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}"
        p50 = rng.randrange(100_000, 5_000_000)
        rows.append(ClientRow(name, count + 5 - i, (count + 5 - i) / 60, p50, p50 * 4, p50 * 9, slow=i % 3))
    return rows


class Renewed:
    """The same figures as new ones with every snapshot."""

    def __init__(self, rows: list[ClientRow]) -> None:
        self._rows, self._snapshot = rows, builders.live()

    def snapshot(self, window_s: float | None, until_unix_ns: int | None = None) -> Snapshot:
        """All clients in a new list."""
        measure = self._snapshot.measures["request_latency"]
        measures = {**self._snapshot.measures, "request_latency": replace(measure, clients=self._rows[:])}
        return replace(self._snapshot, measures=measures)


class Person:
    """Presses keys, and looks at the screen until what was expected is on it."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal, self._screen, self._fed = terminal, pyte.Screen(*SIZE), 0
        self._stream = pyte.ByteStream(self._screen)
        self.took: Took = {}

    def press(self, what: str, key: str, answer: str, most_s: float = 20.0) -> None:
        """A key; how long until a row of the screen matches ``answer``. Raises RuntimeError when none ever does."""
        began, wanted = time.monotonic(), re.compile(answer)
        self._terminal.type(key.encode())
        while not wanted.search("\n".join(self._screen.display)):
            if time.monotonic() - began > most_s:
                raise RuntimeError(f"no {answer!r} after {key!r}:\n" + "\n".join(self._screen.display))
            self._terminal.read(0.005)
            self._feed()
        self.took.setdefault(what, []).append(time.monotonic() - began)
        self._terminal.read(random.random() * 0.2)  # a key may come at any moment of the second
        self._feed()

    def seen(self, what: str) -> str:
        """The group of an expression that is on the screen."""
        found = re.search(what, "\n".join(self._screen.display))
        assert found is not None
        return found[1]

    def _feed(self) -> None:
        new = bytes(self._terminal.output[self._fed :])
        self._fed += len(new)
        self._stream.feed(re.sub(rb"\x1b\[[<>=?]\d*u|\x1b\[\?\d+\$p|\x1b\[\d*;?\d*t", b"", new))


def measured(count: int) -> Took:
    """Seconds of each kind of key."""
    rows = clients(count)
    with Terminal([sys.executable, __file__, "--show", str(count)]) as terminal:
        terminal.first(re.compile(b"LIVE"), 60.0)
        person = Person(terminal)
        person.press("the pane", "4", r"Client +Count▼")
        for mark in ("p99▼", "Slow▼", "p50▼", "Max▼", "Client▼", "Rate▼", "Count▼"):
            person.press("another order", "s", mark)
        for words in ("10.1.2", "2001:db8::1f", "10.0.0.0/20", "p99>12ms"):
            person.press("", "/", "a word, 10.0.0.0/8")
            for answer in letters(words, rows):
                person.press("a letter of a filter", words[answer[0]], answer[1])
            person.press("all again", "\x1b", r"(?s)\A(?!.*(filter |All rows)).*rows 1–")
        for _ in range(3):
            person.press("to the last row", "G", f"–{count:,} of {count:,}")
            shown = count - int(person.seen(r"rows ([\d,]+)–").replace(",", "")) + 1
            person.press("to the first row", "g", f"rows 1–{shown} ")
            person.press("a page", "\x1b[6~", f"rows 2–{shown + 1} ")
            person.press("a page", "\x1b[6~", f"rows {shown + 2}–{2 * shown + 1} ")
    person.took.pop("", None)
    return person.took


def letters(words: str, rows: list[ClientRow]) -> Iterator[tuple[int, str]]:
    """For each letter of a filter what has to be on the screen: how many rows a plain list has."""
    for end in range(1, len(words) + 1):
        yield end - 1, f"{naive(words[:end], rows):,} of {len(rows):,}"


def naive(words: str, rows: list[ClientRow]) -> int:
    """How many rows pass, the plain way; the last filter that could be understood counts."""
    if words.startswith("p99"):
        digits = re.fullmatch(r"p99>(\d+)(m?s?)", words)
        if digits is None:
            return sum(words in row.client for row in rows) if words in ("p", "p9", "p99") else 0
        least = int(digits[1]) * {"": 1, "m": 10**6, "ms": 10**6}[digits[2]]
        return sum((row.p99_ns or 0) > least for row in rows)
    if words == "10.0.0.0/20":
        return sum(row.client.startswith("10.0.") and int(row.client.split(".")[2]) < 16 for row in rows)
    if words == "10.0.0.0/2":
        return sum("." in row.client for row in rows)
    return sum(words in row.client for row in rows)


def told(few: Took, many: Took) -> str:
    """The table."""
    lines = [f"| from a key to its redraw | {FEW:,} clients | {MANY:,} clients | slowest of these | ratio |"]
    lines.append("|---|---|---|---|---|")
    for what, took in many.items():
        one, other = median(few[what]), median(took)
        lines.append(
            f"| {what} | {one * 1000:.0f} ms | {other * 1000:.0f} ms | {max(took) * 1000:.0f} ms | {other / one:.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure both, or be the app that is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", type=int, help="be the app, with so many clients")
    parser.add_argument("--write", action="store_true", help="write the table into benchmarks/README.md")
    options = parser.parse_args()
    if options.show:
        BpftopApp(Renewed(clients(options.show)), save=lambda _: "", options=UiOptions()).run()
        return
    table = told(measured(FEW), measured(MANY))
    print(table)
    if options.write:
        place = ROOT / "benchmarks/README.md"
        text = re.sub(
            r"(?s)<!-- many -->.*<!-- /many -->", f"<!-- many -->\n{table}\n<!-- /many -->", place.read_text()
        )
        place.write_text(text)


if __name__ == "__main__":
    main()
