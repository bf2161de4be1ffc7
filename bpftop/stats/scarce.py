"""Whether CPUs are scarce: then everything is slow, and nobody is guilty who is not far slower than all others."""

from __future__ import annotations

from collections.abc import Iterable

from bpftop import units
from bpftop.model import ClientRow, CpuWait, Neighbour, Recent
from bpftop.stats.case import Case
from bpftop.stats.clause import Clause, Place, Words, clause
from bpftop.stats.levels import NOW_S
from bpftop.stats.stages import REQUEST, RESPONSE, stages

SHORT, STILL_SHORT = 0.2, 0.1
"""CPUs are scarce when one thread has waited for so much of the time, or all together for so much of the requests'
time; once said, it needs less to stay said."""
PART, STILL_PART = 0.1, 0.05
"""It is said of what is slow after the read when the waiting is so much of the requests' time."""
LIMIT, STILL_LIMIT = 0.1, 0.05
"""The same of the time in which a CPU limit held the target back."""
PRESSED = 0.5
"""Something waited for a CPU for so much of the time."""
CONTRAST = 3.0
"""Its mean is so many times that of all others: what all of them suffer from is no reason for that."""


def scarce(case: Case, slow: str = "") -> list[Clause]:
    """No CPU for the target, or for an upstream on this machine: a limit of its control group, or others.

    ``slow``: the measure that it is to explain; none where few requests are answered.
    """
    now = case.snapshot.standstill.scarce
    if not now.span_s:
        return []
    if _limited(case, now.cpu, ""):
        return [_limit(case, now.cpu, "")]
    if _lacks(case) and _explains(case, slow):
        return [_short(case, now.cpu, "")]
    for each in now.neighbours if slow in ("", REQUEST) else ():
        if _limited(case, each.cpu, each.name):
            return [_limit(case, each.cpu, each.name)]
        if _waits(case, each.cpu):
            return [_short(case, each.cpu, each.name)]
    return []


def short(case: Case) -> bool:
    """Whether the target has so little CPU that everything is slow."""
    now = case.snapshot.standstill.scarce
    return bool(now.span_s) and (_limited(case, now.cpu, "") or _lacks(case))


def perhaps_short(case: Case) -> bool:
    """Whether CPUs may be scarce, of the target or of an upstream on this machine: half of the evidence, or others
    that wait for one. It takes seconds until it is known."""
    now = case.snapshot.standstill.scarce
    all_ = [now.cpu, *(each.cpu for each in now.neighbours)]
    return bool(now.span_s) and (
        short(case)
        or max(each.longest_s for each in all_) >= STILL_SHORT * now.span_s
        or max(each.throttled_s for each in all_) >= STILL_LIMIT * now.span_s
        or (now.pressure_s or 0.0) >= PRESSED * now.span_s
    )


def short_upstream(case: Case, name: str) -> bool:
    """Whether an upstream is on this machine and has so little CPU; where its processes are not known: whether the
    machine has."""
    now = case.snapshot.standstill.scarce
    if not now.span_s:
        return False
    near = _neighbour(now.neighbours, name)
    if near is not None:
        return _waits(case, near.cpu)
    return _is_loopback(name) and (now.pressure_s or 0.0) >= PRESSED * now.span_s


def contrasts(row: ClientRow, whole: Recent) -> bool:
    """Whether it is far slower than all others together: what all suffer from cannot be the reason."""
    rest = whole.now.count - row.count
    if rest <= 0 or not row.count:
        return False
    others = max((whole.now.total_ns or 0) - (row.total_ns or 0), 0) / rest
    return (row.total_ns or 0) / row.count >= CONTRAST * others


def _lacks(case: Case) -> bool:
    """Whether the target's threads have waited for a CPU for enough of the time, or of the requests' time."""
    now = case.snapshot.standstill.scarce
    return max(now.cpu.longest_s / now.span_s, _of_requests(case)) >= _enough(case, "cpu ", SHORT, STILL_SHORT)


def _of_requests(case: Case) -> float:
    """The threads' waiting beside the time of all requests."""
    now = case.snapshot.standstill.scarce
    spent_s = sum(stages({name: each.now for name, each in case.recent.items()}).values()) / 1e9
    return now.cpu.wait_s / now.span_s * NOW_S / spent_s if spent_s else 0.0


def _explains(case: Case, slow: str) -> bool:
    """Whether that can be what is slow: who comes while a thread waits is in a queue; of what is slow after the read
    it can be no more than the waiting itself; few are answered when a thread waits for long."""
    if not slow:
        return _waits(case, case.snapshot.standstill.scarce.cpu)
    return slow not in (REQUEST, RESPONSE) or _of_requests(case) >= _enough(case, "cpu ", PART, STILL_PART)


def _waits(case: Case, cpu: CpuWait) -> bool:
    return cpu.longest_s >= _enough(case, "cpu ", SHORT, STILL_SHORT) * case.snapshot.standstill.scarce.span_s


def _limited(case: Case, cpu: CpuWait, name: str) -> bool:
    return (
        cpu.throttled_s >= _enough(case, f"limit {name}", LIMIT, STILL_LIMIT) * case.snapshot.standstill.scarce.span_s
    )


def _enough(case: Case, key: str, share: float, still: float) -> float:
    return still if key in case.named else share


def _neighbour(near: Iterable[Neighbour], name: str) -> Neighbour | None:
    return next((each for each in near if each.name == name), None)


def _is_loopback(name: str) -> bool:
    return name.startswith(("127.", "[::1]", "unix:"))


def _limit(case: Case, cpu: CpuWait, upstream: str) -> Clause:
    span = units.span(case.snapshot.standstill.scarce.span_s)
    said: list[Words] = [("its ", False), ("CPU limit", True), (" holds it back", False)]
    if upstream:
        said = [("the ", False), ("CPU limit", True), (" of upstream ", False), (upstream, True)]
        said.append((" holds it back", False))
    evidence = (
        f"control group {cpu.group} was throttled for {units.duration(cpu.throttled_s * 1e9)} in {span} (cpu.stat, all "
        f"CPUs together); ready and without a CPU for {units.duration(cpu.wait_s * 1e9)}"
    )
    return clause("limit", upstream, said, evidence, _place(case))


def _short(case: Case, cpu: CpuWait, upstream: str) -> Clause:
    now = case.snapshot.standstill.scarce
    span, wait = units.span(now.span_s), units.duration(cpu.wait_s * 1e9)
    who = f"upstream {upstream}" if upstream else "it"
    said: list[Words] = [("the machine is short of ", False), ("CPU", True)]
    said += [(f": {who} waited for one {wait} in {span}", False)]
    evidence = (
        f"ready to run and without a CPU (schedstat): all threads together {wait}, one of them "
        f"{units.duration(cpu.longest_s * 1e9)}"
    )
    if now.pressure_s is not None:
        share = units.percent(min(now.pressure_s / now.span_s, 1.0))
        evidence += f"; something on this machine waited for a CPU in {share} of the time (/proc/pressure/cpu)"
    return clause("cpu", "", said, evidence, _place(case))


def _place(case: Case) -> Place:
    if case.runs("scheduler"):
        return Place("script", "run_queue_latency", "", "scheduler")
    return Place("start", "", "", "scheduler")
