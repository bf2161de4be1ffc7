"""The overview: clauses that are chosen and lead on, bars that add up, clients by their share of the slow ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from textual.pilot import Pilot

from bpftop.model import ClientRow, Snapshot
from bpftop.stats.clause import Place, clause
from bpftop.stats.findings import Verdict
from bpftop.stats.stages import ACCEPT, READ, REQUEST, RESPONSE, UPSTREAM
from bpftop.ui.app import BpftopApp
from bpftop.ui.breakdown import ABOUT, bars, breakdown
from bpftop.ui.options import UiOptions
from bpftop.ui.overview import clients, workers_of
from bpftop.ui.panes.overview import Overview
from bpftop.ui.table import sparkline
from bpftop.ui.verdict import Judge, clause_at, evidence_lines, verdict_lines
from tests.test_stats_findings import row, scene, worse
from tests.ui import builders
from tests.ui.driving import drive, screen_text, text_of

STILL = UiOptions(refresh_s=60.0)


class Started(builders.FakeSession):
    """Remembers what is to be started."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__(snapshot)
        self.started: list[str] = []

    def start_script(self, name: str, free: bool = False) -> None:
        """Only remember."""
        self.started.append(name)


def after(source: builders.FakeSession | Snapshot, keys: Sequence[str], size: tuple[int, int] = (80, 24)) -> str:
    return screen_text(source, *keys, size=size, options=STILL)


def test_the_verdict_in_words_and_its_evidence() -> None:
    screen = after(builders.troubled(), [])
    said = " ".join(screen.split())
    assert "read queue latency p99 579 ms, 647× its level before" in said
    assert "time is in the read queue: 99 %" in said
    assert "worker 4243 reads late" in said
    assert "92 % of the slow ones from 127.0.0.3" in said
    assert "to know more: start eventloop" in said
    assert "200 of 2,000 in the last 10 s over 20.0 ms; for 7 s; level: p99 895 µs, n 12,000" in said


@pytest.mark.parametrize(
    ("steps", "tab", "words"),
    [
        (0, "2 Latency", "Read queue latency  data arrives at the socket"),
        (2, "5 Slow", "filter pid=4243"),
        (3, "4 Clients", "filter 127.0.0.3/32"),
        (-2, "4 Clients", "filter 127.0.0.3/32"),
    ],
    ids=["symptom", "worker", "client", "backwards"],
)
def test_enter_opens_what_the_clause_speaks_of(steps: int, tab: str, words: str) -> None:
    keys = ["right" if steps > 0 else "left"] * abs(steps)
    screen = after(builders.troubled(), [*keys, "enter"])
    assert words in screen
    assert tab in screen


def test_the_client_of_the_clause_is_the_only_row() -> None:
    screen = after(builders.troubled(), ["right", "right", "right", "enter"])
    assert "Read queue latency" in screen
    assert "127.0.0.3 " in screen
    assert "127.0.0.1 " not in screen


def test_an_offer_starts_the_script_and_only_when_asked() -> None:
    session = Started(builders.troubled())

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("left")
        await pilot.pause()
        assert "not measured yet: event loop; Enter starts it" in text_of(app)
        assert session.started == []
        await pilot.press("enter")
        await pilot.pause()

    drive(session, steps, options=STILL)
    assert session.started == ["eventloop"]


def test_the_choice_stays_with_its_clause_and_falls_back_when_it_is_gone() -> None:
    session = builders.FakeSession(builders.troubled())
    chosen: list[str] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        pane = app.screen.query_one(Overview)
        await pilot.press("right", "right", "right")
        await pilot.pause()
        chosen.append(pane.chosen)
        session.current = replace(builders.troubled(), recent_slow=())  # no worker any more: another place in the line
        app.poll()
        await pilot.pause()
        chosen.append(pane.chosen)
        session.current = builders.live()
        app.poll()
        await pilot.pause()
        chosen.append(pane.chosen)

    drive(session, steps, options=STILL)
    assert chosen == ["client 127.0.0.3", "client 127.0.0.3", "calm request_latency"]


def test_nothing_to_choose_and_nothing_to_open_while_nothing_was_observed() -> None:
    before = after(builders.empty(), [])
    assert after(builders.empty(), ["right", "enter", "left"]) == before


def test_names_of_others_are_harmless_in_a_clause() -> None:
    troubled = builders.troubled()
    queue = troubled.recent[READ]
    hostile = replace(queue.rows[0], client="10.0.0.7\x1b[31m\x07")
    recent = {**troubled.recent, READ: replace(queue, rows=(hostile, *queue.rows[1:]))}
    screen = after(replace(troubled, recent=recent), [])
    assert "\x1b" not in screen
    assert "\x07" not in screen
    assert "10.0.0.7" in screen


# --- the time breakdown


def test_all_requests_add_up_to_the_exact_totals() -> None:
    snapshot = builders.live()
    whole = bars(snapshot)[0]
    total = {name: each.summary.total_ns or 0 for name, each in snapshot.measures.items()}
    assert whole.label == "all 12.0k"
    assert whole.parts[ACCEPT] == total[ACCEPT]
    assert whole.parts[REQUEST] == total[REQUEST]
    assert whole.parts[RESPONSE] == total[RESPONSE] - total[REQUEST]
    assert whole.whole_ns == sum(whole.parts.values())


