"""``bpftop TARGET`` and ``bpftop demo``: the live screen. bpftrace starts first; the screen is imported meanwhile."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bpftop.cli.groups import WINDOWS
from bpftop.cli.growing import growing
from bpftop.cli.live import demo as demo_session
from bpftop.cli.live import given_target, live
from bpftop.cli.look import save_directory, screen_options
from bpftop.cli.recording import LiveRecorder, recording

if TYPE_CHECKING:
    from bpftop.compare.model import Run
    from bpftop.ensemble import Ensemble
    from bpftop.model import Snapshot
    from bpftop.session import Session


def watch(options: argparse.Namespace) -> int:
    """Show the target until the user leaves; the exit code."""
    _need_terminal(given_target(options))
    said: list[str] = []
    absent: list[str] = []
    with (
        recording() as recorder,
        live(options, said.append, absent.append, meanwhile=_import_screen, ready=recorder.attach) as session,
    ):
        return _show(session, options, recorder, " · ".join(said), "".join(absent))


def demo(options: argparse.Namespace) -> int:
    """Show the demo until the user leaves; the exit code."""
    _need_terminal("TARGET")
    with recording() as recorder, demo_session(options, _import_screen, recorder.attach) as (session, banner):
        return _show(session, options, recorder, banner)


def _both(session: Session | Ensemble, recorder: LiveRecorder) -> Callable[[bool], None]:
    """End bpftrace, then the file.

    When the terminal is gone nobody sees the last counts any more: bpftrace ends with this process, at once, and a file
    that is being written ends with the last whole second.
    """

    def end(terminal_gone: bool) -> None:
        recorder.leaving()
        if not terminal_gone:
            session.stop()
        recorder.close()

    return end


def _import_screen() -> None:
    import bpftop.ui.app  # noqa: F401


def _need_terminal(target: str) -> None:
    from bpftop.ui.terminal import refuse_terminal

    refuse_terminal(target)


def baseline_of(path: Path | None) -> Run | None:
    """The run that the figures are held against, when one was named. Raises FileError."""
    if path is None:
        return None
    from bpftop.compare.reading import read_run

    return read_run(path)


def _show(session: Session, options: argparse.Namespace, recorder: LiveRecorder, banner: str, absent: str = "") -> int:
    from bpftop.ui.app import run

    directory = save_directory(options)

    def save(snapshot: Snapshot) -> str:
        from bpftop.export.snapshot_csv import write_snapshot

        paths = write_snapshot(snapshot, directory)
        stem = paths[0].name.removesuffix("percentiles.csv")
        return f"saved {len(paths)} files: {directory / stem}*.csv"

    excluded = f"not in the tables: {', '.join(map(str, options.exclude))}" if options.exclude else ""
    banner = " · ".join(filter(None, (banner, excluded)))
    ui = screen_options(
        options, window_s=WINDOWS[options.window], banner=banner, absent=absent, save_to=directory,
        baseline=baseline_of(options.baseline),
    )  # fmt: skip
    if options.simulate or session.snapshot(10.0).tracer.source != "bpftrace":
        session.exclude(options.exclude)
        recorder.into(directory, session)
        options.first.over()
        forced = _both(session, recorder)
        return run(session, save=save, options=ui, on_forced=forced, on_taken=options.first.taken, recorder=recorder)
    whole = growing(session, options, recorder.attach)
    recorder.into(directory, whole)
    whole.exclude(options.exclude)
    try:
        options.first.over()
        forced = _both(whole, recorder)
        return run(whole, save=save, options=ui, on_forced=forced, on_taken=options.first.taken, recorder=recorder)
    finally:
        recorder.leaving()
        whole.stop()
