"""Reports: the JSON schema to the letter, plain text in 80 columns without a single escape code."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bpftop.export import to_json, to_text
from bpftop.export.bars import histogram_lines, steps
from bpftop.export.interval_text import heading, line
from bpftop.model import Accounting, ClientRow, Histogram, Overhead, SlowRequest, Summary
from bpftop.stats import buckets
from bpftop.stats.clause import Place, clause
from bpftop.stats.episodes import Episode
from bpftop.stats.stages import REQUEST
from bpftop.text import both_ends, safe
from tests.snapshots import UNIX_NS, busy, by_call, histogram, measure, scripted, snapshot

HOSTILE = ["\x1b]0;owned\x07", "a\nE 1 2", "[/b]", "\u202eevil", "\x9b31m", "é" * 50, "\x00", "名前" * 30]


@pytest.mark.parametrize(
    ("kernel", "counted", "missed"),
    [("6.18.0", 0, 0), ("6.7.0", 3, 3), ("6.6.30-generic", 0, None), ("5.10.0-32-amd64", 0, None), ("", 0, 0)],
)
def test_what_an_old_kernel_does_not_count_is_unknown_and_not_nought(
    kernel: str, counted: int, missed: int | None
) -> None:
    of_it = replace(snapshot(), kernel=kernel, overhead=Overhead(missed=counted))
    assert to_json(of_it)["overhead"]["missed"] == missed
    assert ("hits missed: unknown" in to_text(of_it)) == (missed is None)


def test_json_is_the_schema_to_the_letter() -> None:
    assert json.loads(json.dumps(to_json(snapshot()), allow_nan=False)) == {
        "schema": 1,
        "target": {"name": "nginx", "pids": [11, 12], "ports": [80, 443]},
        "started_at": "2026-11-22T21:44:50.123Z",
        "duration_s": 10.0,
        "measures": {
            "request_latency": {
                "count": 4,
                "rate_per_s": 0.4,
                "p50_ns": 1000000,
                "p90_ns": 2000000,
                "p95_ns": 2000000,
                "p99_ns": 2000000,
                "p999_ns": 2000000,
                "max_ns": 2000001,
                "total_ns": None,
                "histogram": [[990000, 1010000, 3], [1990000, 2010000, 1]],
                "clients": [
                    {
                        "client": "10.0.0.1",
                        "count": 3,
                        "rate_per_s": 0.3,
                        "p50_ns": 1000000,
                        "p99_ns": 1000000,
                        "max_ns": 1000000,
                        "total_ns": None,
                    },
                    {
                        "client": "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
                        "count": 1,
                        "rate_per_s": 0.1,
                        "p50_ns": 2000000,
                        "p99_ns": 2000000,
                        "max_ns": 2000001,
                        "total_ns": None,
                    },
                ],
            }
        },
        "counters": {},
        "slowest": {},
        "accounting": {
            "produced": 10,
            "shown": 4,
            "suppressed": 6,
            "lost": 0,
            "rejected": 0,
            "untracked": 0,
            "unseen_s": 0.0,
            "run_s": 12.0,
        },
        "loss_share": 0.0,
        "inconclusive": [],
        "overhead": {"ns_per_hit": 260.0, "hits_per_s": 1000.0, "cpu_percent": 0.026, "missed": 0},
        "over_budget": [],
        "bpftrace": {"version": "0.17.0"},
        "kernel": "6.18.0",
        "source": "bpftrace",
    }


def test_json_has_null_where_nothing_came_and_no_nan() -> None:
    shot = snapshot(
        {"request_latency": measure(summary=Summary(0, float("nan")))}, overhead=Overhead(float("inf"), None, None)
    )
    report = json.loads(json.dumps(to_json(shot), allow_nan=False))
    assert report["measures"]["request_latency"]["p50_ns"] is None
    assert report["measures"]["request_latency"]["rate_per_s"] is None
    assert report["overhead"] == {"ns_per_hit": None, "hits_per_s": None, "cpu_percent": None, "missed": 0}


def test_numpy_numbers_do_not_reach_json() -> None:
    odd = Summary(int(np.int64(3)), np.float64(1.5), *[np.int64(7)] * 6)  # type: ignore[arg-type]
    report = json.loads(json.dumps(to_json(snapshot({"request_latency": measure(summary=odd)}))))
    assert report["measures"]["request_latency"]["p999_ns"] == 7


def test_the_text_report_word_for_word() -> None:
    slow = [SlowRequest(UNIX_NS, "request", 2_000_001, "10.0.0.1", {"read_queue_ns": 7_000, "pid": 11})]
    assert to_text(snapshot(slow=slow)) == (
        "nginx  10 s to 2026-11-22 21:45:00 UTC\n"
        "processes 11, 12 · ports 80, 443\n"
        "Request latency: p50 1.00 ms, p99 2.00 ms, max 2.00 ms (n 4, 0.4/s)\n"
        "\n"
        "                          n     p50     p90     p95     p99    p99.9      max\n"
        "Request latency           4 1.00 ms 2.00 ms 2.00 ms 2.00 ms? 2.00 ms? 2.00 ms\n"
        "? fewer than 100 observations for p99, 1000 for p99.9: close to the maximum\n"
        "\n"
        "Request latency: from when it begins to when it ends\n"
        "   500 µs - 1.00 ms  ████████████████████████████████████████████      3    75 %\n"
        "  1.00 ms - 2.00 ms  ██████████████▋                                   1    25 %\n"
        "\n"
        "Clients by request latency, those with most of the slowest 1 % first\n"
        "  client                                      n of slow     p50     p99     max\n"
        "  10.0.0.1                                    3     0 % 1.00 ms 1.00 ms 1.00 ms\n"
        "  2001:db8:ffff:ffff:ffff:ffff:ffff:ffff      1     0 % 2.00 ms 2.00 ms 2.00 ms\n"
        "\n"
        "Slowest requests (UTC), from the arrival of the data to the first byte sent\n"
        "  21:45:00.123  2.00 ms  10.0.0.1  read queue 7.00 µs  pid 11\n"
        "\n"
        "events   10 = 4 shown + 6 suppressed + 0 lost + 0 rejected\n"
        "own cost 260 ns per hit x 1000/s = 0.0 % of one CPU\n"
        "with     bpftrace 0.17.0, Linux 6.18.0\n"
    )


def test_clients_with_most_of_the_slow_ones_come_first_and_others_last() -> None:
    rows = [
        ClientRow("others", 900, 90.0, 1_000_000, 9_000_000, 9_000_000, slow=1),
        ClientRow("10.0.0.1", 60, 6.0, 1_000_000, 1_000_000, 1_000_000, slow=1),
        ClientRow("10.0.0.9", 40, 4.0, 1_000_000, 9_000_000, 9_000_000, slow=8),
    ]
    shown = replace(measure(summary=Summary(1000, 100.0, 1, 1, 1, 1, 1, 1), clients=rows), slow=10)
    lines = to_text(snapshot({"request_latency": shown})).splitlines()
    place = next(index for index, row in enumerate(lines) if row.startswith("Clients by"))
    assert [" ".join(row.split()[:7]) for row in lines[place + 2 : place + 5]] == [
        "10.0.0.9 40 4.0 % 80 % 1.00",
        "10.0.0.1 60 6.0 % 10 % 1.00",
        "others 900 90 % 10 % 1.00",
    ]


def test_what_stood_out_is_told_with_its_time_or_why_nothing_can_be_known() -> None:
    found = clause("slow", REQUEST, [("p99 400 ms", True)], "82 of 1,789 in the last 10 s", Place("latency"))
    who = clause("client", "\x1b[31m", [("all from \x1b[31m", True)], "n 3", Place("clients"))
    first = Episode(UNIX_NS, UNIX_NS + 9 * 10**9, UNIX_NS, True, (found,))
    last = replace(
        first, began_ns=UNIX_NS + 60 * 10**9, ended_ns=UNIX_NS + 180 * 10**9, over=False, clauses=(found, who)
    )
    text = to_text(snapshot(), episodes=(last, first))
    assert (
        "What stood out (UTC)\n  21:45:00  for 9 s: p99 400 ms\n  21:46:00  for 2 min, to the end: p99 400 ms" in text
    )
    assert "\x1b" not in text
    assert "What stood out (UTC)\n  nothing; no level was known yet" in to_text(snapshot(), episodes=())
    assert "What stood out" not in to_text(snapshot())
    told = to_json(snapshot(), (last, first))["stood_out"]
    assert [(each["began_ns"], each["over"]) for each in told] == [(UNIX_NS, True), (UNIX_NS + 60 * 10**9, False)]
    assert told[0]["clauses"] == [{"text": "p99 400 ms", "evidence": "82 of 1,789 in the last 10 s"}]
    assert "stood_out" not in to_json(snapshot())


STALL = SlowRequest(
    UNIX_NS, "stall", 30_000_000, "", {"pid": 11, "tid": 12, "in_syscall_ns": 29_000_000}, {"syscall": "pread64"}
)
UPSTREAM = SlowRequest(UNIX_NS, "upstream", 2_000_000, "", {"pid": 11}, {"peer": "10.0.0.9:80"})


def test_keys_counters_and_single_events_of_scripts_word_for_word() -> None:
    text = to_text(scripted({"read_time": by_call()}, [STALL, UPSTREAM]))
    assert (
        "Read time by syscall\n"
        "  syscall                    n     rate      p50     p99     max   total of wall\n"
        "  pread64                   30    3.0/s  50.0 ms 90.0 ms 99.0 ms  2.00 s    20 %\n"
        "  openat                    10    1.0/s  50.0 ms 60.0 ms 60.0 ms  500 ms   5.0 %\n"
        "\n"
        "Resets                              7     0.7/s\n"
        "  10.0.0.1                   7\n"
        "\n"
        "Slowest answers of upstreams (UTC)\n"
        "  21:45:00.123  2.00 ms  10.0.0.9:80  pid 11\n"
        "\n"
        "Longest event-loop stalls (UTC), each with the longest system call in it\n"
        "  21:45:00.123  30.0 ms  pread64  pid 11  tid 12  in syscall 29.0 ms\n"
    ) in text
    assert max(map(len, text.splitlines())) <= 80


def test_json_has_keys_with_their_share_and_the_slowest_of_each_kind() -> None:
    report = json.loads(json.dumps(to_json(scripted({"read_time": by_call()}, [STALL] * 30 + [UPSTREAM]))))
    shown = report["measures"]["read_time"]
    assert (shown["key"], [(row["key"], row["share_of_wall"]) for row in shown["keys"]]) == (
        "syscall", [("pread64", 0.2), ("openat", 0.05)],
    )  # fmt: skip
    assert report["counters"]["resets"]["clients"] == [{"client": "10.0.0.1", "count": 7, "rate_per_s": 0.7}]
    stall = {"timestamp_ns": UNIX_NS, "latency_ns": 30_000_000, "pid": 11, "tid": 12, "in_syscall_ns": 29_000_000}
    assert report["slowest"]["stall"] == [{**stall, "syscall": "pread64"}] * 20
    assert report["slowest"]["upstream"] == [
        {"timestamp_ns": UNIX_NS, "latency_ns": 2_000_000, "pid": 11, "peer": "10.0.0.9:80"}
    ]


def test_nothing_is_said_as_nothing() -> None:
    text = to_text(snapshot({"request_latency": measure()}))
    assert "nothing came in 10 s" in text
    assert "█" not in text


def test_a_simulation_is_never_taken_for_a_measurement() -> None:
    assert "simulation: these figures are not from a kernel" in to_text(snapshot(source="simulation"))
    assert to_json(snapshot(source="simulation"))["source"] == "simulation"


@pytest.mark.parametrize("foreign", HOSTILE)
@pytest.mark.parametrize("ascii_only", [False, True])
def test_foreign_words_cannot_steer_the_terminal(foreign: str, ascii_only: bool) -> None:
    rows = [ClientRow(foreign, 1, 0.1, 1, 1, 1)]
    hostile = measure(summary=Summary(1, 0.1, 1, 1, 1, 1, 1, 1), buckets=[(1, 2, 1)], clients=rows)
    slow = [SlowRequest(UNIX_NS, foreign, 10, foreign, {"pid": 1})]
    shot = snapshot({"request_latency": hostile}, name=foreign, slow=slow)
    text = to_text(shot, ascii_only)
    assert not any((ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 or c == "\u202e" for c in text)
    assert text.isascii() or not ascii_only
    assert all(not row.startswith("E 1 2") for row in text.splitlines())


@given(
    st.lists(st.integers(0, 2**41), max_size=200),
    st.integers(0, 2**41),
    st.text(max_size=60),
)
@example([1], 1, "2001:4860:1234:5678:9abc:def0:1234:5678")
def test_no_line_is_longer_than_80_and_no_observation_left_out(values: list[int], big: int, client: str) -> None:
    h = _histogram_of(values)
    n = len(values)
    s = Summary(n, n / 10, *[big] * 6) if n else Summary(0, 0.0)
    rows = [ClientRow(client, n, big / 3, big, big, big)] if n else []
    shot = snapshot(
        {"read_queue_latency": measure("read_queue_latency", s, [], rows)},
        name=client,
        slow=[SlowRequest(big % 2**60, client, big, client, {client: big, "x_ns": big})],
        accounting=Accounting(*[big] * 6),
        overhead=Overhead(float(big), float(big), float(big)),
    )
    assert max(len(row) for row in to_text(shot).splitlines()) <= 80
    assert sum(count for _, _, count in steps(h)) == n
    for row in histogram_lines(h):
        assert len(row) <= 80


def test_every_bar_that_is_not_empty_is_seen() -> None:
    rows = histogram_lines(histogram([(1000, 1010, 1_000_000), (50_000_000, 50_100_000, 1)]))
    assert re.search(r"[▏▎▍▌▋▊▉█]", rows[-1])
    assert not re.search(r"[▏▎▍▌▋▊▉█]", rows[1])
    assert "#" in histogram_lines(histogram([(1, 2, 1), (900, 901, 10**6)]), ascii_only=True)[0]


def test_an_interval_is_one_line_under_its_heading() -> None:
    shot = snapshot({"request_latency": busy(), "read_queue_latency": measure("read_queue_latency")})
    assert line(shot) == "21:45:00      4    0.4/s  1.00 ms  2.00 ms  2.00 ms  2.00 ms        –      0"
    assert len(heading()) == len(line(shot))
    assert len(line(snapshot({}))) == len(heading())


@given(st.text(max_size=50), st.integers(0, 20))
def test_safe_text_keeps_letters_and_length(text: str, cells: int) -> None:
    assert len(safe(text)) == len(text)
    assert len(safe(text, cells)) <= max(cells, 1)
    assert all(c.isprintable() or c == "\N{REPLACEMENT CHARACTER}" or not c.isascii() for c in safe(text))


@given(st.text(max_size=60), st.integers(2, 40))
def test_cut_in_the_middle_both_ends_stay(text: str, cells: int) -> None:
    shown, whole = both_ends(text, cells), safe(text)
    assert len(shown) == min(len(whole), cells)
    if len(whole) > cells:
        head = (cells - 1) // 3
        assert shown[: head + 1] == whole[:head] + "…"
        assert whole.endswith(shown[head + 1 :])
    assert both_ends("unix:/run/php/php8.2-fpm-www.sock", 28) == "unix:/run…hp8.2-fpm-www.sock"


def _histogram_of(values: list[int]) -> Histogram:
    index, counts = np.unique(buckets.bucket_of(values), return_counts=True) if values else (np.zeros(0, int),) * 2
    return Histogram(buckets.lower_edge(index), buckets.upper_edge(index), counts.astype(np.int64))
