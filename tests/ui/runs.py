"""Runs of programs made by hand, for the screen."""

from __future__ import annotations

from dataclasses import replace

from bpftop.anyscript.model import (
    Bucket,
    Histogram,
    LogLine,
    MapView,
    Row,
    RunSnapshot,
    RunState,
    Stats,
    UserScript,
)
from bpftop.anyscript.scan import maps_of
from bpftop.model import Overhead

NOON = 1_770_000_000 * 10**9
TEXT = """BEGIN { printf("PID COMM RET"); }
tracepoint:syscalls:sys_exit_read {
  @reads = count(); @usecs = hist(1); @size[pid, comm] = hist(args->ret); @calls[comm] = count();
  @st = stats(args->ret); @at_end[kstack] = count(); @t[tid] = nsecs; delete(@t[tid]);
}
interval:s:1 { print(@reads); print(@usecs); print(@size); print(@calls); print(@st); }
"""
_FACTS = maps_of(TEXT)
_COUNTS = (3, 0, 0, 120, 4000, 9100, 700, 40, 0, 0, 0, 0, 0, 2)


def histogram(scale: int = 1) -> Histogram:
    edges = [(0, 0), (1, 1), *((1 << i, (2 << i) - 1) for i in range(1, 13))]
    return Histogram(tuple(Bucket(low, high, n * scale) for (low, high), n in zip(edges, _COUNTS, strict=True)))


def printed(name: str, rows: list[Row], keyed: bool) -> MapView:
    return MapView(_FACTS[name], keyed, tuple(rows), NOON + 60 * 10**9, 60)


def maps() -> tuple[MapView, ...]:
    wave = tuple(float(100 + 40 * ((i * 7) % 5)) for i in range(60))
    names = ("nginx", "redis-server", "postgres", "sshd", "hostile \x1b[31m\u202e,name")
    return (
        printed("@reads", [Row((), 13_965, 240.5, wave)], False),
        printed("@usecs", [Row((), histogram(), 240.5)], False),
        printed("@size", [Row((str(100 + i), n), histogram(5 - i), 9.5 * i) for i, n in enumerate(names)], True),
        printed("@calls", [Row((f"{names[i % 5]}{i}",), 900 - i, 1.5, wave[:9]) for i in range(40)], True),
        printed("@st", [Row((), Stats(40, 512, 20_480), 2.0, wave)], False),
        MapView(_FACTS["@at_end"], True),
        MapView(_FACTS["@t"], True),
    )


def live(lines: int = 300) -> RunSnapshot:
    """A program in its second minute: values, histograms, tables, a log with a heading, a map that comes at the end."""
    log = [LogLine(NOON + i * 10**8, f"{1000 + i:<8} nginx            {i * 37 % 4096}") for i in range(1, lines)]
    return RunSnapshot(
        script=UserScript("tools/reads.bt", TEXT, "reads.bt", _FACTS, None, ("4096",)),
        unix_ns=NOON + 61 * 10**9,
        started_unix_ns=NOON - 10**9,
        live_unix_ns=NOON,
        ended_unix_ns=None,
        state=RunState.LIVE,
        probes=3,
        version="0.17.0",
        maps=maps(),
        log=(LogLine(NOON, "PID      COMM             RET"), *log),
        log_head=("PID      COMM             RET", *(each.text for each in log[:3])),
        log_lines=lines,
        overhead=Overhead(420.0, 8650.0, 0.36),
    )


def waiting() -> RunSnapshot:
    """Nothing has come: its maps are printed when it ends."""
    facts = maps_of("tracepoint:a:b { @usecs = hist(1); @by[comm] = count(); }")
    views = tuple(MapView(each, bool(each.keys)) for each in facts.values())
    script = UserScript("quiet.bt", "tracepoint:a:b { }", "quiet.bt", facts)
    return replace(live(), script=script, maps=views, log=(), log_head=(), log_lines=0)


def ended(run: RunSnapshot) -> RunSnapshot:
    """The same after q: the map of the end has come."""
    stack = "\n    vfs_read+1\n    ksys_read+2\n    do_syscall_64+558\n"
    rows = (Row((stack,), 812), Row((stack.replace("vfs_read", "sock_read"),), 90))
    maps_ = tuple(replace(each, rows=rows, prints=1) if each.name == "@at_end" else each for each in run.maps)
    return replace(
        run,
        state=RunState.ENDED,
        detail="ended as asked",
        exit_code=0,
        ended_unix_ns=run.unix_ns,
        maps=tuple(each for each in maps_ if each.rows),
    )


def failed() -> RunSnapshot:
    """bpftrace does not accept it."""
    stderr = ("/proc/self/fd/5:2:14-20: ERROR: Unknown function: nosuch", "BEGIN { @a = nosuch(1); }", "        ~~~~~~")
    return replace(
        waiting(),
        script=UserScript("bad.bt", "// a tool\nBEGIN { @a = nosuch(1); }\n", "bad.bt", {}),
        maps=(),
        state=RunState.FAILED,
        detail="bad.bt:2: Unknown function: nosuch",
        hint="sed -n 2p bad.bt",
        failed_line=2,
        exit_code=1,
        probes=0,
        overhead=Overhead(),
        stderr=stderr,
    )


def lossy() -> RunSnapshot:
    """Events were lost, lines were dropped, a map is full."""
    run = live()
    full = tuple(replace(each, full=each.name == "@calls") for each in run.maps)
    return replace(run, maps=full, lost=1234, rejected=2, log_lines=25_300, log_dropped=5300)
