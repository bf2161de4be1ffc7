"""Words as an attacker would choose them, and snapshots in which every word of others is one of them."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from bpftop.anyscript.model import RunSnapshot
from bpftop.errors import FileError
from bpftop.figures import Status
from bpftop.model import Measure, ScriptStatus, SlowRequest, Snapshot, State
from bpftop.recording.writer import Recorder
from bpftop.stats.tick import Named
from tests.recorded import StoryRun
from tests.ui import builders, runs

PAYLOADS = (
    ("clear the screen", "Q\x1b[2JQ\x1b[1;1H"),
    ("set the title (OSC 0)", "Q\x1b]0;owned\x07Q"),
    ("write the clipboard (OSC 52)", "Q\x1b]52;c;cm0gLXJmIC8=\x1b\\Q"),
    ("a link (OSC 8)", "Q\x1b]8;;http://evil\x1b\\Q\x1b]8;;\x1b\\"),
    ("device control (DCS)", 'Q\x1bP$q"p\x1b\\Q'),
    ("ask the terminal to type (DECID, DSR)", "Q\x1b[cQ\x1b[6nQ\x1bZ"),
    ("C1 controls", "Q\x9b31mQ\x9d0;owned\x9cQ\x90q\x9c"),
    ("a forged line", "Q\nE 1 FORGED\r\nQ\x0bQ\x0cQ"),
    ("go back and write over", "Q\rQ\x08\x08Q\x7f"),
    ("NUL, BEL, shift out", "Q\x00Q\x07Q\x0eQ\x0f"),
    ("right to left", "Q\u202egpj.exe\u202cQ\u2066Q\u2069"),
    ("no width, separators", "Q\u200bQ\u200dQ\ufeffQ\u2028Q\u2029"),
    ("marks that pile up", "Q" + "\u0301\u0338" * 20 + "Q"),
    ("half of a pair, bytes that are no text", "Q\ud800Q\udce9Q\udc9b31m"),
    ("markup of Textual and rich", "Q[/b][@click=app.exit]Q[/][red]Q[link=http://evil]Q[/]:boom:\\[Q"),
    ("a formula with a tab", '\t=HYPERLINK("http://evil","Q")'),
    ("a formula", "=cmd|' /C calc'!A0Q"),
)
"""By name; each holds a Q, to see that it was shown at all."""
FORMULAS = ("=1+1", "+1+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "\x00=1", " =1", "＝1", "\ufeff=1", "'=1", '"=1')
_OURS = {
    Measure: {"name", "key", "labels", "unit"},
    SlowRequest: {"event"},
    ScriptStatus: {"name", "measures", "pane"},
}
"""Words of ours, which name things: nobody else can choose them."""
T = TypeVar("T")


def poisoned(value: T, words: str) -> T:
    """The value with every text in it replaced, however deep, but for keys and ``_OURS``."""
    out: Any = value
    if isinstance(value, str):
        out = words
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        kept = _OURS.get(type(value), set())
        names = [each.name for each in fields(value) if each.init and each.name not in kept]
        out = replace(value, **{name: poisoned(getattr(value, name), words) for name in names})
    elif isinstance(value, tuple) and not isinstance(value, Enum):
        made = [poisoned(each, words) for each in value]
        out = type(value)(*made) if hasattr(value, "_fields") else tuple(made)
    elif isinstance(value, Mapping):
        out = {key: poisoned(each, words) for key, each in value.items()}
    return out  # type: ignore[no-any-return]


def hostile_snapshot(words: str) -> Snapshot:
    """A watch whose every foreign word is ``words``: names, addresses, routes, headers, what bpftrace said."""
    plain = builders.failed(builders.with_calls(builders.live()))
    named = replace(plain, slow=tuple(replace(each, texts={"request": words}) for each in plain.slow))
    found = poisoned(named, words)
    counters = {name: replace(each, rows=poisoned(each.rows, words)) for name, each in plain.counters.items()}
    return replace(found, counters=counters, histories=plain.histories)


def hostile_run(words: str) -> RunSnapshot:
    """A run of a program whose every foreign word is ``words``."""
    plain = runs.ended(runs.live(30))
    maps = tuple(
        replace(each, rows=poisoned(each.rows, words), facts=replace(each.facts, title=words, unit=words[:12]))
        for each in plain.maps
    )
    return replace(
        plain,
        script=replace(plain.script, path=words, title=words, argv=(words, words)),
        maps=maps,
        log=poisoned(plain.log, words),
        log_head=poisoned(plain.log_head, words),
        detail=words,
        hint=words,
        version=words,
        stderr=(words, words),
    )


def hostile_recording(path: Path) -> None:
    """A recording in which every word that a reader takes from it is another payload with every second.

    It is written by our own writer from figures that were made hostile, so all checksums are right.
    """
    recorder, run = Recorder(), _HostileRun()
    recorder.begin(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), str(path))
    recorder.attach(run)
    run.run(2 * len(PAYLOADS))
    recorder.end()
    recorder.close()


class _HostileRun(StoryRun):
    """The story of the demo, told by somebody who means harm."""

    def __init__(self) -> None:
        super().__init__(0.2, scripts=("requests", "http", "syscalls"))
        words = "".join(words for _, words in PAYLOADS)[:300]
        declared = self.figures.declared
        scripts = tuple(replace(each, title=words, detail=words, pane=words[:40]) for each in declared.scripts)
        measures = tuple(replace(each, title=words, start=words, end=words, tells=words) for each in declared.measures)
        self.figures.declared = replace(declared, measures=measures, scripts=scripts, text=words)
        self.figures.origin = replace(self.figures.origin, bpftrace_version=words[:40], kernel=words[:40])
        self.figures.names.adopt(_names(words))

    def _changed(self) -> Status:
        _, words = PAYLOADS[self.seconds % len(PAYLOADS)]
        status = self.figures.status
        target = replace(poisoned(status.target, words), kind=status.target.kind)
        state = State.FAILED if self.seconds % 3 == 0 else State.LIVE
        tracer = replace(status.tracer, state=state, detail=words, hint=words, source=words, stderr=(words, words))
        self.figures.status = replace(status, target=target, tracer=tracer)
        return self.figures.status


def _names(words: str) -> Named:
    """Everything has a name that means harm."""
    codes = range(1, 400)
    return Named(routes=dict.fromkeys(codes, words), lines=dict.fromkeys(codes, words),
                 processes=dict.fromkeys(codes, words), devices=dict.fromkeys(codes, words))  # fmt: skip


class Rotating:
    """A source of snapshots: each with the next payload."""

    def __init__(self, make: Callable[[str], Any]) -> None:
        self._made = [make(words) for _, words in PAYLOADS]
        self._asked = 0

    def kill(self) -> None:
        """There is nothing to end."""

    def end(self) -> None:
        """The same."""

    def snapshot(self, *_: object) -> Any:
        """The next one."""
        self._asked += 1
        return self._made[self._asked % len(self._made)]


def main() -> int:
    """``python -m tests.hostile watch|run``: the screen on hostile words, a new payload with every frame."""
    from bpftop.ui.options import UiOptions

    long = "".join(words for _, words in PAYLOADS[:7])
    options = UiOptions(refresh_s=0.25, banner=long, absent=long)

    def refuse(_: object) -> str:
        raise FileError(long, long)

    if sys.argv[1] == "watch":
        from bpftop.ui.app import run

        return run(Rotating(hostile_snapshot), save=refuse, options=options)
    from bpftop.ui.anyscript.app import show

    return show(Rotating(hostile_run), save=refuse, options=options)


if __name__ == "__main__":
    sys.exit(main())
