"""What the pane of a script says while the script does not run, and how it starts and stops it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from bpftop import units
from bpftop.model import ScriptStatus, Snapshot, State
from bpftop.stats.past import history_of
from bpftop.ui.paint import EMPTY, Line, Role, wrapped
from bpftop.ui.panes.base import Pane
from bpftop.ui.safe import safe
from bpftop.ui.view import View

if TYPE_CHECKING:
    from bpftop.ui.opening import Opening

LINGER_S = 1.0
"""Tab goes past a pane without starting its script; staying so long starts it."""
READ_S = 3.0
"""So long before it starts it is said what a script takes from a busy server."""


class Startable(Pane):
    """The pane of one script. Opening it starts the script; ``x`` stops it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "stop_script", "Stop", tooltip="stop the script of this pane, if it was started from the screen"),
        Binding("o", "free", "Over budget", tooltip="start a script that was stopped by --budget, whatever it costs"),
    ]
    script: str

    def __init__(self, script: ScriptStatus) -> None:
        super().__init__(f"script-{script.name}")
        self.script = script.name
        self.TITLE = script.pane or script.title
        self.SHORT = self.TITLE[:10]
        self._asked_s: float | None = None
        """When it was asked to start (monotonic)."""
        self._due_s: float | None = None
        """When it will be asked, unless the user leaves or says no (monotonic)."""

    def status(self, view: View) -> ScriptStatus | None:
        """The script as the newest snapshot has it."""
        scripts = (view.whole or view.snapshot).scripts
        return next((each for each in scripts if each.name == self.script), None)

    def opened(self, in_passing: bool) -> None:
        """The pane has come to the front: its script starts; later if it costs, or the user may be on the way."""
        status = self.status(self.view) if self.view else None
        wait_s = max(LINGER_S * in_passing, READ_S * bool(status and status.cost and status.state is State.OFF))
        if wait_s:
            due_s = self._due_s = time.monotonic() + wait_s
            self.set_timer(wait_s, lambda: self._start_if_still_here(due_s))
            self.redraw()
        else:
            self._start()

    def _start_if_still_here(self, due_s: float) -> None:
        if self._due_s == due_s and self.has_focus:
            self._start()
        elif self._due_s == due_s:
            self._due_s = None

    def _start(self) -> None:
        self._due_s = None
        status = self.status(self.view) if self.view else None
        if status is not None and status.state is State.OFF:
            self._asked_s = time.monotonic()
            if not self._opening.start_script(status):
                self._asked_s = None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what was stopped by the budget can be let go over it."""
        status = self.status(self.view) if self.view else None
        return action != "free" or bool(status and status.budget)

    def action_free(self) -> None:
        """Start it anew, whatever it costs."""
        self._again(free=True)

    def _again(self, free: bool = False) -> None:
        status = self.status(self.view) if self.view else None
        if status is not None and status.budget and self._opening.start_script(status, free):
            self._asked_s = time.monotonic()

    def remarks(self, view: View, width: int) -> list[Line]:
        """Why it has stopped by itself, above the figures of until then; that it had not begun at a moment before."""
        status = self.status(view)
        if status is not None and view.until_unix_ns is not None and not _ran(status, view.snapshot):
            said = f"{status.name} did not run at this moment"
            return [*wrapped(said, width, "accent"), *super().remarks(view, width)]
        failed = status is not None and status.state is State.FAILED and _counted(status, view.whole or view.snapshot)
        if status is None or not (status.budget or failed):
            return super().remarks(view, width)
        why = status.budget or f"failed: {status.detail}"
        said = f"{status.name} {safe(why, 300)}: these figures are of until then"
        keys = "  (Enter: try again, o: whatever it costs, x: take it away)" if status.budget else "  (x: take it away)"
        return [*wrapped(said + keys, width, "warn"), *super().remarks(view, width)]

    @property
    def _opening(self) -> Opening:
        return self.screen  # type: ignore[return-value]

    def action_stop_script(self) -> None:
        """Stop it."""
        status = self.status(self.view) if self.view else None
        if self._due_s is not None:
            self._due_s = None
            self.redraw()
        elif status is not None:
            self._asked_s = None
            self._opening.stop_script(status)

    def action_drill(self) -> None:
        """Enter: start it when it does not run, else look at a row alone."""
        status = self.status(self.view) if self.view else None
        if status is not None and status.state is State.OFF:
            self._start()
        elif status is not None and status.budget:
            self._again()
        elif status is not None and status.state is State.FAILED and self.view and self.standing(self.view, 80):
            self._opening.stop_script(status)
            self._opening.start_script(replace(status, state=State.OFF))
        else:
            super().action_drill()  # type: ignore[misc]

    def standing(self, view: View, width: int) -> list[Line]:
        """What is said instead of figures; nothing when there are some."""
        status = self.status(view)
        if status is None or status.state not in (State.OFF, State.ATTACHING, State.FAILED):
            return []
        if _counted(status, view.whole or view.snapshot):
            return []
        role: Role = "bad" if status.state is State.FAILED else "strong"
        lines = [*wrapped(self._state_words(status, view), width, role), EMPTY]
        if status.state is not State.FAILED and status.summary:
            lines += [*wrapped(status.summary, width, "dim"), EMPTY]
        if status.state is State.FAILED and not status.cost:
            return lines[:-1]
        cost = f"costs {status.cost}" if status.cost else "what it costs is in 'own cost' below, once it runs"
        return lines + wrapped(cost, width, "warn" if status.cost else "dim")

    def _state_words(self, status: ScriptStatus, view: View) -> str:
        if status.state is State.FAILED:
            return f"{status.name} failed: {safe(status.detail, 300)}  (Enter: try again, x: take it away)"
        since = "" if self._asked_s is None else f": {units.span(time.monotonic() - self._asked_s)}"
        if status.state is State.ATTACHING or self._asked_s is not None:
            paused = "  (paused: p goes on)" if view.paused else "  (x: stop)"
            return f"starting {status.name}{since}{paused}"
        if self._due_s is not None:
            left = max(round(self._due_s - time.monotonic()), 1)
            return f"{status.name} starts in {left} s  (Enter: now, x: not)"
        return f"{status.name} is off  (Enter: start)"


def _ran(status: ScriptStatus, snapshot: Snapshot) -> bool:
    """Whether a script that runs now has kept anything of the time until the moment of a snapshot."""
    return status.state is not State.LIVE or any(history_of(snapshot, name).unix_ns for name in status.measures)


def _counted(status: ScriptStatus, snapshot: Snapshot) -> bool:
    """Whether a script has (still) figures: one that attaches anew keeps those from before."""
    shown = (snapshot.measures[name].summary.count for name in status.measures if name in snapshot.measures)
    counts = (snapshot.counters[name].count for name in status.measures if name in snapshot.counters)
    return any(shown) or any(counts)
