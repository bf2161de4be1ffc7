"""What ``bpftop record`` and ``R`` on the screen write: the counts of the whole recording."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from bpftop.compare.buckets import Accounting
from bpftop.compare.model import Run
from bpftop.errors import FileError
from bpftop.model import Histogram
from bpftop.recording.codec import Damaged
from bpftop.recording.reader import Recording, TrackFile
from bpftop.recording.sums import Sum
from bpftop.stats import quantiles
from bpftop.stats.buckets import BUCKETS


def read_recording(path: Path) -> Run:
    """All tracks of a recording; one that is cut or damaged is partial. Raises FileError when there is nothing."""
    with closing(Recording(path)) as recording:
        sums, problem = _sums(recording)
        if not sums:
            raise FileError(f"{recording.path} cannot be read: {problem}", "bpftop record --help")
        cut = problem or ("" if recording.ended else "its end is missing: it was cut")
        measures = {name: found for track, total in sums for name, found in histograms(track, total)}
        observed = sum(int(each.counts.sum()) for each in measures.values())
        account = Accounting.of(_told([total for _, total in sums]), observed, recording.path)
        partial = (f"the recording is partial: {cut}",) if cut else ()
        main = sums[0][1].status
        facts = {"target": main.target.name, "source": main.tracer.source}
        return Run(recording.path, "recording", measures, account.notes, (*account.problems, *partial), facts)


def _sums(recording: Recording) -> tuple[list[tuple[TrackFile, Sum]], str]:
    """The total of each track, and what is wrong with the recording."""
    found, problem = [], recording.problem
    for track in recording.tracks.values():
        try:
            total = recording.total(track)
        except Damaged as error:
            problem = str(error)
            continue
        if total is not None:
            found.append((track, total))
    return found, problem


def histograms(track: TrackFile, total: Sum) -> Iterator[tuple[str, Histogram]]:
    """The latencies of one track that were observed, by name."""
    dense = np.zeros(track.measures * BUCKETS, np.int64)
    dense[total.part.places] = np.maximum(total.part.counts, 0)
    for measure, counts in zip(track.about.declared.measures, dense.reshape(-1, BUCKETS), strict=True):
        if measure.unit == "ns" and counts.any():
            yield measure.name, quantiles.histogram(counts)


def _told(sums: list[Sum]) -> dict[str, object]:
    """The accounts of all tracks, in the names of the snapshot's accounting."""
    accounts, costs = [each.part.accounting for each in sums], [each.status.overhead for each in sums]
    names = ("produced", "lost", "rejected", "untracked")
    told: dict[str, object] = {name: max(0, sum(getattr(each, name) for each in accounts)) for name in names}
    told["unseen_s"] = max(0, *(each.unseen_ns for each in accounts)) / 1e9
    told["missed"] = sum(each.missed for each in costs)
    told["overhead_hits_per_s"] = sum(each.hits_per_s or 0.0 for each in costs)
    told["window_s"] = max((each.part.boot_ns - each.first_ns) / 1e9 for each in sums)
    return told
