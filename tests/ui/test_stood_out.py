"""What stood out so far: the list, the way to its worst moment, the word on the overview, and what is saved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from textual.pilot import Pilot

from bpftop.model import Snapshot
from bpftop.stats.stages import REQUEST
from bpftop.ui.app import BpftopApp
from bpftop.ui.options import UiOptions
from tests.test_stats_findings import scene, worse
from tests.ui.builders import FakeSession, live
from tests.ui.driving import drive, text_of
from tests.ui.test_scrub import FIRST, Past


class Incident(Past):
    """Something stands out while ``slow`` is set; each look is a second later."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = False
        self.now = FIRST

    def snapshot(self, window_s: float | None, until_unix_ns: int | None = None) -> Snapshot:
        self.now += 10**9 if until_unix_ns is None else 0
        whole = super().snapshot(window_s, until_unix_ns)
        recent = scene({REQUEST: worse(100.0)} if self.slow else {}).recent
        return replace(whole, recent=recent, unix_ns=until_unix_ns or self.now)


def test_the_list_has_when_how_long_and_what_and_enter_goes_there() -> None:
    session, seen = Incident(), {}

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        async def look(times: int) -> None:
            for _ in range(times):
                app.poll()
            await pilot.pause()

        await look(3)
        await pilot.press("w")
        await pilot.pause()
        seen["nothing"] = text_of(app)
        await pilot.press("escape")
        session.slow = True
        await look(4)
        await pilot.press("w")
        await pilot.pause()
        seen["now"] = text_of(app)
        await pilot.press("escape")
        session.slow = False
        await look(8)
        seen["calm"] = text_of(app)
        await pilot.press("right", "enter")
        await pilot.pause()
        seen["list"] = text_of(app)
        await pilot.press("enter")
        await pilot.pause()
        seen["there"] = text_of(app)

    drive(session, steps)
    assert "Nothing has stood out since the start" in seen["nothing"]
    assert "for 9 s …" in seen["now"]
    assert "request latency p99 500 ms" in seen["now"]
    assert "time is in the server, after the read: 100 %" in " ".join(seen["now"].replace("│", " ").split())
    assert "until 8 s ago: request latency p99 500 ms, 125× its level before, w: all" in " ".join(seen["calm"].split())
    assert "for 9 s " in seen["list"]
    assert "for 9 s …" not in seen["list"]
    assert " PAUSED " in seen["there"]


def test_while_the_screen_stands_still_nothing_is_missed() -> None:
    session, seen = Incident(), {}

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("p")
        session.slow = True
        for _ in range(4):
            app.poll()
        session.slow = False
        await pilot.press("w")
        await pilot.pause()
        seen["list"] = text_of(app)

    drive(session, steps)
    assert "request latency p99 500 ms" in seen["list"]


def test_what_is_older_than_the_figures_says_so_and_a_reset_forgets() -> None:
    session, seen = Incident(), {}

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        session.now, session.slow = FIRST - 100 * 10**9, True
        for _ in range(3):
            app.poll()
        await pilot.press("w", "enter")
        await pilot.pause()
        seen["old"] = text_of(app)
        seen["said"] = " ".join(each.message for each in app._notifications)
        await pilot.press("r", "y", "w")
        await pilot.pause()
        seen["reset"] = text_of(app)

    drive(session, steps)
    assert "no figures of that moment are kept: the oldest second kept is 22:13:20" in seen["said"]
    assert " LIVE " in seen["old"]


def test_the_folder_of_an_incident_has_what_stood_out_before(tmp_path: Path) -> None:
    session = Incident()

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        session.slow = True
        for _ in range(4):
            app.poll()
        await pilot.press("E")
        await app.workers.wait_for_complete()

    drive(session, steps, options=UiOptions(refresh_s=60.0, save_to=tmp_path))
    summary = next(tmp_path.glob("*/summary.md")).read_text()
    assert " to now: request latency p99 500 ms" in summary


def test_where_nothing_was_seen_there_is_no_word_about_before() -> None:
    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        assert "ago:" not in text_of(app)

    drive(FakeSession(live()), steps)
