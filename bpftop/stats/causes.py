"""What a stage that takes long waits for: upstream, disk, system call, CPU, by their shares of its time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bpftop import units
from bpftop.model import ClientRow, Recent, State
from bpftop.stats.case import LEAST, MOST, SLOW_CPU_NS, Case
from bpftop.stats.clause import Clause, Place, clause
from bpftop.stats.guilt import guilty
from bpftop.stats.levels import NOW_S, RISEN_TIMES
from bpftop.stats.scarce import contrasts, short, short_upstream
from bpftop.stats.stages import ACCEPT, READ, REQUEST, RESPONSE, UPSTREAM, Excess
from bpftop.stats.workers import hanging, worker

DISK, DISK_QUEUE, CALLS, RUN_QUEUE, PREEMPTED = (
    "disk_latency", "disk_queue_latency", "syscall_latency", "run_queue_latency", "preempted_time"
)  # fmt: skip
SLOW_DISK_NS, SLOW_CALL_NS = 2_000_000, 1_000_000
"""p99 below these is no cause, whatever it has risen from."""
SECOND = 0.1
"""A second stage is worth a word from this share of the time on."""
TOGETHER, OF_TWO = 2, 1 / 3
"""So many upstreams are named at most; one that has far more slow answers than chance explains, from this part of the
usual share on."""
TELLS: Mapping[str, tuple[str, ...]] = {
    ACCEPT: ("eventloop", "scheduler", "syscalls"),
    READ: ("eventloop", "scheduler", "disk", "syscalls"),
    REQUEST: ("upstream", "eventloop", "disk", "syscalls", "scheduler"),
    RESPONSE: ("tcp",),
}
"""Scripts that tell more about a stage, the first one first."""


def where(worst: Excess, others: Sequence[Excess] = ()) -> Clause:
    """The stage of most of the excess; a second one in trouble when the first has not most of the time."""
    said = [("time is in ", False), (worst.words, True), (f": {units.percent(worst.share)}", False)]
    if others and worst.share < MOST and others[0].share >= SECOND:
        said += [(", ", False), (others[0].words, True), (f": {units.percent(others[0].share)}", False)]
    evidence = (
        f"{units.duration(worst.total_ns)} of {units.duration(worst.whole_ns)} that all requests of the last 10 s took "
        f"together, n {worst.count:,}"
    )
    return clause("stage", worst.measure, said, evidence, Place("latency", worst.measure))


def behind(case: Case, worst: Excess) -> list[Clause]:
    """What the stage waits for, as far as scripts run that tell: the nearest cause first."""
    lacking = short(case)  # then calls and turns of the event loop last longer, whatever is in them
    call = None if lacking else _call(case, worst)
    if worst.measure == REQUEST:
        found = [*(upstream(case) or _upstreams(case)), _disk(case, worst), call]
    elif worst.measure in (READ, ACCEPT):
        found = [None if lacking else worker(case), _disk(case, worst), call, _cpu(case)]
    else:
        found = []
    return [each for each in found if each is not None]


def upstream(case: Case) -> list[Clause]:
    """The upstream that most of the server's time, or of the slow answers, is spent on; two that share it."""
    found, part = case.recent.get(UPSTREAM), _of_upstreams(case)
    if found is None:
        return []
    rows = _longest(found)
    if not rows or part < case.most("upstream", rows[0].client):
        return []
    proven = {each.row.client for each in guilty(found.rows, found, case.said("upstream"))}
    named = [
        row
        for row in rows
        if _own(row, found) >= case.most("upstream", row.client) * (OF_TWO if row.client in proven else 1.0)
    ]
    named = [row for row in named if contrasts(row, found) or not short_upstream(case, row.client)]
    return [_upstream(row, found, part, also=i > 0) for i, row in enumerate(named)]


def _upstreams(case: Case) -> list[Clause]:
    """That it waits for several and for none of them alone; nothing where they may only be short of CPU."""
    found, part = case.recent.get(UPSTREAM), _of_upstreams(case)
    rows = _longest(found) if found is not None else []
    if found is None or len(rows) < TOGETHER or part < case.most("upstreams", ""):
        return []
    if any(short_upstream(case, row.client) for row in rows):
        return []
    said = [("it waits for ", False), ("its upstreams", True), (f": p99 {units.duration(found.now.p99_ns)}", False)]
    each = ", ".join(f"{row.client} {units.percent(min(_own(row, found), 1.0))}" for row in rows)
    evidence = f"{units.percent(part)} of that time in the last 10 s, for none of them alone: {each}"
    return [clause("upstreams", "", said, evidence, Place("script", UPSTREAM, "", "upstream"))]


def _of_upstreams(case: Case) -> float:
    """The part of the server's time that it waits for upstreams; 0 while too little is known."""
    found, request = case.recent.get(UPSTREAM), case.recent.get(REQUEST)
    if found is None or request is None:
        return 0.0
    late = case.shorter(found)
    if late > 1 and found.now.count < LEAST:
        return 0.0
    return min(late * (found.now.total_ns or 0) / max(request.now.total_ns or 0, 1), 1.0)


def _longest(found: Recent) -> list[ClientRow]:
    return sorted(found.rows, key=lambda each: -(each.total_ns or 0))[:TOGETHER]


def _own(row: ClientRow, found: Recent) -> float:
    return (row.total_ns or 0) / max(found.now.total_ns or 0, 1)


