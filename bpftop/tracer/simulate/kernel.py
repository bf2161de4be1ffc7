"""What the turns of the workers look like from the kernel: system calls, event loops, the scheduler, the disk."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bpftop.stats.devices import with_work
from bpftop.syscalls import syscall_number
from bpftop.tracer.simulate.rows import Rows, rows
from bpftop.tracer.simulate.site import Floats, Numbers, Site
from bpftop.tracer.simulate.traffic import ANSWER, READ, STALL, Step, Table

CALLS = frozenset(("syscall_latency", "waiting_latency", "loop_stall", "loop_wait", "send_latency", "receive_latency"))
SCHEDULER = frozenset(("run_queue_latency", "preempted_time", "blocked_time"))
DISK = frozenset(("disk_latency", "disk_queue_latency"))

DEVICE = 253 << 20
"""Major and minor number as the kernel keeps them: the first disk of a virtual machine on most hosts."""
DEVICE_NAME = "vda"
DISK_READ, DISK_WRITE, DISK_FLUSH = ((work << 32) + DEVICE for work in (1, 2, 3))
SECTORS = 64

SPREAD = 0.35
MOST_OF_A_TURN = 0.3
"""No ordinary call takes more than this share of its turn."""
IN_STALL = 0.98
IN_FLUSH = 0.95
BLOCKS_S = 5e-6
"""A wait that is shorter does not put the thread to sleep."""
PREEMPTED = 0.004


def device_of(code: int) -> str:
    """What a device of the simulation is called: ``vda write``."""
    return with_work(DEVICE_NAME, code)


def calls(site: Site, step: Step, chance: np.random.Generator) -> Iterator[Rows]:
    """System calls, turns of the event loops, and what of TCP is inside of calls."""
    turns, scenario = step.turns, site.scenario
    tid = np.array(scenario.workers, np.int64)[turns["worker"]]
    receive_s, send_s = (_taken(turns, median_s, chance) for median_s in (2.6e-6, 11e-6))
    request = step.requests[turns["request"]] if len(step.requests) else np.zeros(len(turns), step.requests.dtype)
    of_client = turns["kind"] == READ
    answers = (turns["kind"] == ANSWER) | (of_client & (request["later_s"] == 0))
    asks = of_client & (request["peer"] >= 0)
    sends = answers | asks
    receives = of_client | ((turns["kind"] == ANSWER) & (request["peer"] >= 0))
    stands = turns["kind"] == STALL
    longest = np.where(sends, _number(scenario.send_call), np.where(receives, _number("recvfrom"), 0))
    longest_s = np.where(sends, send_s, receive_s)
    slow = scenario.stalls.syscall if scenario.stalls else ""
    longest = np.where(stands, _number(slow) if slow else 0, longest)
    longest_s = np.where(stands, turns["length_s"] * IN_STALL if slow else 0.0, longest_s)
    yield rows("loop_wait", turns["start_s"], tid, turns["wait_s"])
    fields = {"pid": tid, "tid": tid, "syscall": longest, "in_syscall_ns": np.rint(longest_s * 1e9)}
    yield rows("loop_stall", turns["end_s"], tid, turns["length_s"], **fields)
    yield rows("waiting_latency", turns["start_s"], _number("epoll_wait"), turns["wait_s"])
    if slow:
        yield _calls(slow, turns[stands]["end_s"], longest_s[stands])
    yield _calls("recvfrom", turns["start_s"][receives], receive_s[receives])
    yield _calls(scenario.send_call, turns["end_s"][sends], send_s[sends])
    yield from _others(site, turns, request, answers, chance)
    peer_client = site.peer_clients[request["peer"]] if len(site.peer_clients) else np.zeros(len(turns), np.uint64)
    client = site.client_codes[request["client"]]
    to, source = np.where(asks, peer_client, client), np.where(of_client, client, peer_client)
    over_tcp = sends & (to > 0)
    yield rows("send_latency", turns["end_s"][over_tcp], to[over_tcp], 0.9 * send_s[over_tcp])
    over_tcp = receives & (source > 0)
    yield rows("receive_latency", turns["start_s"][over_tcp], source[over_tcp], 0.85 * receive_s[over_tcp])


def _others(
    site: Site, turns: Table, request: Table, answers: NDArray[np.bool_], chance: np.random.Generator
) -> Iterator[Rows]:
    """The calls that only some turns need."""
    reads = turns["kind"] == READ
    connects = reads & request["connects"] & (request["peer"] >= 0)
    files = reads & site.is_file[request["route"]]
    logs = answers if site.scenario.logs else np.zeros(len(turns), np.bool_)
    for name, median_s, mine in (
        ("accept4", 4e-6, reads & request["opens"]),
        ("socket", 3e-6, connects),
        ("connect", 14e-6, connects),
        ("openat", 3.5e-6, files),
        ("newfstatat", 0.9e-6, files),
        ("write", 2.2e-6, logs),
        ("close", 1.4e-6, files | connects),
    ):
        yield _calls(name, turns["start_s"][mine], _taken(turns[mine], median_s, chance))
    sent_s = _taken(turns[files], 7e-6, chance) + request["disk_s"][files]
    yield _calls("sendfile", turns["end_s"][files], sent_s)


def scheduler(site: Site, step: Step, chance: np.random.Generator) -> Iterator[Rows]:
    """Threads that slept before their turns, and in calls that wait for the disk."""
    turns = step.turns
    tid = np.array(site.scenario.workers, np.int64)[turns["worker"]]
    run_s = np.minimum(turns["run_queue_s"], 0.5 * turns["wait_s"])
    slept = turns["wait_s"] > BLOCKS_S
    yield rows("run_queue_latency", turns["start_s"][slept], tid[slept], run_s[slept])
    yield rows("blocked_time", turns["start_s"][slept], tid[slept], (turns["wait_s"] - run_s)[slept])
    if site.scenario.stalls and site.scenario.stalls.syscall:
        in_call = turns["kind"] == STALL
        woken_s = turns["run_queue_s"][in_call]
        blocked_s = turns["length_s"][in_call] * IN_STALL - woken_s
        yield rows("run_queue_latency", turns["end_s"][in_call], tid[in_call], woken_s)
        yield rows("blocked_time", turns["end_s"][in_call], tid[in_call], blocked_s)
    rival = chance.random(len(turns)) < PREEMPTED
    takes_s = 3 * turns["run_queue_s"][rival] + 25e-6 * chance.lognormal(0, 0.5, int(rival.sum()))
    yield rows("preempted_time", turns["end_s"][rival], tid[rival], takes_s)


def disk(site: Site, step: Step, chance: np.random.Generator) -> Iterator[Rows]:
    """Files that are not in the page cache, and what a stall waits for."""
    request = step.requests[step.read]
    request = request[request["disk_s"] > 0]
    pids = np.array(site.scenario.workers, np.int64)
    yield from _io(DISK_READ, request["read_s"] + request["disk_s"], request["disk_s"], pids[request["worker"]], chance)
    if site.scenario.stalls and site.scenario.stalls.syscall:
        stands = step.turns[step.turns["kind"] == STALL]
        pid, length_s = pids[stands["worker"]], stands["length_s"]
        yield from _io(DISK_WRITE, stands["start_s"] + 0.02 * length_s, 0.02 * length_s, pid, chance)
        yield from _io(DISK_FLUSH, stands["start_s"] + 0.975 * length_s, IN_FLUSH * length_s, pid, chance)


def _io(device: int, done_s: Floats, took_s: Floats, pid: Numbers, chance: np.random.Generator) -> Iterator[Rows]:
    """One request to the disk each; a part of the time it took was spent in the queue."""
    queued_s = np.minimum(5e-6 * chance.lognormal(0, 0.4, len(done_s)), 0.1 * took_s)
    sectors = 0 if device == DISK_FLUSH else SECTORS
    yield rows("disk_queue_latency", done_s - took_s + queued_s, device, queued_s)
    yield rows("disk_latency", done_s, device, took_s - queued_s, pid=pid, device=device, sectors=sectors)


def _taken(turns: Table, median_s: float, chance: np.random.Generator) -> Floats:
    """How long an ordinary call takes in each of these turns."""
    drawn = median_s * chance.lognormal(0, SPREAD, len(turns))
    taken: Floats = np.minimum(drawn, MOST_OF_A_TURN * turns["length_s"])
    return taken


def _calls(name: str, at_s: Floats, took_s: Floats) -> Rows:
    return rows("syscall_latency", at_s, _number(name), took_s)


def _number(name: str) -> int:
    """The key of a system call: its number and one, since key 0 stands for others."""
    return syscall_number(name) + 1
