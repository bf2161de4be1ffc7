"""The incidents: what happens, and what the verdict must say of it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

from tests.incidents.harm import busy, hogs, limited, lossy, slow_readers, stopped
from tests.incidents.scene import ABUSER, BACKLOG, CLOSED, KEPT, Scene
from tests.load import load_in_background

SLOW_S = 0.4
READS_PER_S = 16
HOGS, HOGS_NICE = 4, -10
LOSS = 0.1
BACKTRACKED = 28
"""Letters; each more takes 1.6 times as long, and PCRE gives up at 30: then nginx answers 500 and closes."""
BLAME = ("waits for upstream", "does not answer", "of the slow ones", "of the new ones", "reads late", "is busy")
"""Somebody is said to be guilty."""
LONGEST_S = 60


@dataclass(frozen=True)
class Incident:
    """One of them."""

    name: str
    what: str
    """For the table in the docs."""
    happens: Callable[[Scene], AbstractContextManager[None]]
    always: Callable[[Scene], tuple[str, ...]]
    """Words that the clauses must hold with the scripts that always run."""
    scripts: Callable[[Scene], tuple[str, ...]]
    """And with those that tell more."""
    never: tuple[str, ...] = ()
    """Words that none of them may say while it lasts."""
    watched_s: float = 0.0
    """How long it lasts at least, and is listened to."""
    times: int = 0
    """How many times it happens when all is run, if more than the others."""
    late: Callable[[Scene, bool], tuple[str, ...]] | None = None
    """What a watch must say that is started in the middle of it, without and with the scripts that tell more, where
    that is something else."""

    def wanted_late(self, scene: Scene, scripts: bool) -> tuple[str, ...]:
        """Words that the clauses of such a watch must hold."""
        if self.late is not None:
            return self.late(scene, scripts)
        return (self.scripts if scripts else self.always)(scene)


@contextmanager
def _slow_backend(scene: Scene) -> Iterator[None]:
    backend = scene.backends[2]
    before, backend.delay_s = backend.delay_s, SLOW_S
    try:
        yield
    finally:
        backend.delay_s = before


@contextmanager
def _extra(scene: Scene, path: str, rate: int, close: bool = False) -> Iterator[None]:
    with load_in_background(
        scene.port, rate * LONGEST_S, connections=12, sources=[ABUSER], rate_per_s=rate, paths=[path], close=close
    ):
        yield


@contextmanager
def _stopped(pids: list[int], stopped_s: float, running_s: float) -> Iterator[None]:
    """The processes stop and go on, again and again."""
    over = threading.Event()

    def cycle() -> None:
        while not over.is_set():
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            over.wait(stopped_s)
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
            over.wait(running_s)

    thread = threading.Thread(target=cycle, name="stop and go")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _storm(scene: Scene) -> Iterator[None]:
    """More connections than the accept queue holds, and workers that take them in too late."""
    with ExitStack() as stack:
        stack.enter_context(
            load_in_background(
                scene.port, 150 * LONGEST_S, connections=2 * BACKLOG, sources=CLOSED, rate_per_s=150,
                paths=["/fixed"], close=True,
            )
        )  # fmt: skip
        stack.enter_context(_stopped(scene.workers, 0.7, 0.1))
        yield


@contextmanager
def _throttled(scene: Scene) -> Iterator[None]:
    scene.disk.limit(READS_PER_S)
    try:
        yield
    finally:
        scene.disk.limit(0)


@contextmanager
def _silent_backend(scene: Scene) -> Iterator[None]:
    backend = scene.backends[1]
    before, backend.delay_s = backend.delay_s, 3600.0
    try:
        yield
    finally:
        backend.delay_s = before


@contextmanager
def _slow_route(scene: Scene) -> Iterator[None]:
    with load_in_background(
        scene.port, 20 * LONGEST_S, connections=15, sources=KEPT, rate_per_s=20, paths=["/heavy/report"]
    ):
        yield


@contextmanager
def _loss(scene: Scene) -> Iterator[None]:
    with lossy(scene.space, ABUSER, LOSS), _extra(scene, "/some/file", 25):
        yield


INCIDENTS = (
    Incident(
        "slow upstream",
        f"one of three backends answers after {SLOW_S * 1000:.0f} ms instead of 2 ms",
        _slow_backend,
        lambda scene: ("request latency p99", "time is in the server, after the read", "start upstream"),
        lambda scene: (f"waits for upstream 127.0.0.1:{scene.backends[2].port}",),
        late=lambda scene, scripts: (
            ("since the start", "waits for upstream 127.0.0.1:" + str(scene.backends[2].port))
            if scripts
            else ("since the start", "time is in the server, after the read", "start upstream")
        ),
    ),
    Incident(
        "abusive client, slow requests",
        "a client asks for what takes 300 ms, 25 times a second",
        lambda scene: _extra(scene, "/heavy/", 25),
        lambda scene: ("request latency p99", f"of the slow ones from {ABUSER}"),
        lambda scene: (f"of the slow ones from {ABUSER}", f"waits for upstream 127.0.0.1:{scene.backends[3].port}"),
        late=lambda scene, _: ("since the start", f"of the slow ones from {ABUSER}"),
    ),
    Incident(
        "abusive client, many requests",
        "a client sends 1,500 requests a second, all others together 180",
        lambda scene: _extra(scene, "/fixed", 1500),
        lambda scene: ("as many requests", f"of the new ones from {ABUSER}"),
        lambda scene: ("as many requests", f"of the new ones from {ABUSER}"),
        late=lambda scene, _: ("since the start", f"of all requests from {ABUSER}"),
    ),
    Incident(
        "stalled worker",
        "one of two workers stands still for 0.8 s, again and again (SIGSTOP, SIGCONT)",
        lambda scene: _stopped(scene.workers[:1], 0.8, 0.1),
        lambda scene: ("read queue", f"worker {scene.workers[0]}"),
        lambda scene: ("read queue", str(scene.workers[0])),
        late=lambda scene, _: (f"worker {scene.workers[0]}",),
    ),
    Incident(
        "full accept queue",
        f"200 connections a second, a backlog of {BACKLOG}, and workers that stand still for 0.7 of 0.8 s",
        _storm,
        lambda scene: ("accept queue latency p99", "time is in the accept queue"),
        lambda scene: ("accept queue latency p99", "time is in the accept queue"),
    ),
    Incident(
        "slow disk",
        f"the disk gives {READS_PER_S} reads a second (throttled below the file system)",
        _throttled,
        lambda scene: ("start ",),
        lambda scene: (f"waits for the disk {scene.disk.device} read", "pread64"),
        late=lambda scene, scripts: (
            (f"waits for the disk {scene.disk.device} read", "pread64") if scripts else ("time is in", "start ")
        ),
    ),
    Incident(
        "stopped worker",
        "one of two workers is stopped for good (SIGSTOP)",
        lambda scene: stopped(scene.workers[:1]),
        lambda scene: (f"{scene.workers[0]} is stopped", "for an answer, oldest"),
        lambda scene: (f"{scene.workers[0]} is stopped", "for an answer, oldest"),
    ),
    Incident(
        "all workers stopped",
        "both workers are stopped for good",
        lambda scene: stopped(scene.workers),
        lambda scene: (f"{', '.join(map(str, scene.workers))} are stopped", "no request was answered"),
        lambda scene: (f"{', '.join(map(str, scene.workers))} are stopped", "no request was answered"),
        late=lambda scene, _: (f"{', '.join(map(str, scene.workers))} are stopped", "for an answer, oldest"),
    ),
    Incident(
        "silent upstream",
        "one of three backends accepts requests and never answers",
        _silent_backend,
        lambda scene: ("for an answer, oldest", f"upstream 127.0.0.1:{scene.backends[1].port} does not answer"),
        lambda scene: ("for an answer, oldest", f"upstream 127.0.0.1:{scene.backends[1].port} does not answer"),
        late=lambda scene, _: (
            "for an answer, oldest",
            f"upstream 127.0.0.1:{scene.backends[1].port} has not answered",
        ),
    ),
    Incident(
        "slow route",
        "five clients ask for one page that takes 300 ms, 20 times a second together",
        _slow_route,
        lambda scene: ("request latency p99", "start upstream"),
        lambda scene: ("of the slow ones are GET /heavy/report",),
        late=lambda scene, scripts: (
            ("of the slow ones are GET /heavy/report",)
            if scripts
            else ("since the start", "time is in the server, after the read", "start upstream")
        ),
    ),
    Incident(
        "slow reader",
        "a client takes in 1 MB within a second, on 16 connections",
        lambda scene: slow_readers(scene.port, "/big/file", ABUSER, 16),
        lambda scene: ("time is in sending", f"of the slow ones from {ABUSER}"),
        lambda scene: ("time is in sending", f"of the slow ones from {ABUSER}"),
        never=("the network loses some",),
        watched_s=8.0,
    ),
    Incident(
        "CPU limit",
        "the control group of nginx gets 1 ms of CPU in 100 ms",
        lambda scene: limited(scene.workers, 1000),
        lambda scene: ("its CPU limit holds it back",),
        lambda scene: ("its CPU limit holds it back",),
    ),
    Incident(
        "CPU hogs",
        f"{HOGS} processes for each CPU compute without a pause, at nice {HOGS_NICE}",
        lambda scene: hogs(HOGS, HOGS_NICE),
        lambda scene: ("the machine is short of CPU",),
        lambda scene: ("the machine is short of CPU",),
        never=BLAME,
        watched_s=8.0,
        times=10,
    ),
    Incident(
        "busy worker",
        "a client asks again and again for what one worker computes at (a regular expression that backtracks)",
        lambda scene: busy(scene.port, f"/match/?q={'a' * BACKTRACKED}b", ABUSER),
        lambda scene: (f"worker {scene.busiest} is busy",),
        lambda scene: (f"{scene.busiest} is busy",),
    ),
    Incident(
        "lossy network",
        f"{LOSS:.0%} of the packets from and to a client are dropped; it asks for 20 kB, 25 times a second",
        _loss,
        lambda scene: ("are sent again: the network loses some", f"of these to {ABUSER}"),
        lambda scene: ("are sent again: the network loses some", f"of these to {ABUSER}"),
    ),
)
