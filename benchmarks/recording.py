"""How large a recording gets, how near that is to what the counts must take, and how fast it opens.

Stories of the demo at several rates, without waiting; sizes are those of an hour at the pace of the measured part. The
entropy is that of independent Poisson counts with the mean of each bucket in each minute, plus the bytes of the events.
A busy server's counts depend on each other, so they take somewhat less. Opening is compared with ``gzip -d`` of what
bpftrace printed.

    python benchmarks/recording.py [--seconds 600] [--write]
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from bpftop.compare import read_run  # noqa: E402
from bpftop.figures import Frame  # noqa: E402
from bpftop.recording.reader import Recording  # noqa: E402
from bpftop.recording.writer import Recorder  # noqa: E402
from bpftop.replay import Replay  # noqa: E402
from tests.recorded import StoryRun  # noqa: E402

SCALES = (0.1, 1.0, 10.0, 40.0)
MINUTE = 60


class Story(StoryRun):
    """Keeps what bpftrace would have printed, and what was counted."""

    def __init__(self, scale: float, raw: gzip.GzipFile) -> None:
        super().__init__(scale)
        self._raw = raw
        self.parts: list[Frame] = []
        self._taps.append(self.parts.append)

    def _take(self, text: bytes) -> None:
        self._raw.write(text)
        super()._take(text)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--write", action="store_true", help="renew the table in benchmarks/README.md")
    options = parser.parse_args()
    lines = [
        "| requests/s | bpftrace printed, an hour | recording, an hour | of the entropy "
        "| last moment / gzip -d | totals / gzip -d |",
        "|---|---|---|---|---|---|",
    ]
    for scale in SCALES:
        lines.append(row(scale, options.seconds))
        print(lines[-1], flush=True)
    table = "\n".join(lines)
    if options.write:
        page = HERE / "README.md"
        text = re.sub(
            r"(<!-- recording -->\n).*?(<!-- /recording -->)",
            lambda found: f"{found[1]}{table}\n{found[2]}",
            page.read_text(),
            flags=re.S,
        )
        page.write_text(text)
    return 0


def row(scale: float, seconds: int) -> str:
    """One rate."""
    with tempfile.TemporaryDirectory(prefix="bpftop-bench-") as folder:
        path, raw = Path(folder) / "story.bpftop", Path(folder) / "raw.gz"
        with gzip.open(raw, "wb", 6) as out:
            run, recorder = Story(scale, out), Recorder()
            recorder.begin(os.open(path, os.O_WRONLY | os.O_CREAT), str(path))
            recorder.attach(run)
            run.run(seconds)
        assert recorder.end(timeout_s=600).problem == ""
        recorder.close()
        hour = 3600 / seconds / 1e6
        size, bound = path.stat().st_size, entropy(run)
        unpacked = timed(lambda: subprocess.run(["gzip", "-dc", str(raw)], stdout=subprocess.DEVNULL, check=True))
        last, total = timed(lambda: last_moment(path)), timed(lambda: read_run(path))
        counted = run.snapshot(None).measures["request_latency"].summary
        return (
            f"| {counted.rate_per_s:,.0f} | {run.said * hour:,.0f} MB | {size * hour:.1f} MB | {size / bound:.2f} "
            f"| {last / unpacked:.2f} | {total / unpacked:.2f} |"
        )


def last_moment(path: Path) -> None:
    with closing(Replay(Recording(path))) as replay:
        replay.at(replay.position.end_ns, 60.0)


def timed(do: object) -> float:
    assert callable(do)
    found = []
    for _ in range(3):
        begun = time.perf_counter()
        do()
        found.append(time.perf_counter() - begun)
    return statistics.median(found)


def entropy(run: Story) -> float:
    """Bytes that the counts hold, and 11 for each event."""
    parts = [frame.part for frame in run.parts if frame.part is not None]
    total = 0.0
    for begin in range(0, len(parts), MINUTE):
        some = parts[begin : begin + MINUTE]
        for tables in ([(p.places, p.counts) for p in some], [(p.client_keys, p.client_counts) for p in some]):
            keys, inverse = np.unique(np.concatenate([k.astype(np.uint64) for k, _ in tables]), return_inverse=True)
            sums = np.bincount(inverse, np.concatenate([c for _, c in tables]), len(keys))
            total += float(poisson_bits(sums / len(some)).sum()) * len(some) / 8
    return total + 11 * sum(len(part.records) for part in parts)


def poisson_bits(mean: np.ndarray) -> np.ndarray:
    """The entropy of Poisson counts, in bits: summed for small means, Gaussian for large ones."""
    small = np.minimum(mean, 30.0)
    n = np.arange(120)
    logs = np.concatenate(([0.0], np.cumsum(np.log(n[1:]))))
    with np.errstate(divide="ignore"):
        log_p = n * np.log(small)[:, None] - small[:, None] - logs
    p = np.exp(log_p)
    exact = -(p * np.where(p > 0, log_p, 0.0)).sum(axis=1) / np.log(2)
    return np.where(mean < 30, exact, 0.5 * np.log2(2 * np.pi * np.e * np.maximum(mean, 1e-9)))


if __name__ == "__main__":
    sys.exit(main())