def _upstream(row: ClientRow, found: Recent, of_time: float, also: bool) -> Clause:
    said = [("and for upstream " if also else "it waits for upstream ", False), (row.client, True)]
    said.append((f": p99 {units.duration(row.p99_ns)}", False))
    part, own = units.percent(of_time), units.percent(min(_own(row, found), 1.0))
    evidence = f"upstreams: {part} of that time in the last 10 s, {own} of it this one, n {row.count:,}"
    others = [each.p99_ns for each in found.rows if each is not row and each.p99_ns is not None]
    evidence += f"; p99 of others up to {units.duration(max(others))}" if others else ""
    return clause("upstream", row.client, said, evidence, Place("script", UPSTREAM, row.client, "upstream"))


def _disk(case: Case, worst: Excess) -> Clause | None:
    """The disk that the target's threads wait for."""
    disk, queue = case.recent.get(DISK), case.recent.get(DISK_QUEUE)
    row = max(disk.rows, key=lambda each: each.total_ns or 0, default=None) if disk else None
    if disk is None or row is None or not _slow(case, disk, SLOW_DISK_NS):
        return None
    total = (disk.now.total_ns or 0) + ((queue.now.total_ns or 0) if queue else 0)
    if _part(case, worst, total) < case.most("disk", row.client) / 2:
        return None
    said = [("it waits for the disk ", False), (row.client, True), (f": p99 {units.duration(row.p99_ns)}", False)]
    evidence = f"{units.duration(total)} waiting for disks in the last 10 s ({_of_all(case)}); n {row.count:,}"
    return clause("disk", row.client, said, evidence, Place("script", DISK, row.client, "disk"))


def _call(case: Case, worst: Excess) -> Clause | None:
    """The system call that the target's threads are in."""
    calls = case.recent.get(CALLS)
    row = max(calls.rows, key=lambda each: each.total_ns or 0, default=None) if calls else None
    if calls is None or row is None or not _slow(case, calls, SLOW_CALL_NS):
        return None
    if _part(case, worst, row.total_ns or 0) < case.most("call", row.client) / 2:
        return None
    said = [("in ", False), (row.client, True), (f": p99 {units.duration(row.p99_ns)}", False)]
    evidence = f"{units.duration(row.total_ns)} in it in the last 10 s ({_of_all(case)}); n {row.count:,}"
    return clause("call", row.client, said, evidence, Place("script", CALLS, row.client, "syscalls"))


def _cpu(case: Case) -> Clause | None:
    """Threads that want to run and have no CPU."""
    queue, read = case.recent.get(RUN_QUEUE), case.recent.get(READ)
    if queue is None or read is None or not _slow(case, queue, SLOW_CPU_NS):
        return None
    preempted = case.recent.get(PREEMPTED)
    total = (queue.now.total_ns or 0) + ((preempted.now.total_ns or 0) if preempted else 0)
    part = total / max(read.now.total_ns or 0, 1)
    if part < case.most("cpu", "") / 2:
        return None
    said = [("its threads wait for a ", False), ("CPU", True), (f": p99 {units.duration(queue.now.p99_ns)}", False)]
    evidence = f"{units.duration(total)} ready to run and not running in the last 10 s; n {queue.now.count:,}"
    return clause("cpu", "", said, evidence, Place("script", RUN_QUEUE, "", "scheduler"))


def _slow(case: Case, recent: Recent, least_ns: int) -> bool:
    """Slow, and slower than it was (its tail or its mean), or not known for long enough to have been anything else."""
    now, before = recent.now, recent.before
    if (now.p99_ns or 0) < least_ns:
        return False
    mean, was = (now.total_ns or 0) / max(now.count, 1), (before.total_ns or 0) / max(before.count, 1)
    return case.as_is or recent.risen_s is not None or mean >= RISEN_TIMES * was


def _part(case: Case, worst: Excess, total_ns: float) -> float:
    """How much of the trouble a wait of the target's threads can explain: of the requests' time after the read; of the
    wall clock when they queue, since a thread that waits so serves nobody."""
    part = total_ns / max(case.work_ns, 1.0)
    return part if worst.measure == REQUEST else max(part, total_ns / (NOW_S * 1e9))


def _of_all(case: Case) -> str:
    return f"all requests after the read: {units.duration(case.work_ns)}"


def offered(case: Case, worst: Excess) -> list[Clause]:
    """The first script that tells more about the stage and does not run; an offer, no finding."""
    names = TELLS.get(worst.measure, ())
    if worst.measure == REQUEST and _of_upstreams(case) >= MOST:
        names = ("http",)  # it waits, its threads have nothing to tell
    elif hanging(case):
        names = ("disk", "syscalls")
    if short(case):
        return [*_offer(case, ("scheduler",)), *_offer(case, [name for name in names if name != "scheduler"])]
    return _offer(case, names)


def _offer(case: Case, names: Iterable[str]) -> list[Clause]:
    for name in names:
        script = case.script(name)
        if script is not None and script.state is State.OFF and not script.unfit:
            said = [("to know more: start ", False), (name, True)]
            cost = f", it costs {script.cost}" if script.cost else ""
            evidence = f"not measured yet: {script.title.lower()}; Enter starts it{cost}"
            return [clause("offer", name, said, evidence, Place("start", "", "", name))]
    return []
