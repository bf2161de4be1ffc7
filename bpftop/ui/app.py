"""The Textual app of a watch, and ``run``: one call from the command line to the screen and back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from textual.actions import parse
from textual.app import SystemCommand
from textual.screen import Screen

from bpftop.memory import settle
from bpftop.model import ScriptStatus, Snapshot
from bpftop.stats.findings import Verdict
from bpftop.ui.bundle import save_bundle, screen_picture, screen_text, verdict_rows
from bpftop.ui.options import Player, RecordControl, SnapshotSource, UiOptions
from bpftop.ui.panes.base import Pane
from bpftop.ui.safe import safe
from bpftop.ui.screen import MainScreen
from bpftop.ui.shell import INTERNAL_ERROR, Shell, run_app

__all__ = ["INTERNAL_ERROR", "BpftopApp", "SnapshotSource", "UiOptions", "run"]

Save = Callable[[Snapshot], str]


FIRST_FIGURES_S = 0.2
"""Between two looks until the first figures are there."""
RECENT_S = 10.0
"""What a verdict looks back at."""
SETTLED_S = 3.0
"""From the first figures until all that a steady screen needs has been imported and made."""


class BpftopApp(Shell):
    """Pulls a snapshot at an interval and hands it to the screen."""

    def __init__(
        self, session: SnapshotSource, *, save: Save, options: UiOptions, recorder: RecordControl | None = None
    ) -> None:
        super().__init__(options)
        self._session, self._save, self._recorder = session, save, recorder
        self.player = session if isinstance(session, Player) else None
        """The session, when it plays a recording. Asked once: it looks for every name of the protocol."""
        self._stopped: frozenset[str] = frozenset()
        """The scripts that were stopped by the budget and have been told."""
        self._eager = True
        """Nothing has been seen yet: look more often, so that the first figures come without delay."""

    @property
    def main(self) -> MainScreen | None:
        """The main screen, also when another one is over it."""
        return next((screen for screen in self.screen_stack if isinstance(screen, MainScreen)), None)

    def on_mount(self) -> None:
        """The first figures at once, then at the interval."""
        self._event_loop = asyncio.get_running_loop()
        first = self._session.snapshot(self._options.window_s)
        main = MainScreen(self._options, first)
        main.view = replace(main.view, position=self.player.position if self.player is not None else None)
        self.push_screen(main)
        self._eager = not _has_figures(first)
        refresh_s = self._options.refresh_s
        self.poll_every(min(refresh_s, FIRST_FIGURES_S) if self._eager else refresh_s)

    def poll(self) -> None:
        """Pull a snapshot and draw it; while paused it is only looked at, so that nothing that stands out is missed."""
        main = self.main
        if main is not None and main.is_mounted and main.view.paused:
            main.hear(self._session.snapshot(RECENT_S))
        elif main is not None and main.is_mounted:
            snapshot = self._session.snapshot(main.view.window_s)
            self._tell_stopped(snapshot)
            main.take(
                snapshot,
                self.player.position if self.player is not None else None,
                self._recorder.progress if self._recorder is not None else None,
            )
            if self._eager and _has_figures(snapshot):
                self._eager = False
                self.poll_every(main.refresh_s)
                self.set_timer(SETTLED_S, settle)

    def _tell_stopped(self, snapshot: Snapshot) -> None:
        """A word, once, about each script that has stopped because it cost too much."""
        stopped = {script.name: script.budget for script in snapshot.scripts if script.budget}
        for name in stopped.keys() - self._stopped:
            said = f"{safe(name)} {safe(stopped[name], 300)}; its pane: Enter tries again, o whatever it costs"
            self.notify(said, severity="warning", timeout=10)
        self._stopped = frozenset(stopped)

    def snapshot(self, window_s: float | None, until_unix_ns: int | None = None) -> Snapshot:
        """The figures of now, or of a moment of the last ten minutes."""
        return self._session.snapshot(window_s, until_unix_ns)

    @property
    def can_record(self) -> bool:
        """Whether there is something to record."""
        return self._recorder is not None

    def record(self) -> None:
        """Begin or end a recording."""
        if self._recorder is not None:
            self.save_in_thread(self._recorder.toggle)

    def reset(self) -> bool:
        """Forget all figures; False, with a word about it, where that cannot be."""
        forget = getattr(self._session, "reset", None)
        if forget is None:
            self.notify("a replay cannot be reset: Home goes to its beginning", severity="warning", timeout=5)
            return False
        forget()
        return True

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: the panes by name, what can be done here, and what in the other panes."""
        main = self.main
        for index, pane in enumerate(main.panes if main else ()):
            off = main is not None and index in main.tabs.off
            what = "open this pane and start its script" if off else "open this pane"
            yield SystemCommand(f"Pane: {pane.TITLE}", what, partial(self.run_action, f"pane({index})", main))
        yield from (each for each in super().get_system_commands(screen) if not each.title.startswith("Pane "))
        for index, pane in enumerate(main.panes if main else ()):
            if main is not None and pane is not main.in_front:
                yield from self._elsewhere(index, pane)

    def _elsewhere(self, index: int, pane: Pane) -> Iterable[SystemCommand]:
        """What can be done in a pane that is not in front; it comes to the front first."""
        seen: set[str] = set()
        for binding in (each for keys in pane._bindings.key_to_bindings.values() for each in keys):
            _, name, parameters = parse(binding.action)
            if binding.action not in seen and pane.check_action(name, parameters) is not False:
                seen.add(binding.action)
                act = partial(self._act_in, index, pane, binding.action)
                yield SystemCommand(f"{pane.TITLE}: {binding.description}", binding.tooltip, act)

    def _act_in(self, index: int, pane: Pane, action: str) -> None:
        main = self.main
        if main is None:
            return

        async def act() -> None:
            main.show_pane()  # many actions are about what is drawn
            await self.run_action(action, pane)

        main.action_pane(index)
        main.call_after_refresh(act)  # it has its size then

    def start_script(self, script: ScriptStatus, free: bool = False) -> bool:
        """Start a script that is off; False, with a word about it, where the session cannot.

        ``free``: whatever it costs.
        """
        start = getattr(self._session, "start_script", None)
        if start is None:
            self.notify("nothing can be started here: this is no live watch", severity="warning", timeout=5)
            return False
        start(script.name, free)
        if self.main is None or self.main.in_front.id != f"script-{script.name}":  # that pane says it itself
            self.notify(f"starting {script.name} …", timeout=4)
        self.poll()
        return True

    def stop_script(self, script: ScriptStatus) -> None:
        """Stop a script that was started from the screen."""
        stop = getattr(self._session, "stop_script", None)
        if stop is None or not stop(script.name):
            self.notify(f"{script.name} was there from the beginning: leave it out with --scripts", timeout=5)
            return
        self.notify(f"stopping {script.name}", timeout=4)
        self.poll()

    def save_snapshot(self, snapshot: Snapshot) -> None:
        """Write its files."""
        self.save_in_thread(partial(self._save, snapshot))

    def save_incident(self, snapshot: Snapshot, verdict: Verdict, before: Sequence[str] = ()) -> None:
        """Write the folder of an incident: what is on the screen is taken now, the files are written in a thread.

        Words over it are taken away first: they hide figures.
        """
        if self._notifications:
            self.clear_notifications()
            self.call_after_refresh(self.save_incident, snapshot, verdict, before)
            return
        text, picture = screen_text(self), screen_picture(self, f"bpftop {snapshot.target.name}")
        said = [*verdict_rows(verdict), *before, *filter(None, [self._options.banner])]
        self.save_in_thread(partial(save_bundle, snapshot, said, text, picture, self._options.save_to))


def _has_figures(snapshot: Snapshot) -> bool:
    """Something has been counted, or the kernel has reported often enough to show that there is nothing."""
    return snapshot.ticks > 2 or any(m.summary.count for m in snapshot.measures.values())


def run(
    session: SnapshotSource,
    *,
    save: Save,
    options: UiOptions,
    on_forced: Callable[[bool], None] | None = None,
    on_taken: Callable[[], None] = lambda: None,
    recorder: RecordControl | None = None,
) -> int:
    """Show the screen until the user leaves, as ``run_app`` does; the exit code."""

    def make(chosen: UiOptions) -> BpftopApp:
        return BpftopApp(session, save=save, options=chosen, recorder=recorder)

    return run_app(make, options, on_forced, on_taken)
