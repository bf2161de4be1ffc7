"""Which pane is in front: number keys, Tab, rows looked at alone, scripts that start and stop."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import ContentSwitcher

from bpftop.model import ScriptStatus, Snapshot, State
from bpftop.ui.chrome import Tabs
from bpftop.ui.panes.base import Pane
from bpftop.ui.panes.drill import Drill
from bpftop.ui.panes.registry import own_pane, panes_for, with_panes
from bpftop.ui.panes.startable import Startable
from bpftop.ui.pin import Pin
from bpftop.ui.safe import safe
from bpftop.ui.scrub import Scrubbing
from bpftop.ui.subject import Subject
from bpftop.ui.view import View


class Opening(Scrubbing, inherit_bindings=False):
    """A screen with panes, one for each tab, and one more for a row looked at alone."""

    PANE_KEYS: ClassVar[list[BindingType]] = [
        *[Binding(str(n), f"pane({n - 1})", f"Pane {n}", show=False, tooltip=f"open pane {n}") for n in range(1, 10)],
        Binding("0", "pane(-1)", "Scripts", show=False, tooltip="open the last pane, Scripts"),
        Binding("tab", "next_pane(1)", "Next pane", show=False, tooltip="next pane"),
        Binding("shift+tab", "next_pane(-1)", "Previous pane", show=False, tooltip="previous pane"),
    ]

    def __init__(self, refresh_s: float, first: Snapshot) -> None:
        super().__init__(refresh_s)
        self.front = 0
        # Held here and not looked up: a timer may still fire while the screen is being taken down.
        self.panes = panes_for(first)
        self.drilled = Drill()
        self._pin = Pin()
        self._fitted: list[tuple[str, State, str, str, bool]] = []
        """The scripts, as they were when panes and tabs were last fitted to them."""
        self.tabs = Tabs([pane.TITLE for pane in self.panes], [pane.SHORT for pane in self.panes])

    @property
    def in_front(self) -> Pane:
        """What is shown in the middle: the pane of a tab, or one of its rows alone."""
        return self.drilled if self.drilled.subject is not None else self.panes[self.front]

    def focus_middle(self) -> None:
        """Give the keys to what is in front."""
        self.in_front.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A number key beyond the last pane does nothing and is not in the help."""
        return action != "pane" or int(str(parameters[0])) < len(self.panes)

    def action_pane(self, index: int, in_passing: bool = False) -> None:
        """Bring a pane to the front (-1: the last one); that of a script starts it, after a moment ``in_passing``."""
        self.front, self.drilled.subject = index % len(self.panes), None
        self.tabs.front = self.front
        self.tabs.redraw()
        self._turn()
        pane = self.panes[self.front]
        if isinstance(pane, Startable):
            pane.opened(in_passing)

    def action_next_pane(self, step: int) -> None:
        """The pane to the right or left."""
        self.action_pane((self.front + step) % len(self.panes), True)

    def _turn(self) -> None:
        """Show what is to be in front now."""
        pane, switcher = self.in_front, self.query_one(ContentSwitcher)
        pane.expect(*(switcher.size - (pane.styles.gutter.width, pane.styles.gutter.height)))
        switcher.current = pane.id
        pane.focus()
        self.show_pane()

    def show_pane(self) -> None:
        """Draw the pane in front."""
        pane = self.in_front
        pane.show(self.given(pane))

    def given(self, pane: Pane) -> View:
        """What a pane draws: all, or the pinned seconds only."""
        return self.view if pane.WHOLE else self._pin.cut(self.view)

    def drill(self, subject: Subject) -> None:
        """Show one row of the pane in front alone."""
        self.drilled.look_at(subject, self.panes[self.front].TITLE)
        self._turn()

    def action_undrill(self) -> None:
        """From a row back to its table."""
        self.drilled.subject = None
        self._turn()

    # scripts

    def start_script(self, script: ScriptStatus, free: bool = False) -> bool:
        """Start a script that is off or was stopped by the budget (True when it could be asked to); open the pane of
        one that runs. ``free``: whatever it costs."""
        if script.state is State.OFF or script.budget:
            return self.bpftop.start_script(script, free)
        place = next((i for i, pane in enumerate(self.panes) if pane.id == f"script-{script.name}"), None)
        if place is not None:
            self.action_pane(place)
        else:
            self.notify(f"{safe(script.name)} has no pane of its own: its figures are in the first ones", timeout=4)
        return False

    def stop_script(self, script: ScriptStatus) -> None:
        """Stop a script that was started from the screen."""
        self.bpftop.stop_script(script)

    def fit_panes(self) -> None:
        """A pane for each script that runs or could be started; tabs that tell which ones run."""
        of_all = self.view.snapshot.scripts
        states = [(each.name, each.state, each.pane, each.unfit, bool(each.budget)) for each in of_all]
        if states == self._fitted:
            return
        self._fitted = states
        self.refresh_bindings()  # some keys are for scripts that were stopped by their budget
        scripts = with_panes(self.view.snapshot)
        wanted = {f"script-{script.name}": script for script in scripts}
        there = {pane.id: pane for pane in self.panes if isinstance(pane, Startable)}
        if list(wanted) != list(there):
            self._exchange(wanted, there)
        off = {f"script-{script.name}" for script in scripts if script.state is State.OFF}
        self.tabs.off = frozenset(place for place, pane in enumerate(self.panes) if pane.id in off)
        self.tabs.redraw()

    def _exchange(self, wanted: dict[str, ScriptStatus], there: dict[str | None, Startable]) -> None:
        front = self.panes[self.front]
        switcher = self.query_one(ContentSwitcher)
        own: list[Pane] = []
        for name, script in wanted.items():
            if name in there:
                own.append(there[name])
                continue
            made = own_pane(script)
            made.display = False
            switcher.mount(made)
            own.append(made)
        for pane in there.values():
            if pane.id not in wanted:
                pane.remove()
        fixed = [pane for pane in self.panes if not isinstance(pane, Startable)]
        self.panes[:] = [*fixed[:-1], *own, fixed[-1]]
        self.tabs.titles, self.tabs.shorts = [pane.TITLE for pane in self.panes], [pane.SHORT for pane in self.panes]
        self.front = self.tabs.front = self.panes.index(front) if front in self.panes else len(self.panes) - 1
        if front not in self.panes:
            self._turn()
