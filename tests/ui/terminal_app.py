"""A program for the terminal tests: the screen on a fake session. ``python -m tests.ui.terminal_app MODE``."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from dataclasses import replace

from bpftop.model import ClientRow, Snapshot, State, TracerStatus
from bpftop.ui.app import run
from bpftop.ui.options import UiOptions
from bpftop.ui.panes.clients import Clients
from bpftop.ui.view import View
from tests.ui import builders

HOSTILE = "A\x1b[31mB\x1b]0;owned\x07C\u202eD\n\r[/b]E\x9b2JF\u0301\x00G\ud800H"


def hostile() -> Snapshot:
    """Foreign text in every place where there can be one."""
    snapshot = builders.failed(builders.live())
    measures = {
        name: replace(
            each,
            clients=(ClientRow(HOSTILE, 900, 15.0, 1000, 99_000_000, 2000), *each.clients),
            measure=replace(each.measure, title=f"T{HOSTILE}", start=HOSTILE, end=HOSTILE, tells=HOSTILE),
        )
        for name, each in snapshot.measures.items()
    }
    return replace(
        snapshot,
        target=replace(snapshot.target, name=HOSTILE, comm=HOSTILE),
        measures=measures,
        slow=tuple(replace(each, client=HOSTILE, event=HOSTILE) for each in snapshot.slow),
        tracer=TracerStatus(State.FAILED, HOSTILE, HOSTILE, (HOSTILE, HOSTILE), source=HOSTILE),
        scripts=tuple(replace(each, name=HOSTILE, title=HOSTILE, detail=HOSTILE) for each in snapshot.scripts),
        bpftrace_version=HOSTILE,
        kernel=HOSTILE,
    )


def broken_draw(self: Clients, view: View, width: int, height: int) -> list[object]:
    """A pane with a mistake in it."""
    raise ZeroDivisionError(HOSTILE)


def main() -> int:
    """Run in the mode asked for; the exit code is the screen's."""
    mode = sys.argv[1]
    if mode == "ignore-hup":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if mode == "broken":
        Clients.draw = broken_draw  # type: ignore[assignment, method-assign]
    session = builders.FakeSession(hostile() if mode == "hostile" else builders.live())
    options = UiOptions(refresh_s=0.25, banner=HOSTILE if mode == "hostile" else "", no_color=mode == "no-color")
    code = run(session, save=lambda snapshot: HOSTILE, options=options)
    with contextlib.suppress(OSError):
        sys.stderr.write(f"left with {code}\n")
        sys.stderr.flush()
    return code


if __name__ == "__main__":
    result = main()
    os._exit(result)
