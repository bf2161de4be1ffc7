"""Running the incidents one after the other, and looking at the verdict every second as the screen does."""

from __future__ import annotations

import time
from collections import deque
from contextlib import ExitStack
from pathlib import Path

from bpftop.stats.findings import Verdict, judge
from tests.incidents.book import Health, Trial
from tests.incidents.incidents import Incident
from tests.incidents.scene import Scene, cpu_seconds, watched_anew

WITHIN_S, LATE_WITHIN_S = 10.0, 25.0
"""The latter from the start of bpftrace on, which compiles and attaches first: on a busy machine that takes long."""
LATE_S = 15.0
"""Watches that are started in the middle of it begin so long after it."""
LOOK_S = 0.5
QUIET_S = 2.0
"""After an incident: so long must nothing stand out before the next one begins."""

WATCHES = ("always", "scripts")
BEHIND_S = 12.0
"""What the verdict looks back at, and a little more."""
STARVED_SHARE = 0.05
"""Of that time, nginx's workers and the backends waited for a CPU together."""


class CpuWait:
    """Whether others take the CPUs: how long nginx and the backends could run and did not (by the kernel's account)."""

    def __init__(self, scene: Scene, since_they_began: bool = False) -> None:
        of_workers = [each for pid in scene.workers for each in Path(f"/proc/{pid}/task").iterdir()]
        self._tasks = (*of_workers, Path(f"/proc/self/task/{scene.backends[0].thread_id}"))
        self._seen = deque([(time.monotonic(), 0 if since_they_began else self._waited())])

    def starved(self) -> bool:
        """Whether they waited for much of the last seconds: then everything is slow and nobody is guilty."""
        now, waited = time.monotonic(), self._waited()
        self._seen.append((now, waited))
        while self._seen[0][0] < now - BEHIND_S:
            self._seen.popleft()
        return waited - self._seen[0][1] >= STARVED_SHARE * BEHIND_S * 1e9

    def _waited(self) -> int:
        return sum(map(_run_delay_ns, self._tasks))


def _run_delay_ns(task: Path) -> int:
    """The second number of schedstat: runnable and not running (Documentation/scheduler/sched-stats.rst)."""
    return int((task / "schedstat").read_text().split()[1])


class Looks:
    """The verdicts of one watch, each with the memory of the one before."""

    def __init__(self, scene: Scene, scripts: bool) -> None:
        self._scene, self._scripts = scene, scripts
        self._last = Verdict()

    def look(self) -> Verdict:
        """The verdict of now."""
        self._last = judge(self._scene.snapshot(self._scripts), self._last.named)
        return self._last


def text(verdict: Verdict) -> str:
    """The whole sentence."""
    return " · ".join(each.text for each in verdict.clauses)


def healthy(scene: Scene, seconds: float) -> Health:
    """What stood out in so many seconds in which nothing happens."""
    looks, wait, found = (
        [Looks(scene, False), Looks(scene, True)],
        CpuWait(scene, since_they_began=True),
        Health(round(seconds)),
    )
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        starved = wait.starved()
        said = [text(verdict) for verdict in (each.look() for each in looks) if _tells(verdict)]
        found.looks += 1
        found.starved += starved
        (found.said_starved if starved else found.said).extend(said)
        time.sleep(LOOK_S)
    return found


def _tells(verdict: Verdict) -> bool:
    return any(not each.key.startswith("calm ") for each in verdict.clauses)


def suffer(
    scene: Scene, incident: Incident, within_s: float = WITHIN_S, watched_s: float = 0.0, late: bool = False
) -> Trial:
    """Let it happen until both watches have said what they must, and for as long as it is to be listened to.

    ``late``: then until two that are started in the middle of it have, too.
    """
    trial = Trial(incident.name, dict.fromkeys(WATCHES), watched_s=max(watched_s, incident.watched_s))
    looks = {which: Looks(scene, which == "scripts") for which in WATCHES}
    seen = {which: Wavering() for which in WATCHES}
    wait = CpuWait(scene)
    scene.cpu_before.update({pid: cpu_seconds(pid) for pid in scene.workers})
    with ExitStack() as stack:
        with scene.space.entered():
            stack.enter_context(incident.happens(scene))
        began = time.monotonic()
        while (past_s := time.monotonic() - began) < trial.watched_s or (
            past_s < within_s and None in trial.seconds.values()
        ):
            time.sleep(LOOK_S)
            trial.starved |= wait.starved()
            for which, each in looks.items():
                verdict = each.look()
                trial.wavered += seen[which].take(verdict)
                _judged(trial, which, verdict, incident, scene, time.monotonic() - began)
        if late:
            time.sleep(max(began + LATE_S - time.monotonic(), 0.0))
            _suffer_late(trial, scene, incident, wait)
    return trial


def _suffer_late(trial: Trial, scene: Scene, incident: Incident, wait: CpuWait) -> None:
    """Start two watches, and look until they have said what they must."""
    trial.late = dict.fromkeys(WATCHES)
    began = time.monotonic()
    with watched_anew(scene) as found:
        looks = {which: Looks(found, which == "scripts") for which in WATCHES}
        while time.monotonic() - began < LATE_WITHIN_S and None in trial.late.values():
            time.sleep(LOOK_S)
            trial.starved |= wait.starved()
            for which, each in looks.items():
                said = text(each.look())
                trial.wrong += [said for words in incident.never if words in said]
                if trial.late[which] is None:
                    wanted = incident.wanted_late(found, which == "scripts")
                    trial.late_said[which], trial.late_wanted[which] = said, list(wanted)
                    if all(words in said for words in wanted):
                        trial.late[which] = round(time.monotonic() - began, 2)


def _judged(trial: Trial, which: str, verdict: Verdict, incident: Incident, scene: Scene, past_s: float) -> None:
    said = text(verdict)
    trial.wrong += [said for words in incident.never if words in said]
    if verdict.trouble and trial.seconds[which] is None:
        wanted = (incident.scripts if which == "scripts" else incident.always)(scene)
        trial.said[which], trial.wanted[which] = said, list(wanted)
        if all(words in said for words in wanted):
            trial.seconds[which] = round(past_s, 2)


class Wavering:
    """Which clauses go and come again."""

    def __init__(self) -> None:
        self._now: frozenset[str] = frozenset()
        self._gone: set[str] = set()

    def take(self, verdict: Verdict) -> list[str]:
        """The next verdict; the clauses that have come again."""
        again = sorted(self._gone & verdict.named)
        self._gone = (self._gone | self._now) - verdict.named
        self._now = verdict.named
        return again


def settle(scene: Scene, most_s: float = 40.0) -> float | None:
    """Wait until nothing has stood out for QUIET_S; for how many seconds something still did, None when it does not
    end."""
    look, began = Looks(scene, True), time.monotonic()
    quiet_since: float | None = None
    while (past_s := time.monotonic() - began) < most_s:
        if look.look().trouble:
            quiet_since = None
        else:
            quiet_since = past_s if quiet_since is None else quiet_since
            if past_s - quiet_since >= QUIET_S:
                return round(quiet_since, 1)
        time.sleep(LOOK_S)
    return None
