"""What ``bpftop report`` prints, in every format; what goes on is said elsewhere."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bpftop.cli.look import ascii_wanted
from bpftop.errors import UsageError

if TYPE_CHECKING:
    from bpftop.ensemble import Ensemble
    from bpftop.export.metrics import Rising
    from bpftop.model import Snapshot
    from bpftop.session import Session
    from bpftop.stats.episodes import Episode, Episodes
    from bpftop.tracer.simulate import SimulatedSource

WHOLE = ("prometheus", "hgrm")
"""Formats for the whole time only."""


class Printer:
    """Snapshots to stdout in the wanted format, each at once."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._format: str = options.format
        self._each: bool = options.interval is not None
        self._ascii = ascii_wanted(options)
        self._lines = 0
        self._options = options
        self._told: SimulatedSource | None = None
        self._rising: Rising | None = None
        self._episodes: Episodes | None = None

    def simulates(self, source: SimulatedSource) -> None:
        """The figures come from a simulation; its truth is printed when that was asked for."""
        if self._options.truth:
            self._told = source

    def interval(self, snapshot: Snapshot) -> None:
        """One interval."""
        if self._format == "text":
            from bpftop.export.interval_text import heading, line

            if self._lines % 20 == 0:
                self._print(heading(), end="\n")
            self._print(line(snapshot), end="\n")
        else:
            self._one(snapshot)
        self._lines += 1

    def look(self, snapshot: Snapshot) -> None:
        """Keep what stands out at this moment; each second one snapshot."""
        if self._episodes is None:
            from bpftop.stats.episodes import Episodes  # with the statistics: not before there is something to look at

            self._episodes = Episodes()
        self._episodes.look(snapshot)

    def final(self, snapshot: Snapshot) -> None:
        """The whole time. In JSON and CSV the intervals have said it already."""
        if self._format == "text":
            from bpftop.export import to_text

            self._print(("\n" if self._lines else "") + to_text(snapshot, self._ascii, self._stood_out))
            if self._told:
                from bpftop.export.truth import truth_text

                self._print("\n" + truth_text(snapshot, self._told.truth(), self._options.seed))
        elif not self._each:
            self._one(snapshot)

    @property
    def _stood_out(self) -> Sequence[Episode] | None:
        return self._episodes.episodes if self._episodes is not None else None

    def textfile(self, session: Session | Ensemble) -> None:
        """Everything since the start, for node_exporter, where a path was given."""
        if self._options.prometheus_textfile is None:
            return
        from bpftop.export.files import replace

        replace(self._options.prometheus_textfile, self._exposition(session.snapshot(None)))

    def _exposition(self, snapshot: Snapshot) -> str:
        from bpftop.export.metrics import Rising, families
        from bpftop.export.prometheus_text import to_prometheus

        self._rising = self._rising or Rising()
        return to_prometheus(families(snapshot, self._rising))

    def _one(self, snapshot: Snapshot) -> None:
        from bpftop.export import csv_header, csv_rows, to_json
        from bpftop.export.table import to_csv

        if self._format == "prometheus":
            self._print(self._exposition(snapshot))
        elif self._format == "hgrm":
            self._print(self._hgrm(snapshot))
        elif self._format in ("json", "jsonl"):
            report: dict[str, Any] = to_json(snapshot, None if self._each else self._stood_out)
            if self._told:
                from bpftop.export.truth import truth_json

                report["truth"] = truth_json(snapshot, self._told.truth(), self._options.seed)
            compact = self._each or self._format == "jsonl"
            self._print(json.dumps(report, separators=(",", ":") if compact else None), end="\n")
        else:
            self._print(to_csv([*([] if self._lines else [csv_header()]), *csv_rows(snapshot)]))

    def _hgrm(self, snapshot: Snapshot) -> str:
        from bpftop.export.hgrm import to_hgrm

        name = self._options.measure or "request_latency"
        if name not in snapshot.measures:
            have = ", ".join(snapshot.measures)
            raise UsageError(f"there is no measure {name}; there are {have}", "bpftop report --help")
        return to_hgrm(snapshot.measures[name])

    def _print(self, text: str, end: str = "") -> None:
        if self._ascii:
            text = text.replace("µ", "u").replace("–", "-").encode("ascii", "replace").decode()
        print(text, end=end, flush=True)
