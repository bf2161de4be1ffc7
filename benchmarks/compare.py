"""A CSV of a million samples: bpftop's reader beside others that get the same percentiles, in one run.

Rows: bpftop, Python's csv module, and pandas where it is installed (bpftop does not need it). Every reader gives the
percentiles of each event; they have to agree to the last digit.

    python benchmarks/compare.py [--rows 1000000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from bpftop.compare import read_run  # noqa: E402
from bpftop.compare.bootstrap import figures  # noqa: E402
from bpftop.compare.model import QUANTILES  # noqa: E402

Found = Mapping[str, tuple[int, ...]]
"""By event: p50, p90, p95, p99, p99.9 in ns, nearest rank."""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    readers: dict[str, Callable[[Path], Found]] = {"bpftop": with_bpftop, "csv module": with_csv}
    if importlib.util.find_spec("pandas"):
        readers["pandas"] = with_pandas
    with tempfile.TemporaryDirectory(prefix="bpftop-bench-") as folder:
        files = [written(Path(folder) / f"{name}.csv", options.rows, seed) for seed, name in enumerate(("a", "b"))]
        seconds: dict[str, list[float]] = {name: [] for name in readers}
        for _ in range(options.rounds):
            found = {name: timed(reader, files[0], seconds[name]) for name, reader in readers.items()}
            assert all(each == found["bpftop"] for each in found.values()), found
        whole = [command(files) for _ in range(options.rounds)]
    print(table(seconds, options.rows))
    print(f"\nbpftop compare, both files, from the shell: {statistics.median(whole):.2f} s")
    return 0


def written(path: Path, rows: int, seed: int) -> Path:
    """Two events, a client, ports: what a recording has."""
    random = np.random.default_rng(seed)
    latencies = random.lognormal(14, 0.5, rows).astype(np.int64).tolist()
    requests = (random.random(rows) < 0.9).tolist()
    with path.open("w") as file:
        file.write("timestamp_ns,latency_ns,event,client,client_port\n")
        for i, (latency, request) in enumerate(zip(latencies, requests, strict=True)):
            event = "request" if request else "connection"
            file.write(
                f"{1_795_383_900_000_000_000 + i * 1000},{latency},{event},10.0.0.{i % 200},{40_000 + i % 20_000}\n"
            )
    return path


def timed(reader: Callable[[Path], Found], path: Path, seconds: list[float]) -> Found:
    """What it found; its time is added to the list."""
    begun = time.perf_counter()
    found = reader(path)
    seconds.append(time.perf_counter() - begun)
    return found


def with_bpftop(path: Path) -> Found:
    """The reader of bpftop compare."""
    measures = read_run(path).measures
    return {name: tuple(int(v or 0) for v in figures(h).quantiles_ns.values()) for name, h in measures.items()}


def with_csv(path: Path) -> Found:
    """The standard library."""
    values: dict[str, list[int]] = {}
    with path.open(newline="") as file:
        rows = csv.reader(file)
        next(rows)
        for row in rows:
            values.setdefault(row[2], []).append(int(row[1]))
    return {event: ranked(np.sort(np.array(each))) for event, each in values.items()}


def with_pandas(path: Path) -> Found:
    """The same by pandas, with the columns that are needed."""
    import pandas

    frame = pandas.read_csv(path, usecols=["latency_ns", "event"])
    groups = frame.groupby("event", sort=False)["latency_ns"]
    return {str(event): ranked(np.sort(group.to_numpy())) for event, group in groups}


def ranked(ordered: np.ndarray) -> tuple[int, ...]:
    ranks = [int(np.ceil(q * len(ordered) * (1 - 1e-12))) for q in QUANTILES.values()]
    return tuple(int(ordered[max(rank, 1) - 1]) for rank in ranks)


def command(files: list[Path]) -> float:
    """Seconds of the whole command, start of Python included."""
    begun = time.perf_counter()
    words = [sys.executable, "-P", "-m", "bpftop", "compare", *map(str, files)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd=HERE.parent)
    return time.perf_counter() - begun


def table(seconds: Mapping[str, list[float]], rows: int) -> str:
    """Medians, and how often as long as bpftop."""
    ours = statistics.median(seconds["bpftop"])
    lines = [f"| {rows:,} rows | s | of bpftop |", "|---|---|---|"]
    for name, each in seconds.items():
        ratio = statistics.median(one / mine for one, mine in zip(each, seconds["bpftop"], strict=True))
        lines.append(f"| {name} | {statistics.median(each):.2f} | {ratio:.1f} |")
    return "\n".join([*lines, f"\n{len(seconds['bpftop'])} rounds in turn; bpftop: {rows / ours / 1e6:.1f} M rows/s"])


if __name__ == "__main__":
    sys.exit(main())
