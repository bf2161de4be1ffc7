"""What the screen costs at 120x40, each figure beside its aim and beside other programs in the same run.

``python benchmarks/ui.py [PART ...] [--seconds N] [--write]``, as root, with nginx, bpftrace and pyte. bpftop watches
a real nginx with ten clients and at most 200 requests a second. The yardsticks (yardsticks.py) are installed into
~/.cache when pip can have them, and left out with a word otherwise. What a part has measured is kept there until it is
measured again, so that a machine which is quiet for some minutes is enough: each comparison is within one part.
"""

from __future__ import annotations

import argparse
import compileall
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple, TypedDict

sys.path.insert(0, str(Path(__file__).resolve().parent))

from terminal import ROOT, SIZE, Measured, Terminal
from watched import busy, calls, nginx
from yardsticks import CACHE, DOLPHIE, ECHO, EMPTY, yardsticks

WARM_S, IDLE_S, PRESSES, ROUNDS = 15.0, 12.0, 60, 7
PARTS = ["programs", "first", "keys", "frames"]
OURS = "bpftop, overview, once a second"
STATE = re.compile(rb"ATTACHING|LIVE")
WHOLE = re.compile(rb"own cost")
"""In a row that only the whole screen has."""
COUNTED = re.compile(r"([\d.]+) ?([kM]?) system calls/s")


class Aim(NamedTuple):
    """One figure and what it should be."""

    what: str
    value: float
    most: float
    unit: str
    beside: str = ""

    @property
    def row(self) -> str:
        """A row of the table."""
        met = "yes" if self.value <= self.most else "**no**"
        said = f"{self.value:.2f}" if self.value < 10 else f"{self.value:.0f}"
        return f"| {self.what} | ≤ {self.most:g} {self.unit} | {said} {self.unit} | {met} | {self.beside} |"


def bpftop(*words: str) -> list[str]:
    """The command line, of a program that is compiled as pip does it, else each start compiles all of it."""
    compileall.compile_dir(ROOT / "bpftop", quiet=1)
    return [str(Path(sys.executable).with_name("bpftop")), "watch", *words]


class First(NamedTuple):
    """Median seconds from the start, turn by turn."""

    frame: float
    """Of bpftop, to the first frame with words in it."""
    whole: float
    """Of bpftop, to the whole screen, drawn by Textual."""
    empty: float
    """Of an empty Textual app, to its words."""


def first_frames() -> First:
    """How long one waits for something to look at."""
    ours, whole, empty = [], [], []
    with nginx() as port:
        for _ in range(ROUNDS):
            with Terminal(bpftop(f":{port}")) as terminal:
                ours.append(terminal.first(STATE))
                whole.append(terminal.first(WHOLE))
            with Terminal([sys.executable, "-c", EMPTY]) as terminal:
                empty.append(terminal.first(re.compile(b"an empty app")))
    return First(median(ours), median(whole), median(empty))


class Keys(NamedTuple):
    """Seconds from keys to redraws: p95, and the median."""

    p95: float
    median: float
    empty_p95: float
    """Of an empty Textual app that answers a key with one word, under the same load."""
    empty_median: float
    millions: float
    """System calls a second that bpftop says it counts."""


def keys() -> Keys:
    """How soon a key is answered while all system calls of a dd are counted: by bpftop, and by nearly nothing."""
    took, echoed = [], []
    words = [sys.executable, "-c", ECHO]
    with (
        busy(80.0) as pid,
        Terminal(bpftop(str(pid), "--scripts", "syscalls")) as terminal,
        Terminal(words) as nothing,
    ):
        nothing.first(re.compile(b"none"))
        terminal.first(re.compile(b"LIVE"))
        terminal.read(8.0)
        before, began = calls(pid), time.monotonic()
        for index in range(PRESSES):
            key, answer = (b"1", b"p99 over time") if index % 2 else (b"2", b"bars linear")
            took.append(terminal.press(key, re.compile(answer)))
            terminal.read(0.15 + random.random() * 0.2)
            echoed.append(nothing.press(key, re.compile(b"key " + key)))
            nothing.read(0.01)
        made = (calls(pid) - before) / (time.monotonic() - began)
        found = COUNTED.search(_screen(bytes(terminal.output)))
    if found is None:
        raise RuntimeError("bpftop does not say how many system calls it counts")
    said = float(found[1]) * {"": 1, "k": 1e3, "M": 1e6}[found[2]]
    if abs(said / made - 1) > 0.2:
        raise RuntimeError(f"bpftop counts {said:.0f}/s, the kernel says {made:.0f}/s")
    return Keys(quantiles(took, n=20)[-1], median(took), quantiles(echoed, n=20)[-1], median(echoed), said / 1e6)


def _screen(output: bytes) -> str:
    """What a terminal shows after this output."""
    import pyte

    screen = pyte.Screen(*SIZE)
    pyte.ByteStream(screen).feed(output)
    return "\n".join(screen.display)


def frames() -> dict[str, float]:
    """CPU ms of one frame, by pane."""
    with tempfile.TemporaryDirectory() as name:
        result = Path(name, "frames.json")
        with Terminal([sys.executable, str(ROOT / "benchmarks/frames.py"), str(result)]) as terminal:
            end = time.monotonic() + 90
            while not result.exists() and time.monotonic() < end:
                terminal.read(0.2)
            if not result.exists():
                raise RuntimeError(f"no frames: {_screen(bytes(terminal.output))}")
            time.sleep(0.1)
        found: dict[str, float] = json.loads(result.read_text())
        return found


