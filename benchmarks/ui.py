"""What the screen costs: CPU, bytes to the terminal and memory at 120x40, beside other programs in the same run.

``python benchmarks/ui.py [--seconds N]``. As root a real nginx is watched, with ten clients and at most 200 requests a
second, else the simulation (whose own work then counts as the screen's). The yardsticks: a Textual app with one word in
it, a twin that draws two charts with textual-plotext (installed into a directory of its own when pip can), btop and
glances where installed.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SIZE = 120, 40
WARM_S = 12.0
TICKS = os.sysconf("SC_CLK_TCK")
EMPTY = """
from textual.app import App
from textual.widgets import Static
class Empty(App):
    def compose(self): yield Static("empty")
Empty().run()
"""
TWIN = """
import math, time
from textual.app import App
from textual_plotext import PlotextPlot
class Twin(App):
    def compose(self): yield PlotextPlot(); yield PlotextPlot()
    def on_mount(self): self.set_interval(1.0, self.draw); self.draw()
    def draw(self):
        now = int(time.time())
        for plot in self.query(PlotextPlot):
            plot.plt.clear_data()
            for scale in (1, 3):
                ages = list(range(-60, 1))
                plot.plt.plot(ages, [scale * (3 + math.sin((now + age) / 5)) for age in ages], marker="braille")
            plot.refresh()
Twin().run()
"""


class Measured(NamedTuple):
    """One program in its terminal."""

    first_s: float
    """From its start to its first 500 bytes."""
    cpu: float
    """Percent of one core."""
    bytes_per_s: float
    pss_mb: float


def family(pid: int) -> list[int]:
    """A process and all below it, but bpftrace: its cost is that of tracing (benchmarks/overhead.py)."""
    with contextlib.suppress(OSError):
        if Path(f"/proc/{pid}/comm").read_text().strip() == "bpftrace":
            return []
        tasks = Path(f"/proc/{pid}/task").iterdir()
        below = [int(child) for task in tasks for child in (task / "children").read_text().split()]
        return [pid, *(each for child in below for each in family(child))]
    return []


def cpu_ticks(pids: list[int]) -> int:
    """Ticks of CPU that these processes have used."""
    used = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used += int(words[11]) + int(words[12])
    return used


def pss_mb(pids: list[int]) -> float:
    """Proportional memory of these processes."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, StopIteration):
            rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += int(next(row for row in rows if row.startswith("Pss:")).split()[1])
    return total / 1024


def measured(argv: list[str], seconds: float, env: dict[str, str] | None = None) -> Measured:
    """Run it in a terminal of its own, look at it after it has warmed up, end it. Raises RuntimeError when it ended."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **(env or {})}
    began = time.monotonic()
    child = subprocess.Popen(
        argv, stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=ROOT, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    try:
        _, first = read(master, began + WARM_S, 500)
        read(master, began + WARM_S)
        if child.poll() is not None:
            raise RuntimeError(f"{argv[0]} ended with {child.returncode}")
        pids, start = family(child.pid), time.monotonic()
        before = cpu_ticks(pids)
        sent, _ = read(master, start + seconds)
        took = time.monotonic() - start
        return Measured(
            first - began, 100 * (cpu_ticks(pids) - before) / TICKS / took, sent / took, pss_mb(pids)
        )  # fmt: skip
    finally:
        with contextlib.suppress(OSError):
            child.send_signal(signal.SIGTERM)
        read(master, time.monotonic() + 3)
        with contextlib.suppress(OSError):
            child.kill()
        child.wait()
        os.close(master)
        os.close(slave)


def read(master: int, until: float, most: float = float("inf")) -> tuple[int, float]:
    """Take what comes until a moment or so many bytes; how many came, and when the last of them did."""
    sent, last = 0, time.monotonic()
    while (left := until - time.monotonic()) > 0 and sent < most:
        if select.select([master], [], [], min(left, 0.1))[0]:
            try:
                chunk = os.read(master, 65_536)
            except OSError:
                break
            sent, last = sent + len(chunk), time.monotonic()
    return sent, last


@contextlib.contextmanager
def load() -> Iterator[list[str]]:
    """What bpftop watches: nginx under steady requests, or the simulation. Yields the words of the command line."""
    if os.geteuid() or not all(map(shutil.which, ("nginx", "bpftrace"))):
        yield ["demo", "--simulate"]
        return
    import socket

    with tempfile.TemporaryDirectory() as name, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        conf = Path(name, "nginx.conf")
        conf.write_text(
            f"pid {name}/pid; error_log {name}/error; events {{}}\n"
            f"http {{ access_log off; server {{ listen 127.0.0.1:{port}; location / {{ return 200 ok; }} }} }}\n"
        )
        server = subprocess.Popen(["nginx", "-c", str(conf), "-g", "daemon off;"], stderr=subprocess.DEVNULL)
        client = subprocess.Popen(
            [sys.executable, "-c", PACED, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )  # fmt: skip
        try:
            yield ["watch", f":{port}"]
        finally:
            for each in (client, server):
                each.terminate()
                each.wait()


PACED = """
import http.client, sys, time, random
time.sleep(1)
own = [(f"127.0.0.{n}", 0) for n in range(2, 12)]
connections = [http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), source_address=each) for each in own]
while True:
    for each in connections:
        each.request("GET", "/"); each.getresponse().read()
    time.sleep(0.05)
"""


def yardsticks(directory: Path) -> dict[str, tuple[list[str], dict[str, str]]]:
    """The other programs that are here, with what they need of the environment."""
    found = {"an empty Textual app": ([sys.executable, "-c", EMPTY], {})}
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(directory)]
    if subprocess.run([*pip, "--no-deps", "textual-plotext"], check=False, capture_output=True).returncode == 0:
        found["two charts with textual-plotext"] = ([sys.executable, "-c", TWIN], {"PYTHONPATH": str(directory)})
    else:
        print("textual-plotext cannot be installed: left out", file=sys.stderr)
    for name, argv in (("btop", ["btop", "--utf-force"]), ("glances", ["glances"])):
        if shutil.which(name):
            found[name] = (argv, {"LANG": "C.UTF-8"})
        else:
            print(f"{name} is not installed: left out", file=sys.stderr)
    return found


def main() -> None:
    """Measure one after the other and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each one is looked at")
    seconds = parser.parse_args().seconds
    rows: dict[str, Measured] = {}
    with tempfile.TemporaryDirectory() as directory, load() as words:
        bpftop = [sys.executable, "-m", "bpftop", *words]
        rows[f"bpftop {words[0]}, overview, once a second"] = measured(bpftop, seconds)
        for name, (argv, env) in yardsticks(Path(directory)).items():
            with contextlib.suppress(RuntimeError):
                rows[name] = measured(argv, seconds, env)
    ours = next(iter(rows.values()))
    print("| | CPU of a core | to the terminal | PSS | first bytes | bpftop's CPU is |")
    print("|---|---|---|---|---|---|")
    for name, each in rows.items():
        ratio = f"{ours.cpu / each.cpu:.2f} of it" if each.cpu else "–"
        print(
            f"| {name} | {each.cpu:.1f} % | {each.bytes_per_s / 1024:.1f} KB/s | {each.pss_mb:.0f} MB "
            f"| {each.first_s * 1000:.0f} ms | {ratio} |"
        )


if __name__ == "__main__":
    main()