def test_medians_leave_out_what_most_requests_do_not_go_through() -> None:
    snapshot = builders.live()
    medians = bars(snapshot)[1]
    assert medians.parts[REQUEST] == snapshot.measures[REQUEST].summary.p50_ns
    assert ACCEPT in medians.parts
    kept = replace(snapshot.measures[ACCEPT], summary=replace(snapshot.measures[ACCEPT].summary, count=40))
    medians = bars(replace(snapshot, measures={**snapshot.measures, ACCEPT: kept}))[1]
    assert ACCEPT not in medians.parts
    assert medians.parts[READ] == snapshot.measures[READ].summary.p50_ns


def test_the_slowest_are_single_requests_at_most_one_in_a_hundred() -> None:
    snapshot = builders.troubled()
    slowest = bars(snapshot)[2]
    assert slowest.label == "slowest 100"
    waited = sum(each.fields["read_queue_ns"] for each in snapshot.slow[:100]) / 100
    assert slowest.parts[READ] == waited
    assert slowest.whole_ns == sum(each.latency_ns for each in snapshot.slow[:100]) / 100
    few = replace(snapshot.measures[REQUEST], summary=replace(snapshot.measures[REQUEST].summary, count=250))
    assert bars(replace(snapshot, measures={**snapshot.measures, REQUEST: few}))[2].label == "slowest 2"


def test_upstream_is_a_part_of_the_servers_time_once_its_script_has_seen_the_window() -> None:
    snapshot = builders.live()
    request = snapshot.measures[REQUEST]
    half = replace(request.summary, total_ns=(request.summary.total_ns or 0) // 2)
    upstream = replace(request, measure=replace(request.measure, name=UPSTREAM, key="peer"), summary=half)
    parts = bars(replace(snapshot, measures={**snapshot.measures, UPSTREAM: upstream}))[0].parts
    assert parts[UPSTREAM] == half.total_ns
    assert parts[REQUEST] + parts[UPSTREAM] == request.summary.total_ns
    young = replace(upstream, summary=replace(half, rate_per_s=half.rate_per_s * 6))
    assert UPSTREAM not in bars(replace(snapshot, measures={**snapshot.measures, UPSTREAM: young}))[0].parts


def test_bars_have_their_width_their_legend_and_their_shares() -> None:
    long, short = "░ accept queue  ▒ read queue  █ server  ▄ sending", "░ accept  ▒ read  █ server  ▄ sending"
    for width, legend in ((58, short), (66, short), (78, long), (158, long)):
        heading, *rows = (row.text for row in breakdown(builders.live(), width))
        assert all(len(row) <= width for row in rows)
        assert heading == f"Where the time goes  {legend}"
    assert breakdown(builders.live(), 40)[0].text.rstrip() == short, "without the title, and with every glyph"
    assert rows[0].split()[:2] == ["all", "12.0k"]
    assert sum(int(word) for word in rows[0].split("ms")[-1].split("s  ")[-1].split() if word.isdigit()) in (
        99,
        100,
        101,
    )
    assert breakdown(builders.empty(), 78) == []
    for words in ("do not add up", "counted as accept queue only", "one by one"):
        assert words in ABOUT


# --- for whom


def test_clients_come_by_their_share_of_the_slowest() -> None:
    shown = builders.live().measures[REQUEST]
    heading, _, first, *_ = (row.text for row in clients(shown, 80, 8))
    slow = next(row.slow or 0 for row in shown.clients if row.client == "127.0.0.3")
    assert heading == f"Clients of the slowest 1 %  from 4.97 ms on, n {shown.slow}"
    assert first.split()[:3] == ["127.0.0.3", f"{slow / shown.slow * 100:.0f}", "%"]


def test_with_little_room_the_clients_are_in_one_row() -> None:
    shown = builders.live().measures[REQUEST]
    (only,) = (row.text for row in clients(shown, 60, 3))
    slow = next(row.slow or 0 for row in shown.clients if row.client == "127.0.0.3")
    assert only.startswith(f"Clients of the slowest 1 %  127.0.0.3 {slow / shown.slow * 100:.0f} %")
    assert len(only) <= 60
    assert not clients(shown, 60, 0)
    assert "Clients of the slowest 1 %  127.0.0.3" in after(builders.troubled(), []), "also below a long verdict"


def test_what_is_no_client_is_not_called_one() -> None:
    shown = builders.live().measures[REQUEST]
    threads = replace(shown, measure=replace(shown.measure, key="tid"))
    heading, columns, *_ = (row.text for row in clients(threads, 80, 8))
    assert heading.startswith("Threads of the slowest 1 %")
    assert columns.split()[0] == "Thread"


def test_the_evidence_gives_way_to_the_way_in_its_last_row_only() -> None:
    text = " ".join(f"word{i:02}" for i in range(30))
    found = clause("slow", REQUEST, [("x", True)], text, Place("latency", REQUEST))
    first, last = (row.text for row in evidence_lines(found, 78))
    assert len(first) > 78 - len("word00 "), "the whole width"
    assert last.endswith(" … Enter Latency")
    assert f"{first} {last}".startswith(text[:120])
    short = replace(found, evidence="one two")
    assert [row.text.split() for row in evidence_lines(short, 78)] == [["one", "two", "Enter", "Latency"]]
    between = replace(found, evidence=text[:76])
    assert " ".join(" ".join(row.text for row in evidence_lines(between, 78)).split()) == f"{text[:76]} Enter Latency"


def test_workers_by_the_single_requests_they_answered() -> None:
    first, *_ = workers_of(builders.troubled())
    assert (first.pid, first.longest_ns) == (4243, 599_000_000)
    screen = after(builders.troubled(), [], size=(160, 50))
    assert "nginx 4243" in screen.partition("Workers")[2]


# --- sizes


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (100, 30), (120, 40), (160, 50), (300, 100)])
def test_it_fits_every_size(size: tuple[int, int]) -> None:
    for snapshot in (builders.live(), builders.troubled()):
        screen = after(snapshot, [], size=size)
        assert all(len(line) <= size[0] for line in screen.splitlines())
        assert "p99" in screen


