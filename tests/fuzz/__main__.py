"""``make fuzz``: a million mutated lines, every reader under atheris, every property with more examples.

What is found is written to tests/fuzz/finds/TARGET/ and tried by every ``make test`` from then on.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz import blind, lines
from tests.fuzz.targets import FOLDER, TARGETS

FINDS = Path(__file__).parent / "finds"
PROPERTIES = [
    f"tests/test_{name}.py"
    for name in ("fuzz_models", "stats_series", "stats_store", "tracer_decode", "anyscript_decode", "anyscript_store",
                 "scripts_macros", "scripts_compose", "recording", "compare_reading", "userspace", "export_csv")
]  # fmt: skip
SLOWEST_S = 30
"""An input that takes longer is a find, too."""


def main() -> int:
    """0: nothing was found."""
    words = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    words.add_argument("--seconds", type=int, default=60, help="for each target")
    words.add_argument("--lines", type=int, default=1_000_000)
    words.add_argument("--examples", type=int, default=20, help="so many times more examples of each property")
    words.add_argument("--seed", type=int, default=secrets.randbelow(1 << 31))
    words.add_argument("--targets", default=",".join(TARGETS), help="of " + ", ".join(TARGETS))
    given = words.parse_args()
    print(f"make fuzz ARGS='--seed {given.seed}' does this again", flush=True)
    wrong = _lines(given.seed, given.lines) if given.lines else 0
    guided = find_spec("atheris") is not None
    if not guided:
        print("no atheris for this Python or machine: mutations by chance instead", flush=True)
    for name in filter(None, given.targets.split(",")):
        wrong += (_guided if guided else _blind)(name, given.seed, given.seconds)
    if given.examples:
        wrong += _properties(given.seed, given.examples)
    print("nothing was found" if not wrong else f"{wrong} found: see above, and tests/fuzz/finds")
    return int(bool(wrong))


def _lines(seed: int, many: int) -> int:
    start = time.monotonic()
    try:
        books = lines.run(seed, many)
    except AssertionError as error:
        print(f"lines: {error}", flush=True)
        return 1
    said = "; ".join(books.problems()) or "the books are exact"
    print(f"lines: {books} in {time.monotonic() - start:.0f} s; {said}", flush=True)
    return len(books.problems())


def _blind(name: str, seed: int, seconds: int) -> int:
    try:
        tried = blind.run(name, seed, seconds)
    except blind.Found as found:
        _keep(name, found.data)
        print(f"{name}: {found} {found.__cause__!r}", flush=True)
        return 1
    print(f"{name}: {tried:,} inputs", flush=True)
    return 0


def _guided(name: str, seed: int, seconds: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        inputs, artifacts = Path(folder, "inputs"), Path(folder, "finds")
        inputs.mkdir()
        artifacts.mkdir()
        for number, data in enumerate(TARGETS[name].seeds()):
            (inputs / f"seed-{number}").write_bytes(data)
        options = [f"-max_total_time={seconds}", f"-seed={seed or 1}", f"-timeout={SLOWEST_S}", "-print_final_stats=1"]
        options += ["-rss_limit_mb=2000", "-max_len=65536", f"-artifact_prefix={artifacts}/", str(inputs)]
        command = [sys.executable, "-m", "tests.fuzz.guided", name, *options]
        where = {**os.environ, FOLDER: folder}
        done = subprocess.run(command, env=where, capture_output=True, text=True, errors="replace")
        said = done.stdout + done.stderr
        stats = dict(re.findall(r"stat::(\w+):\s+(\d+)", said))
        reached = re.findall(r"cov: (\d+)", said)
        tried, code = stats.get("number_of_executed_units", "?"), reached[-1] if reached else "?"
        print(f"{name}: {tried} inputs, {code} places of code, {stats.get('peak_rss_mb', '?')} MB", flush=True)
        found = sorted(artifacts.iterdir())
        for path in found:
            _keep(name, path.read_bytes())
        if found or done.returncode:
            print(said[-4000:], flush=True)
        return len(found) or int(done.returncode != 0)


def _keep(name: str, data: bytes) -> None:
    path = FINDS / name / hashlib.sha256(data).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    print(f"kept as {path}", flush=True)


def _properties(seed: int, times: int) -> int:
    environment = {**os.environ, "BPFTOP_FUZZ_TIMES": str(times)}
    command = [sys.executable, "-m", "pytest", "-q", "-m", "hypothesis", f"--hypothesis-seed={seed}"]
    command += ["--timeout", "7200", *PROPERTIES]
    return int(subprocess.run(command, env=environment).returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
