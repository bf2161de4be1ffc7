"""Who and what is behind a stage that takes long: by the shares that measured rows and single events have in it."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from bpftop import units
from bpftop.model import ClientRow, Measure, Recent, ScriptStatus, SlowRequest, Snapshot, State
from bpftop.stats.clause import Clause, Place, clause
from bpftop.stats.levels import NOW_S, RISEN_TIMES
from bpftop.stats.stages import ACCEPT, READ, REQUEST, RESPONSE, UPSTREAM, Excess

MOST, STILL_MOST = 0.6, 0.45
"""The share from which on something is somebody's; once said, it needs less to stay said."""
TIMES = 2.0
"""A client's share of the slow ones is this many times its share of all: else it is simply most of the traffic."""
LEAST = 8
"""Fewer slow observations than this prove nothing."""
OTHERS = "others"
STALL, STALL_WAIT = "loop_stall", "loop_wait"
DISK, DISK_QUEUE, CALLS, RUN_QUEUE, PREEMPTED = (
    "disk_latency", "disk_queue_latency", "syscall_latency", "run_queue_latency", "preempted_time"
)  # fmt: skip
SLOW_DISK_NS, SLOW_CALL_NS, SLOW_CPU_NS = 2_000_000, 1_000_000, 5_000_000
"""p99 below these is no cause, whatever it has risen from."""
TELLS: Mapping[str, tuple[str, ...]] = {
    ACCEPT: ("eventloop", "scheduler", "syscalls"),
    READ: ("eventloop", "scheduler", "disk", "syscalls"),
    REQUEST: ("upstream", "eventloop", "disk", "syscalls", "scheduler"),
    RESPONSE: ("tcp",),
}
"""Scripts that tell more about a stage, the first one first."""


@dataclass(frozen=True, slots=True)
class Case:
    """What all questions are asked of."""

    snapshot: Snapshot
    named: frozenset[str]

    @property
    def recent(self) -> Mapping[str, Recent]:
        """All measures in the last ten seconds."""
        return self.snapshot.recent

    def most(self, kind: str, about: str) -> float:
        """The share that is enough to say it."""
        return STILL_MOST if f"{kind} {about}" in self.named else MOST

    def measure(self, name: str) -> Measure:
        """The declaration of a measure."""
        return self.snapshot.measures[name].measure

    def title(self, name: str) -> str:
        """``request latency``."""
        return self.measure(name).title.lower() if name in self.snapshot.measures else name.replace("_", " ")

    def script(self, name: str) -> ScriptStatus | None:
        """The state of a script."""
        return next((each for each in self.snapshot.scripts if each.name == name), None)

    def runs(self, name: str) -> bool:
        """Whether its figures are there."""
        script = self.script(name)
        return script is not None and script.state is State.LIVE

    def events(self, kind: str) -> list[SlowRequest]:
        """Single events of the last ten seconds."""
        return [each for each in self.snapshot.recent_slow if each.event == kind]

    @staticmethod
    def network(client: str) -> str:
        """The filter that only this address passes."""
        try:
            return f"{client}/{ipaddress.ip_address(client).max_prefixlen}"
        except ValueError:
            return client


# --- who ---


def who(case: Case, name: str) -> list[Clause]:
    """The one client, and the one route, that most slow observations of a measure are of."""
    found = []
    recent = case.recent.get(name)
    if recent is not None and name in case.snapshot.measures and case.measure(name).key == "client":
        row = _owner(case, "client", recent)
        if row is not None:
            said = [(units.percent(_share(row, recent)), True), (" of the slow ones from ", False), (row.client, True)]
            place = Place("clients", name, case.network(row.client))
            found.append(clause("client", row.client, said, _counted(row, recent), place))
    routes = case.recent.get("route_latency")
    if routes is not None and name == REQUEST:
        row = _owner(case, "route", routes)
        if row is not None:
            said = [(units.percent(_share(row, routes)), True), (" of the slow ones are ", False), (row.client, True)]
            place = Place("script", "route_latency", row.client, "http")
            found.append(clause("route", row.client, said, _counted(row, routes), place))
    return found


def _owner(case: Case, kind: str, recent: Recent) -> ClientRow | None:
    """The key of most slow observations, when it is not simply the key of most observations."""
    rows = [row for row in recent.rows if row.client != OTHERS]
    row = max(rows, key=lambda each: each.slow or 0, default=None)
    if row is None or (row.slow or 0) < LEAST or len(rows) < 2:
        return None
    share, of_all = _share(row, recent), row.count / max(recent.now.count, 1)
    enough = case.most(kind, row.client)
    return row if share >= enough and share >= TIMES * enough / MOST * of_all else None


def _share(row: ClientRow, recent: Recent) -> float:
    return min((row.slow or 0) / max(recent.slow, 1), 1.0)


def _counted(row: ClientRow, recent: Recent) -> str:
    of_all = units.percent(min(row.count / max(recent.now.count, 1), 1.0))
    return (
        f"{row.slow:,} of {recent.slow:,} over {units.duration(recent.limit_ns)} in the last 10 s; it has {of_all} of "
        f"all {recent.now.count:,}; its p99 {units.duration(row.p99_ns)}"
    )


# --- what ---


