"""``bpftop replay FILE``: a recording on the screen; ``bpftop report FILE``: the same to stdout. No root needed."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bpftop.cli.groups import WINDOWS
from bpftop.cli.look import save_directory, screen_options
from bpftop.cli.watch import baseline_of
from bpftop.errors import Inconclusive, UsageError

if TYPE_CHECKING:
    from bpftop.cli.printing import Printer
    from bpftop.model import Snapshot
    from bpftop.replay import Replay

JITTER_S = 0.3


def replay(options: argparse.Namespace) -> int:
    """Show it until the user leaves; the exit code. Raises FileError."""
    if options.file is None:
        raise UsageError("name a recording", "bpftop replay FILE.bpftop")
    from bpftop.export.snapshot_csv import write_snapshot
    from bpftop.ui.terminal import refuse_terminal

    refuse_terminal(options.file)
    directory = save_directory(options)

    def save(snapshot: Snapshot) -> str:
        paths = write_snapshot(snapshot, directory)
        return f"saved {len(paths)} files: {directory / paths[0].name.removesuffix('percentiles.csv')}*.csv"

    with opened(options.file, options.speed) as shown:
        from bpftop.ui.app import run

        banner = f"this recording is not whole: {shown.note}" if shown.note else ""
        if options.exclude:
            banner = " · ".join(filter(None, (banner, f"not in the tables: {', '.join(map(str, options.exclude))}")))
        shown.exclude(options.exclude)
        ui = screen_options(
            options,
            window_s=WINDOWS[options.window],
            banner=banner,
            save_to=directory,
            baseline=baseline_of(options.baseline),
        )
        return run(shown, save=save, options=ui)


@contextmanager
def opened(path: str, speed: float = 1.0) -> Iterator[Replay]:
    """The recording, playing. Raises FileError."""
    from bpftop.preflight import require_numpy

    require_numpy()
    from bpftop.recording.reader import Recording
    from bpftop.replay import Replay

    found = Replay(Recording(Path(path)), speed)
    try:
        yield found
    finally:
        found.close()


def report(options: argparse.Namespace, out: Printer) -> Snapshot:
    """Print the whole recording, or each interval of it; its last snapshot. Raises Inconclusive when it was cut."""
    with opened(options.target) as shown:
        if options.interval:
            _intervals(shown, options.interval, out)
        shown.pause(True)
        for snapshot in shown.looks():
            out.look(snapshot)
        final = shown.at(shown.position.end_ns, None)
        out.final(final)
        if shown.note:
            raise Inconclusive(f"the recording is not whole: {shown.note}")
        return final


def _intervals(shown: Replay, step: float, out: Printer) -> None:
    printed, number = 0, 1
    for ticks in shown.ticks():
        if shown.covered_s >= number * step - JITTER_S and ticks > printed:
            out.interval(shown.snapshot(float(ticks - printed)))
            printed = ticks
            number = math.floor((shown.covered_s + JITTER_S) / step) + 1
