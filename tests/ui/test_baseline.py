"""A marked baseline, and a row copied."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from bpftop.compare.reading import read_run
from bpftop.export.report_json import to_json
from bpftop.model import MeasureSnapshot, Snapshot
from bpftop.ui.app import BpftopApp
from bpftop.ui.baseline import baseline_of_run
from bpftop.ui.histogram import change
from bpftop.ui.options import UiOptions
from tests.ui import builders
from tests.ui.driving import drive, screen_text, text_of, until


def slower(of: Snapshot, factor: float) -> Snapshot:
    def worse(each: MeasureSnapshot) -> MeasureSnapshot:
        s = each.summary
        assert s.p50_ns is not None
        assert s.p99_ns is not None
        return replace(each, summary=replace(s, p50_ns=s.p50_ns, p99_ns=int(s.p99_ns * factor)))

    return replace(of, measures={name: worse(each) for name, each in of.measures.items()})


def test_the_change_since_a_baseline() -> None:
    session = builders.FakeSession(builders.live())
    seen: list[str] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("2", "b")
        session.current = slower(session.current, 1.5)
        app.poll()
        await pilot.pause()
        seen.append(text_of(app))
        await pilot.press("b")
        seen.append(text_of(app))

    drive(session, steps)
    with_baseline, without = seen
    assert "+50 %" in next(line for line in with_baseline.splitlines() if "p99 " in line and "%" in line[-8:])
    assert "change since" in with_baseline
    assert "░ ┃ its bars" in with_baseline
    assert "change since" not in without


@pytest.mark.parametrize(
    ("now", "then", "said", "role"),
    [
        (150, 100, "+50 %", "bad"),
        (110, 100, "+10 %", "warn"),
        (101, 100, "+1 %", "dim"),
        (100, 100, "0 %", "dim"),
        (50, 100, "-50 %", "good"),
        (1200, 100, "×12", "bad"),
        (5, None, "–", "dim"),
        (None, 100, "–", "dim"),
        (5, 0, "–", "dim"),
    ],
)
def test_a_change_in_words(now: int | None, then: int | None, said: str, role: str) -> None:
    assert change(now, then) == (said, role, "")


def test_nothing_is_no_baseline() -> None:
    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("b")
        assert app.main is not None
        assert app.main.view.baseline is None

    drive(builders.empty(), steps)


def test_a_row_is_copied_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    monkeypatch.setattr(BpftopApp, "copy_to_clipboard", lambda self, text: copied.append(text))

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("4", "down", "down", "y")

    drive(builders.live(), steps)
    assert copied[0].startswith("Client 127.0.0.3, Count ")
    assert "p99 " in copied[0]


def test_tmux_has_to_allow_it_and_no_row_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "tmux-256color")

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("4", "y")
        await until(app, pilot, "when tmux allows it")
        await pilot.press("slash", *"nobody", "enter", "y")
        await until(app, pilot, "there is no row to copy")

    drive(builders.live(), steps)


def test_a_baseline_out_of_a_report_of_another_day(tmp_path: Path) -> None:
    then = builders.live(n=6_000)
    path = tmp_path / "monday.json"
    path.write_text(json.dumps(to_json(then)))
    options = UiOptions(refresh_s=60.0, baseline=read_run(path))
    base = baseline_of_run(read_run(path)).measures["request_latency"].summary
    true = then.measures["request_latency"].summary
    assert base.count == true.count
    for name in ("p50_ns", "p99_ns", "max_ns"):
        assert getattr(base, name) == pytest.approx(getattr(true, name), rel=0.008), "a bucket's width"
    shown = screen_text(slower(then, 1.5), "2", options=options)
    said = next(line for line in shown.splitlines() if "p99 " in line and "%" in line[-8:])
    assert int(said.split("+")[1].removesuffix(" %")) == pytest.approx(50, abs=1), said
    assert "change from monday.json" in shown