def programs(seconds: float) -> dict[str, Measured]:
    """What each program costs, one after the other."""
    rows = {}
    with nginx() as port:
        with Terminal(bpftop(f":{port}")) as terminal:
            terminal.read(WARM_S)
            rows[OURS] = terminal.measured(seconds)
        with yardsticks() as others:
            for each in others:
                with Terminal(each.argv, each.env) as terminal:
                    terminal.read(each.warm_s)
                    rows[each.name] = terminal.measured(seconds)
    with nginx(requests=False) as port, Terminal(bpftop(f":{port}")) as terminal:
        terminal.read(WARM_S)
        rows[UNCHANGED] = terminal.measured(IDLE_S)
    return rows


UNCHANGED = "bpftop, no request comes"


class Parts(TypedDict, total=False):
    """What has been measured, by its part."""

    programs: dict[str, Measured]
    first: First
    keys: Keys
    frames: dict[str, float]


def measured(parts: Sequence[str], seconds: float) -> Parts:
    """Measure these parts, keep them, and return all that are kept."""
    file = CACHE / "ui.json"
    kept: Parts = json.loads(file.read_text()) if file.exists() else {}
    ways: dict[str, Callable[[], object]] = {
        "programs": lambda: programs(seconds), "first": first_frames, "keys": keys, "frames": frames
    }  # fmt: skip
    for part in parts:
        if part not in ways:
            raise SystemExit(f"there is no part {part}; there are {' '.join(PARTS)}")
        kept[part] = ways[part]()  # type: ignore[literal-required]
        CACHE.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(kept))
    if lacking := [part for part in PARTS if part not in kept]:
        raise SystemExit(f"not measured yet: {' '.join(lacking)}")
    kept["programs"] = {name: Measured(*row) for name, row in kept["programs"].items()}
    kept["first"], kept["keys"] = First(*kept["first"]), Keys(*kept["keys"])
    return kept


def aims(parts: Parts) -> list[Aim]:
    """Every figure with its aim."""
    rows, first, pressed, pane_ms = parts["programs"], parts["first"], parts["keys"], parts["frames"]
    ours, idle = rows[OURS], rows[UNCHANGED]
    slowest = max(pane_ms, key=lambda each: pane_ms[each])
    found = [Aim("CPU at 1 Hz, of a core", ours.cpu, 1.2, "%")]
    if DOLPHIE in rows:
        found.append(Aim("the same, of dolphie's", ours.cpu / rows[DOLPHIE].cpu, 0.1, "of it"))
    beside = (
        f"{pressed.millions:.2f} M events/s counted; median {pressed.median * 1000:.0f} ms; an app with one word: "
        f"{pressed.empty_p95 * 1000:.0f} and {pressed.empty_median * 1000:.0f} ms"
    )
    whole = (
        f"{first.frame * 1000:.0f} and {first.empty * 1000:.0f} ms; the whole screen {first.whole / first.empty:.1f}"
    )
    found += [
        Aim("to the terminal", ours.bytes_per_s / 1024, 6, "KB/s"),
        Aim("to the terminal while nothing changes", idle.bytes_per_s / 1024, 1, "KB/s"),
        Aim("CPU of one frame, the dearest pane", pane_ms[slowest], 5, "ms", slowest),
        Aim("key to redraw, p95", pressed.p95 * 1000, 50, "ms", beside),
        Aim("first frame, of an empty Textual app's", first.frame / first.empty, 1.3, "of it", whole),
        Aim("PSS", ours.pss_mb, 55, "MB"),
    ]  # fmt: skip
    return found


def told(parts: Parts) -> str:
    """The tables."""
    found, rows, pane_ms = aims(parts), parts["programs"], parts["frames"]
    lines = ["| | aim | measured | met | |", "|---|---|---|---|---|", *(each.row for each in found), ""]
    lines += ["| | CPU of a core | to the terminal | PSS | bpftop's CPU is |", "|---|---|---|---|---|"]
    for name, each in rows.items():
        ratio = f"{rows[OURS].cpu / each.cpu:.2f} of it" if each.cpu > 0.005 else "–"
        lines.append(
            f"| {name} | {each.cpu:.2f} % | {each.bytes_per_s / 1024:.1f} KB/s | {each.pss_mb:.0f} MB | {ratio} |"
        )
    lines += ["", "| pane | CPU of one frame |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {ms:.1f} ms |" for name, ms in pane_ms.items())])


def main() -> None:
    """Measure one after the other and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"what to measure: {' '.join(PARTS)}; default: all")
    parser.add_argument("--told", action="store_true", help="measure nothing, tell what is kept")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each one is looked at")
    parser.add_argument("--write", action="store_true", help="write the tables into benchmarks/README.md")
    options = parser.parse_args()
    tables = told(measured([] if options.told else options.parts or PARTS, options.seconds))
    print(tables)
    if options.write:
        place = ROOT / "benchmarks/README.md"
        text = re.sub(
            r"(?s)<!-- ui -->.*<!-- /ui -->", lambda _: f"<!-- ui -->\n{tables}\n<!-- /ui -->", place.read_text()
        )
        place.write_text(text)


if __name__ == "__main__":
    main()
