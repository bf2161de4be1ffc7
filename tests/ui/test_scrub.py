"""Time: the same second in every pane, back to now, and a reset that asks."""

from __future__ import annotations

from dataclasses import replace

from textual.pilot import Pilot

from bpftop.model import History, Snapshot
from bpftop.ui.app import BpftopApp
from tests.ui.builders import FakeSession, live, with_calls
from tests.ui.driving import drive, text_of

FIRST = 1_700_000_000_000_000_000
SECONDS = 30


class Past(FakeSession):
    """Thirty seconds, in each of which a different number of requests a second came; it can forget."""

    def __init__(self) -> None:
        super().__init__(live())
        self.forgotten = 0

    def snapshot(self, window_s: float | None, until_unix_ns: int | None = None) -> Snapshot:
        ends = [FIRST + second * 10**9 for second in range(SECONDS)]
        kept = tuple(each for each in ends if until_unix_ns is None or each <= until_unix_ns)
        whole = super().snapshot(window_s)
        measures = {
            name: replace(each, summary=replace(each.summary, rate_per_s=float(1000 + len(kept))))
            for name, each in whole.measures.items()
        }
        history = History((), kept, ((),) * len(kept))  # type: ignore[arg-type]
        return replace(whole, measures=measures, histories=(history,), unix_ns=kept[-1] if kept else FIRST)

    def reset(self) -> None:
        self.forgotten += 1


def after(*keys: str, session: FakeSession | None = None) -> list[str]:
    """The screen after each key."""
    seen: list[str] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
            seen.append(text_of(app).splitlines()[0])

    drive(session or Past(), steps)
    return seen


def test_steps_go_second_by_second_and_end_is_now() -> None:
    back, further, ten, on, oldest, now = after("[", "[", "{", "]", "home", "end")
    assert " PAUSED  22:13:48" in back
    assert "1029 requests/s" in back
    assert " PAUSED  22:13:47" in further
    assert " PAUSED  22:13:37" in ten
    assert "1018 requests/s" in ten
    assert " PAUSED  22:13:38" in on
    assert " PAUSED  22:13:20" in oldest
    assert "1001 requests/s" in oldest
    assert " LIVE " in now
    assert "1030 requests/s" in now


def test_the_moment_stays_in_every_pane_and_window_and_a_pause_is_where_it_was() -> None:
    session = Past()
    _, _, window, pane, _ = after("[", "[", "+", "4", "p", session=session)
    assert " PAUSED  22:13:47" in window
    assert "5 min" in window
    assert " PAUSED  22:13:47" in pane
    frozen, shorter, back = after("p", "-", "[")
    assert " PAUSED  22:13:49" in frozen
    assert " PAUSED  22:13:49" in shorter
    assert "10 s" in shorter
    assert " PAUSED  22:13:48" in back


def test_a_reset_asks_first() -> None:
    session = Past()
    after("r", "n", session=session)
    after("r", "escape", session=session)
    assert session.forgotten == 0
    after("r", "y", session=session)
    assert session.forgotten == 1
    after("r", "enter", session=FakeSession(live()))  # cannot be reset: said, nothing else


def test_a_script_that_was_started_later_says_that_it_did_not_run_then() -> None:
    """Its figures are none, and nothing would look like all is well."""

    class Later(Past):
        def snapshot(self, window_s: float | None, until_unix_ns: int | None = None) -> Snapshot:
            whole = super().snapshot(window_s, until_unix_ns)
            began = FIRST + 10 * 10**9
            kept = tuple(each for each in whole.histories[0].unix_ns if each >= began)
            own = History(("syscall_latency",), kept, ((),) * len(kept))  # type: ignore[arg-type]
            return replace(with_calls(whole), histories=(*whole.histories, own))

    seen: list[str] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("6", "[")
        await pilot.pause()
        seen.append(text_of(app))
        await pilot.press("home")
        await pilot.pause()
        seen.append(text_of(app))

    drive(Later(), steps)
    after, before = seen
    assert "did not run at this moment" not in after
    assert "syscalls did not run at this moment" in before
