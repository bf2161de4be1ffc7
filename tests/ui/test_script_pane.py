"""The pane of a script that was asked for."""

from __future__ import annotations

from dataclasses import replace

from bpftop.model import EventStream, SlowRequest, State
from bpftop.ui.panes.singly import MOST, singly
from tests.snapshots import UNIX_NS
from tests.ui import builders
from tests.ui.driving import screen_text
from tests.ui.states import state

CALLS = builders.with_calls(builders.live())


def rows_of(screen: str) -> list[str]:
    """The names in the table below the heading, top down."""
    lines = screen.splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip().startswith("System call") and "Count" in line)
    return [line.split()[0] for line in lines[start + 1 :] if line.strip()][:4]


def test_a_script_has_a_tab_before_the_scripts() -> None:
    assert "5 Slow" in screen_text(CALLS)
    tabs = screen_text(CALLS, size=(120, 40)).splitlines()[1]
    assert "6 Syscalls" in tabs
    assert "7 Scripts" in tabs
    assert "6 Scripts" in screen_text(builders.live(), size=(120, 40)).splitlines()[1]


def test_rows_are_by_the_time_they_took_together() -> None:
    screen = screen_text(CALLS, "6")
    assert rows_of(screen) == ["fsync", "writev", "openat", "recvfrom"]
    assert "378 ms" in screen  # 18 x 21 ms


def test_any_column_sorts_and_reverses() -> None:
    assert rows_of(screen_text(CALLS, "6", "s")) == ["writev", "recvfrom", "openat", "fsync"]
    assert rows_of(screen_text(CALLS, "6", "s", "S")) == ["fsync", "openat", "recvfrom", "writev"]
    assert rows_of(screen_text(CALLS, "6", "s", "s", "s", "s", "s")) == ["fsync", "openat", "recvfrom", "writev"]


def test_v_steps_through_the_figures_and_back() -> None:
    second, third, first = (screen_text(CALLS, "6", *["v"] * presses) for presses in (1, 2, 3))
    assert "not split" in second or "nothing observed" in second
    assert "Share" in third
    assert "openat" in third
    assert rows_of(first) == ["fsync", "writev", "openat", "recvfrom"]
    assert screen_text(CALLS, "6", "V") == third


def test_a_counter_shows_counts_and_no_times() -> None:
    screen = screen_text(CALLS, "6", "v", "v")
    heading = next(line for line in screen.splitlines() if "System call " in line and "Share" in line)
    assert "p99" not in heading
    assert "94 %" in screen  # 30 of 32


def test_figures_of_a_script_that_has_failed_since_are_said_to_be_old() -> None:
    scripts = [
        replace(each, state=State.FAILED, detail="bpftrace ended with signal 9") if each.name == "syscalls" else each
        for each in CALLS.scripts
    ]
    screen = screen_text(replace(CALLS, scripts=tuple(scripts)), "6", size=(120, 40))
    assert "syscalls failed: bpftrace ended with signal 9: these figures are of until then" in screen
    assert "x: take it away" in screen
    assert "fsync" in screen


def test_nothing_observed_is_said() -> None:
    empty = builders.with_calls(builders.live(), 0)
    assert "nothing observed in this window" in screen_text(empty, "6")
    attaching = replace(empty, tracer=replace(empty.tracer, state=State.ATTACHING))
    assert "attaching …" in screen_text(attaching, "6")


def test_without_an_answer_of_an_upstream_it_is_said_where_failed_connections_are() -> None:
    screen = " ".join(screen_text(state("empty"), "9").split())
    assert "no upstream has answered in this window" in screen
    assert "(failed connects)" in screen


def test_the_help_explains_the_script() -> None:
    screen = screen_text(CALLS, "6", "question_mark", size=(100, 70))
    assert "How long the server's system calls take." in screen
    assert "next figure" in screen


def test_a_key_beyond_the_last_pane_does_nothing() -> None:
    assert screen_text(CALLS, "9") == screen_text(CALLS)
    assert "open pane" not in screen_text(CALLS, "question_mark", size=(100, 60))


def test_wide_screens_show_the_distribution_beside() -> None:
    screen = screen_text(CALLS, "6", size=(160, 50))
    assert "the thread entered the kernel → it came back" in screen


def test_clients_are_never_system_calls() -> None:
    names = [screen_text(CALLS, "4", *["v"] * presses).splitlines()[2].split("  ")[0].strip() for presses in range(5)]
    assert names[0] == "Request latency"
    assert sorted(names) == sorted(each.title for each in builders.MEASURES)
    assert "System call latency" in screen_text(CALLS, "2", *["v"] * 4)


def test_the_slowest_single_events_stand_below_the_table() -> None:
    stream = EventStream("stall", "syscall_latency", ("timestamp_ns", "latency_ns", "pid", "syscall", "in_syscall_ns"))
    stalls = [
        SlowRequest(
            UNIX_NS, "stall", latency_ms * 10**6, "", {"pid": 7, "in_syscall_ns": 10**6}, {"syscall": "pread64"}
        )
        for latency_ms in range(40, 20, -1)
    ]
    history = replace(builders.history(100), streams=(stream,))
    shown = replace(CALLS, slow=tuple(stalls), histories=(history,))
    screen = screen_text(shown, "6").splitlines()
    title = next(i for i, line in enumerate(screen) if "the slowest, one by one" in line)
    assert "Client" not in screen[title + 1]
    assert [line.split()[1:4] for line in screen[title + 2 : title + 4]] == [
        ["40.0", "ms", "pread64"],
        ["39.0", "ms", "pread64"],
    ]
    assert len(singly(shown, ("syscall_latency",), 80, 40)) == 3 + MOST
    assert len(singly(shown, ("syscall_latency",), 80, 6)) == 6
    assert singly(shown, ("syscall_latency",), 80, 3) == []
    assert singly(shown, ("other_latency",), 80, 40) == []