def behind(case: Case, worst: Excess) -> list[Clause]:
    """What the stage waits for, as far as scripts run that tell: the nearest cause first."""
    if worst.measure == REQUEST:
        found = [upstream(case), _disk(case, worst), _call(case, worst)]
    elif worst.measure in (READ, ACCEPT):
        found = [_worker(case), _disk(case, worst), _call(case, worst), _cpu(case)]
    else:
        found = []
    return [each for each in found if each is not None]


def upstream(case: Case) -> Clause | None:
    """The upstream that most of the server's time, or of the slow answers, is spent on."""
    found, request = case.recent.get(UPSTREAM), case.recent[REQUEST]
    if found is None:
        return None
    part = (found.now.total_ns or 0) / max(request.now.total_ns or 0, 1)
    row = max(found.rows, key=lambda each: each.total_ns or 0, default=None)
    if row is None:
        return None
    enough = case.most("upstream", row.client)
    own = (row.total_ns or 0) / max(found.now.total_ns or 0, 1)
    if part < enough or max(own, _share(row, found)) < enough:
        return None
    said = [("it waits for upstream ", False), (row.client, True), (f": p99 {units.duration(row.p99_ns)}", False)]
    evidence = (
        f"upstreams: {units.percent(min(part, 1.0))} of that time in the last 10 s, {units.percent(min(own, 1.0))} of "
        f"it this one, n {row.count:,}"
    )
    others = [each.p99_ns for each in found.rows if each is not row and each.p99_ns is not None]
    evidence += f"; p99 of others up to {units.duration(max(others))}" if others else ""
    return clause("upstream", row.client, said, evidence, Place("script", UPSTREAM, row.client, "upstream"))


def _disk(case: Case, worst: Excess) -> Clause | None:
    """The disk that the target's threads wait for."""
    disk, queue = case.recent.get(DISK), case.recent.get(DISK_QUEUE)
    row = max(disk.rows, key=lambda each: each.total_ns or 0, default=None) if disk else None
    if disk is None or row is None or not _slow(disk, SLOW_DISK_NS):
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
    if calls is None or row is None or not _slow(calls, SLOW_CALL_NS):
        return None
    if _part(case, worst, row.total_ns or 0) < case.most("call", row.client) / 2:
        return None
    said = [("in ", False), (row.client, True), (f": p99 {units.duration(row.p99_ns)}", False)]
    evidence = f"{units.duration(row.total_ns)} in it in the last 10 s ({_of_all(case)}); n {row.count:,}"
    return clause("call", row.client, said, evidence, Place("script", CALLS, row.client, "syscalls"))


def _cpu(case: Case) -> Clause | None:
    """Threads that want to run and have no CPU."""
    queue, read = case.recent.get(RUN_QUEUE), case.recent.get(READ)
    if queue is None or read is None or not _slow(queue, SLOW_CPU_NS):
        return None
    preempted = case.recent.get(PREEMPTED)
    total = (queue.now.total_ns or 0) + ((preempted.now.total_ns or 0) if preempted else 0)
    part = total / max(read.now.total_ns or 0, 1)
    if part < case.most("cpu", "") / 2:
        return None
    said = [("its threads wait for a ", False), ("CPU", True), (f": p99 {units.duration(queue.now.p99_ns)}", False)]
    evidence = f"{units.duration(total)} ready to run and not running in the last 10 s; n {queue.now.count:,}"
    return clause("cpu", "", said, evidence, Place("script", RUN_QUEUE, "", "scheduler"))


def _slow(recent: Recent, least_ns: int) -> bool:
    """Slow, and slower than it was (its tail or its mean), or not known for long enough to have been anything else."""
    now, before = recent.now, recent.before
    if (now.p99_ns or 0) < least_ns:
        return False
    mean, was = (now.total_ns or 0) / max(now.count, 1), (before.total_ns or 0) / max(before.count, 1)
    return recent.risen_s is not None or mean >= RISEN_TIMES * was


def _part(case: Case, worst: Excess, total_ns: float) -> float:
    """How much of the trouble a wait of the target's threads can explain: of the requests' time after the read; of the
    wall clock when they queue, since a thread that waits so serves nobody."""
    part = total_ns / max(_work_ns(case), 1.0)
    return part if worst.measure == REQUEST else max(part, total_ns / (NOW_S * 1e9))


def _of_all(case: Case) -> str:
    return f"all requests after the read: {units.duration(_work_ns(case))}"


def _work_ns(case: Case) -> float:
    """The time of all requests after the read: what the server works or waits for something else than itself."""
    request = case.recent.get(REQUEST)
    return float((request.now.total_ns or 0) if request else 0)


# --- which worker ---


def _worker(case: Case) -> Clause | None:
    """The worker that reads late: by the process ids of slow requests, or by its turns of the event loop."""
    loop = _loop(case)
    return loop or _late_reader(case)


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
    if (row.max_ns or 0) < SLOW_CPU_NS or busy < case.most("worker", thread):
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


# --- what would tell ---


def offered(case: Case, worst: Excess) -> list[Clause]:
    """The first script that tells more about the stage and does not run; an offer, no finding."""
    for name in TELLS.get(worst.measure, ()):
        script = case.script(name)
        if script is not None and script.state is State.OFF and not script.unfit:
            said = [("to know more: start ", False), (name, True)]
            cost = f", it costs {script.cost}" if script.cost else ""
            evidence = f"not measured yet: {script.title.lower()}; Enter starts it{cost}"
            return [clause("offer", name, said, evidence, Place("start", "", "", name))]
    return []
