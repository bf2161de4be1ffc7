"""The programs beside which bpftop's screen is measured. What has to be installed goes into ~/.cache/bpftop-bench."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "bpftop-bench")
EMPTY = """
from textual.app import App
from textual.widgets import Static
class Empty(App):
    def compose(self): yield Static("an empty app")
Empty().run()
"""
ECHO = """
from textual.app import App
from textual.widgets import Static
class Echo(App):
    def compose(self): yield Static("none")
    def on_key(self, event): self.query_one(Static).update(f"key {event.key}", layout=False)
Echo().run()
"""
EMPTY_WITH_NUMPY = f"import numpy\n{EMPTY}"
COUNTER = """
from textual.app import App
from textual.widgets import Static
class Counter(App):
    n = 0
    def compose(self): yield Static("0")
    def on_mount(self): self.set_interval(1.0, self.count)
    def count(self): self.n += 1; self.query_one(Static).update(str(self.n), layout=False)
Counter().run()
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
IMPORTS = "import numpy, time; time.sleep(600)"


@dataclass(frozen=True)
class Yardstick:
    """A program to measure: its command line and what it needs of the environment."""

    name: str
    argv: list[str]
    env: dict[str, str] = field(default_factory=lambda: {"LANG": "C.UTF-8"})
    warm_s: float = 4.0
    """From its start until it has settled."""


@contextlib.contextmanager
def yardsticks() -> Iterator[list[Yardstick]]:
    """Those that can be had here; a word on stderr about the others."""
    found = [
        Yardstick("Python and numpy, imported", [sys.executable, "-c", IMPORTS], warm_s=1.0),
        Yardstick("an empty Textual app", [sys.executable, "-c", EMPTY]),
        Yardstick("an empty Textual app that has imported numpy", [sys.executable, "-c", EMPTY_WITH_NUMPY]),
        Yardstick("a Textual app that counts, once a second", [sys.executable, "-c", COUNTER]),
    ]
    twin = _from_pypi("textual-plotext", "python", Path(sys.executable))
    if twin is not None:
        found.append(Yardstick("two charts with textual-plotext, once a second", [twin, "-c", TWIN]))
    if shutil.which("btop"):
        found.append(Yardstick("btop, every two seconds", ["btop", "--utf-force"]))
    else:
        _missing("btop", "apt-get install btop")
    glances = _from_pypi("glances", "glances")
    if glances is not None:
        found.append(Yardstick("glances, every two seconds", [glances]))
    dolphie = _from_pypi("dolphie", "dolphie")
    with contextlib.ExitStack() as stack:
        if dolphie is not None and shutil.which("mariadbd", path="/usr/sbin:/usr/bin"):
            port = stack.enter_context(_mariadb())
            argv = [dolphie, "-u", "bench", "-p", "bench", "-h", "127.0.0.1", "-P", str(port)]
            found.append(Yardstick(DOLPHIE, argv, warm_s=10.0))
        elif dolphie is not None:
            _missing("dolphie", "apt-get install mariadb-server")
        yield found


DOLPHIE = "dolphie, once a second"


def _missing(name: str, cure: str) -> None:
    print(f"{name} is left out: {cure}", file=sys.stderr)


def _from_pypi(package: str, command: str, python: Path = Path("python3")) -> str | None:
    """A command of a package in a virtual environment of its own; None when pip cannot have it."""
    place = CACHE / package
    if not (place / "installed").exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        make = [python, "-m", "venv", "--clear", place]
        install = [place / "bin" / "python", "-m", "pip", "install", "--quiet", package]
        for step in (make, install):
            if subprocess.run(step, check=False, capture_output=True).returncode:
                _missing(package, f"{place}/bin/pip install {package}")
                return None
        (place / "installed").touch()
    return str(place / "bin" / command)


@contextlib.contextmanager
def _mariadb() -> Iterator[int]:
    """An idle MariaDB in a directory of its own, for dolphie. Yields its port."""
    with tempfile.TemporaryDirectory() as name, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        free.close()
        os.chmod(name, 0o755)
        user = ["--user=root"] if os.geteuid() == 0 else []
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", *user, f"--datadir={name}/data", "--skip-test-db"],
            check=True, capture_output=True,
        )  # fmt: skip
        Path(name, "init.sql").write_text(
            "CREATE USER bench@'127.0.0.1' IDENTIFIED BY 'bench';\nGRANT ALL ON *.* TO bench@'127.0.0.1';\n"
        )
        server = subprocess.Popen(
            [
                shutil.which("mariadbd", path="/usr/sbin:/usr/bin") or "mariadbd", "--no-defaults", *user,
                f"--datadir={name}/data", f"--socket={name}/socket", f"--port={port}", "--bind-address=127.0.0.1",
                "--skip-name-resolve", f"--init-file={name}/init.sql", f"--pid-file={name}/pid",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _await(port)
            yield port
        finally:
            server.terminate()
            server.wait()


def _await(port: int) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise RuntimeError("mariadbd does not answer")
