"""Which worker reads late: by its turns of the event loop, or by the process ids of single requests."""

from __future__ import annotations

from collections import Counter

from bpftop import units
from bpftop.stats.case import LEAST, SLOW_CPU_NS, Case
from bpftop.stats.clause import Clause, Place, clause
from bpftop.stats.stages import READ

STALL, STALL_WAIT = "loop_stall", "loop_wait"


def worker(case: Case) -> Clause | None:
    """The worker that reads late: by the process ids of slow requests, or by its turns of the event loop."""
    loop = _loop(case)
    return loop or _late_reader(case)


def hanging(case: Case) -> frozenset[str]:
    """The processes that hang in the kernel."""
    return frozenset(str(each.pid) for each in case.snapshot.standstill.held if each.state == "in the kernel")


def _late_reader(case: Case) -> Clause | None:
    """The process that read most of the requests that waited to be read, among several."""
    if len(case.snapshot.target.processes) < 2:
        return None
    read = case.recent.get(READ)
    limit = read.limit_ns if read else 0
    known = [each for each in case.events("request") if {"pid", "read_queue_ns"} <= each.fields.keys()]
    late = [each for each in known if each.fields["read_queue_ns"] >= limit]
    waited: Counter[int] = Counter()
    for each in late:
        waited[each.fields["pid"]] += each.fields["read_queue_ns"]
    if len(late) < LEAST:
        return None
    pid, ns = waited.most_common(1)[0]
    if ns < case.most("worker", str(pid)) * waited.total():
        return _all_late(waited, len(late), limit)
    mine = [each.fields["read_queue_ns"] for each in late if each.fields["pid"] == pid]
    said = [("worker ", False), (str(pid), True), (" reads late", False)]
    evidence = (
        f"{len(mine):,} of {len(late):,} single requests of the last 10 s that waited over {units.duration(limit)}, "
        f"{units.percent(ns / waited.total())} of their waiting; up to {units.duration(max(mine))}"
    )
    return clause("worker", str(pid), said, evidence, Place("slow", "", f"pid={pid}"))


def _all_late(waited: Counter[int], n: int, limit_ns: int) -> Clause | None:
    """Several processes read late alike: none of them has less than half of its share of the waiting."""
    whole = waited.total()
    if min(waited.values()) < whole / len(waited) / 2:
        return None
    said = [("workers ", False), (", ".join(map(str, sorted(waited)[:4])), True)]
    said.append((f"{' …' * (len(waited) > 4)} read late alike", False))
    shares = [units.percent(part / whole) for part in (min(waited.values()), max(waited.values()))]
    evidence = (
        f"{n:,} single requests of the last 10 s waited over {units.duration(limit_ns)}; each of {len(waited)} workers "
        f"has {shares[0]} to {shares[1]} of their waiting"
    )
    return clause("workers", "all", said, evidence, Place("slow"))


def _loop(case: Case) -> Clause | None:
    """The event loop whose turns are long."""
    stalls, waits = case.recent.get(STALL), case.recent.get(STALL_WAIT)
    row = max(stalls.rows, key=lambda each: each.total_ns or 0, default=None) if stalls else None
    if stalls is None or row is None:
        return None
    thread = row.client.rpartition(" ")[2]
    waited = next((each.total_ns or 0 for each in waits.rows if each.client == row.client), 0) if waits else 0
    busy = (row.total_ns or 0) / max((row.total_ns or 0) + waited, 1)
    if (row.max_ns or 0) < SLOW_CPU_NS or busy < case.most("worker", thread) or thread in hanging(case):
        return None
    said = [("worker ", False), (row.client, True), (" is busy", False)]
    slowest = max(
        (each for each in case.events("stall") if str(each.fields.get("tid")) == thread),
        key=lambda each: each.latency_ns,
        default=None,
    )
    if slowest is not None:
        call, in_call = slowest.texts.get("syscall", ""), slowest.fields.get("in_syscall_ns", 0)
        said.append((f", {units.duration(slowest.latency_ns)} a turn", False))
        if call and in_call >= slowest.latency_ns / 2:
            said += [(" in ", False), (call, True)]
    evidence = f"{units.percent(busy)} of its time in the last 10 s; turns up to {units.duration(row.max_ns)}, "
    evidence += f"n {row.count:,}"
    return clause("worker", thread, said, evidence, Place("script", STALL, row.client, "eventloop"))