def test_more_room_shows_more_not_wider() -> None:
    titles = ("Where the time goes", "Clients of the slowest", "now", "Slowest requests", "Workers")
    seen = [sum(title in after(builders.live(), [], size=size) for title in titles) for size in ((80, 24), (160, 50))]
    assert seen == [2, 5]
    assert after(builders.live(), [], size=(160, 50)).count("-10 s") == 2, "two charts"
    assert after(builders.live(), [], size=(300, 100)).count("-10 s ") == 5, "one of each measure"


def test_many_measures_leave_room_for_what_else_there_is() -> None:
    names = [f"measure_{i}" for i in range(20)]
    live = builders.live()
    of = live.measures[REQUEST]
    more = {name: replace(of, measure=replace(of.measure, name=name, title=name)) for name in names}
    screen = after(replace(live, measures={**live.measures, **more}), [], size=(160, 50))
    for title in ("Where the time goes", "Clients of the slowest", "-10 s", "Slowest requests", "more measures"):
        assert title in screen, title


def test_the_memory_of_the_verdict_is_of_the_look_before() -> None:
    """A client with a little less than what names it stays named, for a while; a jump in time forgets."""

    def at(seconds: float, slow: int) -> Snapshot:
        rows = (row("10.0.0.7", 100, slow), row("10.0.0.1", 900, 100 - slow))
        return replace(scene({REQUEST: worse(100.0, rows)}), unix_ns=int(seconds * 1e9))

    def names(verdict: Verdict) -> bool:
        return "client 10.0.0.7" in verdict.named

    judge, first, second = Judge(), at(1000, 70), at(1001, 28)
    assert names(judge(first))
    assert names(judge(second))
    assert judge(second) is judge(second)
    assert not names(judge(at(1100, 28)))
    assert not names(judge(at(900, 28)))


def test_a_trend_that_is_high_all_the_time_looks_high() -> None:
    flat = np.full(8, 5e8)
    assert sparkline(flat, 8) == "▁" * 8
    assert sparkline(flat, 8, 5e6) == "▇" * 8
    assert sparkline(flat, 8, 5e8) == "▁" * 8
    assert sparkline(np.array([5e6, 5e8]), 2, 5e7) == "▁▇"


def test_a_clause_is_found_at_the_cell_where_it_stands() -> None:
    clauses = tuple(
        clause(key, "", [(words, False)], "", Place("latency"))
        for key, words in (("slow", "request latency p99 8 ms"), ("stage", "time is in the server"), ("who", "92 % of"))
    )
    lines = verdict_lines(Verdict(clauses), "", 50)
    assert [row.text.strip() for row in lines] == ["request latency p99 8 ms · time is in the server", "92 % of"]
    for x, y, key in (
        (0, 0, "slow"),
        (26, 0, "slow"),
        (27, 0, "stage"),
        (45, 0, "stage"),
        (0, 1, "who"),
        (3, 1, "who"),
    ):
        assert clause_at(lines, clauses, x, y) == f"{key} ", (x, y)
    assert clause_at(lines, clauses, 0, 2) is None
    assert clause_at(lines, (), 0, 0) is None


def test_others_have_a_row_when_the_slow_ones_are_theirs() -> None:
    """Clients that are left out of the tables are among them: otherwise nobody would have the slowest 1 %."""
    shown = builders.live().measures["request_latency"]
    for slow, there in ((12, True), (0, False)):
        rows = (
            *(replace(each, slow=0) for each in shown.clients[:3]),
            ClientRow("others", 90, 1.5, None, None, None, slow=slow),
        )
        said = "\n".join(row.text for row in clients(replace(shown, clients=rows, slow=12), 80, 8))
        assert bool(re.search("others +100 %", said)) is there, said
