"""The app of ``bpftop run``, and ``show``: one call from the command line to the screen and back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Protocol

from bpftop.anyscript.model import RunSnapshot, RunState
from bpftop.ui.anyscript.screen import RunScreen
from bpftop.ui.options import UiOptions
from bpftop.ui.shell import Shell, run_app

Save = Callable[[RunSnapshot], str]
_EAGER_S = 0.2
"""Between two looks while it starts or ends."""


class RunSource(Protocol):
    """A run of a program, live or not."""

    def snapshot(self) -> RunSnapshot:
        """Everything at this moment; cheap, and safe from any thread."""

    def end(self) -> None:
        """Ask the program to end; returns at once."""

    def kill(self) -> None:
        """End it now, whatever is lost."""


class RunApp(Shell):
    """Pulls snapshots of a run and hands them to its screen."""

    def __init__(self, source: RunSource, *, save: Save, options: UiOptions) -> None:
        super().__init__(options)
        self._source, self._save = source, save
        self._before: tuple[int, int] | None = None
        """What had come when the user asked the program to end."""

    @property
    def main(self) -> RunScreen | None:
        """The run's screen, also when another one is over it."""
        return next((screen for screen in self.screen_stack if isinstance(screen, RunScreen)), None)

    def on_mount(self) -> None:
        """What there is at once, then at the interval."""
        self._event_loop = asyncio.get_running_loop()
        first = self._source.snapshot()
        self.push_screen(RunScreen(self._options, first))
        self.poll_every(min(self._options.refresh_s, _EAGER_S))

    def poll(self) -> None:
        """Pull a snapshot and draw it; when the program has ended as asked and nothing new came with it, leave."""
        main = self.main
        if main is None or not main.is_mounted or main.look.paused:
            return
        snapshot = self._source.snapshot()
        if self._before is not None and snapshot.state is RunState.ENDED:
            before, self._before = self._before, None
            if _come(snapshot) == before:
                self.exit(0)
        was, now = (_is_eager(each) for each in (main.look.snapshot, snapshot))
        main.take(snapshot)
        if was and not now:
            self.poll_every(main.refresh_s)

    def action_leave(self) -> None:
        """End the program, to see its last maps; when it has ended or is ending already, leave."""
        snapshot = self._source.snapshot()
        if snapshot.over or snapshot.state is RunState.STOPPING:
            self.exit(0)
            return
        self._before = _come(snapshot)
        self._source.end()
        self.poll_every(_EAGER_S)
        if self.main is not None:
            self.main.pause(False)

    def save_run(self, snapshot: RunSnapshot) -> None:
        """Write its files."""
        self.save_in_thread(partial(self._save, snapshot))


def _is_eager(snapshot: RunSnapshot) -> bool:
    return snapshot.state in (RunState.STARTING, RunState.STOPPING) or (
        snapshot.state is RunState.LIVE and not snapshot.log and not any(view.prints for view in snapshot.maps)
    )


def _come(snapshot: RunSnapshot) -> tuple[int, int]:
    """How often maps have been printed, without the program's memory, and how much it has said."""
    return sum(view.prints for view in snapshot.maps if not view.facts.scratch), snapshot.log_lines


def show(source: RunSource, *, save: Save, options: UiOptions) -> int:
    """Show the run until the user leaves, as ``run_app`` does; the exit code."""
    return run_app(lambda chosen: RunApp(source, save=save, options=chosen), options, lambda _: source.kill())
