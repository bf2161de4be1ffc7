"""Running the incidents one after the other, and looking at the verdict every second as the screen does."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from bpftop.stats.findings import Verdict, judge
from tests.incidents.incidents import Incident
from tests.incidents.scene import Scene

WITHIN_S = 10.0
LOOK_S = 0.5
QUIET_S = 2.0
"""After an incident: so long must nothing stand out before the next one begins."""


BEHIND_S = 12.0
"""What the verdict looks back at, and a little more."""
STARVED_SHARE = 0.05
"""Of that time, nginx's workers and the backends waited for a CPU together."""


class CpuWait:
    """Whether others take the CPUs: how long nginx and the backends could run and did not (by the kernel's account)."""

    def __init__(self, scene: Scene) -> None:
        of_workers = [each for pid in scene.workers for each in Path(f"/proc/{pid}/task").iterdir()]
        self._tasks = (*of_workers, Path(f"/proc/self/task/{scene.backends[0].thread_id}"))
        self._seen: deque[tuple[float, int]] = deque()

    def starved(self) -> bool:
        """Whether they waited for much of the last seconds: then everything is slow and nobody is guilty."""
        now, waited = time.monotonic(), sum(map(_run_delay_ns, self._tasks))
        self._seen.append((now, waited))
        while self._seen[0][0] < now - BEHIND_S:
            self._seen.popleft()
        return waited - self._seen[0][1] >= STARVED_SHARE * BEHIND_S * 1e9


def _run_delay_ns(task: Path) -> int:
    """The second number of schedstat: runnable and not running (Documentation/scheduler/sched-stats.rst)."""
    return int((task / "schedstat").read_text().split()[1])


@dataclass
class Health:
    """What stood out while nothing happened."""

    looks: int = 0
    said: list[str] = field(default_factory=list)
    """While nginx had its CPUs."""
    starved: int = 0
    """Looks at a time when others took them."""
    said_starved: list[str] = field(default_factory=list)


class Looks:
    """The verdicts of one watch, each with the memory of the one before."""

    def __init__(self, scene: Scene, scripts: bool) -> None:
        self._scene, self._scripts = scene, scripts
        self._last = Verdict()

    def look(self) -> Verdict:
        """The verdict of now."""
        self._last = judge(self._scene.snapshot(self._scripts), self._last.named)
        return self._last


@dataclass
class Result:
    """What became of one incident."""

    incident: Incident
    seconds: dict[bool, float | None] = field(default_factory=lambda: {False: None, True: None})
    """Until all words were said, without and with scripts."""
    said: dict[bool, str] = field(default_factory=dict)


def text(verdict: Verdict) -> str:
    """The whole sentence."""
    return " · ".join(each.text for each in verdict.clauses)


def healthy(scene: Scene, seconds: float) -> Health:
    """What stood out in so many seconds in which nothing happens."""
    looks, wait, found = [Looks(scene, False), Looks(scene, True)], CpuWait(scene), Health()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        starved = wait.starved()
        said = [text(verdict) for verdict in (each.look() for each in looks) if verdict.trouble]
        found.looks += 1
        found.starved += starved
        (found.said_starved if starved else found.said).extend(said)
        time.sleep(LOOK_S)
    return found


def suffer(scene: Scene, incident: Incident, within_s: float = WITHIN_S) -> Result:
    """Let it happen until both watches have said what they must, then wait for the end of the trouble."""
    result = Result(incident)
    looks = {False: Looks(scene, False), True: Looks(scene, True)}
    wanted = {False: incident.always(scene), True: incident.scripts(scene)}
    with incident.happens(scene):
        began = time.monotonic()
        while time.monotonic() < began + within_s and None in result.seconds.values():
            time.sleep(LOOK_S)
            for scripts, each in looks.items():
                verdict = each.look()
                said = text(verdict)
                if verdict.trouble and result.seconds[scripts] is None:
                    result.said[scripts] = said
                    if all(words in said for words in wanted[scripts]):
                        result.seconds[scripts] = time.monotonic() - began
    return result


def settle(scene: Scene, most_s: float = 40.0) -> bool:
    """Wait until nothing has stood out for QUIET_S."""
    look, end = Looks(scene, True), time.monotonic() + most_s
    quiet_since: float | None = None
    while time.monotonic() < end:
        if look.look().trouble:
            quiet_since = None
        else:
            quiet_since = quiet_since or time.monotonic()
            if time.monotonic() - quiet_since >= QUIET_S:
                return True
        time.sleep(LOOK_S)
    return False
