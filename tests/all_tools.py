"""Every tool of the bpftrace package under plain bpftrace and under ``bpftop run``: one line each.

By hand, as root: ``python -m tests.all_tools [BPFTRACE] [FILE.bt ...]``. A tool is well when both run it or both do
not; it takes some four seconds a tool.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

SECONDS = 1.5


def plain(bpftrace: str, path: Path) -> tuple[int, str]:
    """bpftrace's exit code after an interrupt, and what kinds of lines it wrote."""
    with subprocess.Popen(
        [bpftrace, "--no-warnings", "-f", "json", "-"],
        stdin=path.open("rb"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        end = time.monotonic() + SECONDS + 2.5
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                out, _ = process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                continue
            break
        else:
            out, _ = process.communicate()
    kinds: Counter[str] = Counter()
    for line in out.decode("utf-8", "replace").splitlines():
        try:
            kinds[json.loads(line).get("type", "?")] += 1
        except ValueError:
            kinds["no JSON"] += bool(line.strip())
    del kinds["attached_probes"]
    return process.returncode, ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items()) if n)


def ours(bpftrace: str, path: Path) -> tuple[int, str, str]:
    """Our exit code, what came, and the first words of the refusal."""
    words = ["run", str(path), "-d", str(SECONDS), "--format", "json", "--bpftrace", bpftrace]
    done = subprocess.run([sys.executable, "-P", "-m", "bpftop", *words], capture_output=True, text=True, check=False)
    why = next((line for line in done.stderr.splitlines() if line.startswith("bpftop:")), "").removeprefix("bpftop: ")
    if not done.stdout:
        return done.returncode, "", why
    report = json.loads(done.stdout)
    said = f"{len(report['maps'])} maps, {report['log_lines']} lines"
    return done.returncode, said + (f", {report['rejected_lines']} UNREADABLE" if report["rejected_lines"] else ""), why


def main() -> int:
    """The table; 1 when a tool runs under one and not under the other."""
    words = sys.argv[1:]
    bpftrace = words.pop(0) if words and not words[0].endswith(".bt") else "/usr/bin/bpftrace"
    paths = [Path(word) for word in words] or sorted(Path("/usr/sbin").glob("*.bt"))
    differ = 0
    for path in paths:
        (code, kinds), (our_code, said, why) = plain(bpftrace, path), ours(bpftrace, path)
        # 4: it ran, and something is missing: events were lost, or nothing of it is attached here.
        same = (code == 0) == (our_code in (0, 4))
        differ += not same
        print(f"{path.stem:18} {'same' if same else 'DIFFERS':8} {code:4} {kinds:44} {our_code:2} {said:24} {why[:90]}")
    return int(differ > 0)


if __name__ == "__main__":
    raise SystemExit(main())
