"""What stands still: processes that do not go on, connections without an answer, upstreams that say nothing.

All of it is what the kernel says of processes and sockets at this moment (bpftop.standstill), not counts of requests: a
request that is never answered is in no count.
"""

from __future__ import annotations

from collections.abc import Sequence

from bpftop import units
from bpftop.model import Held, Standstill, Waiting
from bpftop.stats.case import MOST, Case
from bpftop.stats.clause import Clause, Place, Words, clause
from bpftop.stats.guilt import TIMES
from bpftop.stats.scarce import short_upstream
from bpftop.stats.stages import ACCEPT, REQUEST, UPSTREAM

LEAST_OPEN = 3
"""So many answers are late before it is said of those that the server has read."""
LATE_S = 5
NO_WAIT_S = 10
"""Nobody waits for a CPU so long: who has not answered since then is silent, also on a machine without CPUs."""
LISTED = 4
_WORDS = {
    "stopped": ("is stopped", "are stopped"),
    "was stopped": ("was stopped", "were stopped"),
    "in the kernel": ("hangs in the kernel", "hang in the kernel"),
    "busy": ("is busy", "are busy"),
}
_MEANS = {
    "stopped": "by a signal (SIGSTOP, SIGTSTP) or a debugger, says the kernel; kill -CONT {pid} lets it go on",
    "was stopped": "by a signal (SIGSTOP, SIGTSTP) or a debugger, until a moment ago",
    "in the kernel": "uninterruptible in every look (state D), mostly a disk or a network file system",
    "busy": "a whole CPU without a pause",
}


def stuck(case: Case, trouble: bool) -> list[Clause]:
    """Who stands still and who waits for it. ``trouble``: something is slow, or fewer requests are answered."""
    now = case.snapshot.standstill
    late = _is_late(now) or (now.open >= LEAST_OPEN and any(each.state == "stopped" for each in now.held))
    found = [*_gone(case, trouble)]
    for state in _WORDS:
        held = [each for each in now.held if each.state == state]
        if held and (state == "stopped" or trouble or late):
            found.append(_held(held, now.workers))
    found += [_full(case, now)] if now.backlogs else []
    if late:
        found += [_open(case, now), *_whose(case, now), *_upstreams(case, now)]
    return found


def opened(case: Case) -> list[Clause]:
    """Who waits for an answer, where it is not known whether that is usual."""
    now = case.snapshot.standstill
    return [_open(case, now), *_whose(case, now), *_upstreams(case, now)]


def open_words(now: Standstill) -> str:
    """``2 requests open for over 5 s``; empty when there are none."""
    return f"{now.open:,} {_plural('request', now.open)} open for over {LATE_S} s" if now.open else ""


def _is_late(now: Standstill) -> bool:
    """Answers are late beyond what is usual here. Servers that hold requests open (long polls) have a level of it."""
    unread = now.unread > 2 * now.usual_unread
    return unread or (now.usual is not None and now.open >= LEAST_OPEN + 2 * now.usual)


def _gone(case: Case, trouble: bool) -> list[Clause]:
    if case.snapshot.target.processes or not trouble:
        return []
    said: list[Words] = [("no process of the target is left", True)]
    evidence = "the kernel has seen all of them end; what starts anew under this name is followed again"
    return [clause("gone", "", said, evidence, Place("scripts"))]


def _held(held: Sequence[Held], workers: Sequence[Waiting]) -> Clause:
    one = len(held) == 1
    first = held[0]
    pids = ", ".join(str(each.pid) for each in held[:LISTED]) + " …" * (len(held) > LISTED)
    said: list[Words] = [("worker " if one else "workers ", False), (f"{pids} {_WORDS[first.state][not one]}", True)]
    evidence = f"for {units.span(max(each.for_s for each in held))}: {_MEANS[first.state].format(pid=first.pid)}"
    evidence += f", in {first.inside}" if first.inside and first.state != "busy" else ""
    of_each = {each.name: each.count for each in workers}
    waits = sum(of_each.get(str(each.pid), 0) for each in held)
    evidence += f"; {waits:,} {_plural('connection', waits)} of it waited over {LATE_S} s" if waits else ""
    place = Place("slow", "", f"pid={first.pid}") if one else Place("slow")
    return clause("held", f"{first.state.removeprefix('was ')} {pids}", said, evidence, place)


def _full(case: Case, now: Standstill) -> Clause:
    queue = now.backlogs[0]
    said: list[Words] = [("the accept queue of port ", False), (f"{queue.port} is full", True)]
    evidence = f"{queue.length:,} connections wait to be accepted, the limit is {queue.limit:,} (backlog, somaxconn)"
    measure = ACCEPT if ACCEPT in case.snapshot.measures else REQUEST
    return clause("backlog", str(queue.port), said, evidence, Place("latency", measure))


def _open(case: Case, now: Standstill) -> Clause:
    many = f"{now.open:,} {_plural('connection', now.open)}"
    said: list[Words] = [(many, True), (f" waited over {LATE_S} s for an answer, oldest {_age(now.oldest_s)}", False)]
    evidence = f"{now.unread:,} of them with data that the server has not read"
    evidence += f"; {now.given_up:,} more have hung up" if now.given_up else ""
    evidence += f"; usual here: {now.usual:,}" if now.usual is not None else ""
    listed = ", ".join(f"{each.name} ({each.count:,})" for each in now.clients[:LISTED])
    return clause("open", "", said, f"{evidence}; {listed}", Place("clients", REQUEST))


def _whose(case: Case, now: Standstill) -> list[Clause]:
    """The client that most of them are of, and not simply of most connections."""
    top = now.clients[0] if now.clients else None
    if top is None or top.count < LEAST_OPEN or top.connections >= now.connections:
        return []
    of_late, of_all = top.count / now.open, top.connections / now.connections
    if of_late < MOST or of_late < TIMES * of_all:
        return []
    said: list[Words] = [(units.percent(of_late), True), (" of them from ", False), (top.name, True)]
    evidence = (
        f"{top.count:,} of {now.open:,}; it has {top.connections:,} of all {now.connections:,} connections; "
        f"oldest {_age(top.oldest_s)}"
    )
    return [clause("waits", top.name, said, evidence, Place("clients", REQUEST, case.network(top.name)))]


def _upstreams(case: Case, now: Standstill) -> list[Clause]:
    """The upstream that has not answered: others that are silent, too, are in the evidence."""
    silent = [each for each in now.upstreams if each.oldest_s >= NO_WAIT_S or not short_upstream(case, each.name)]
    if not silent:
        return []
    top = silent[0]
    requests = f"{top.count:,} {_plural('request', top.count)}"
    silence = f" has not answered {requests}" if case.as_is else " does not answer"
    said: list[Words] = [("upstream ", False), (top.name, True), (silence, True)]
    evidence = f"{requests} sent to it, oldest {_age(top.oldest_s)} ago"
    others = ", ".join(f"{each.name} ({each.count:,})" for each in silent[1:LISTED])
    evidence += f"; also waited for: {others}" if others else ""
    place = Place("script", UPSTREAM, top.name, "upstream")
    if not case.runs("upstream"):
        place = Place("start", "", "", "upstream")
    return [clause("silent", top.name, said, evidence, place)]


def _age(seconds: float) -> str:
    return units.span(float(seconds))


def _plural(word: str, n: int) -> str:
    return word if n == 1 else f"{word}s"
