"""What is around the tracing: this program, numpy, the terminal, other programs of the same name."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bpftop import __version__
from bpftop.errors import HostError
from bpftop.preflight import Check, Problem
from bpftop.preflight.numeric import reason, require_numpy

LEAST_SIZE = (80, 24)
_TRUE_COLOUR = {"truecolor", "24bit"}


def versions() -> Check:
    """This program, Python and the kernel."""
    return Check("bpftop", f"{__version__}, Python {platform.python_version()}, Linux {platform.release()}")


def numpy() -> Check:
    """Whether numpy loads, asked in a child: built for a newer processor it may end the process (SIGILL)."""
    command = [sys.executable, "-P", "-c", "import numpy; print(numpy.__version__)"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, errors="replace")
    except (OSError, subprocess.SubprocessError):  # no child can be started: a plain look must do
        return _numpy_here()
    if run.returncode == 0:
        return Check("numpy", run.stdout.strip())
    if run.returncode < 0:
        return _no_numpy(f"it was ended by {signal.Signals(-run.returncode).name}: this processor is too old for it")
    return _no_numpy(reason(run.stderr.strip()))


def _numpy_here() -> Check:
    try:
        require_numpy()
    except HostError as error:
        return Check("numpy", error.message, Problem(error.message, error.hint))
    return Check("numpy", str(sys.modules["numpy"].__version__))


def _no_numpy(why: str) -> Check:
    message = f"numpy does not load here: {why}"
    return Check("numpy", message, Problem(message, f"{shlex.quote(sys.executable)} -m pip install 'numpy<2.4'"))


def terminal(
    environment: Mapping[str, str] = os.environ,
    is_terminal: bool | None = None,
    size: tuple[int, int] | None = None,
    encoding: str | None = None,
) -> Check:
    """Whether the live screen can be shown here: it reads from stdin and draws on stderr."""
    if is_terminal is None:
        is_terminal = all(one is not None and one.isatty() for one in (sys.__stdin__, sys.__stderr__))
    if not is_terminal:
        return Check("terminal", "none: bpftop report prints instead of drawing")
    encoding = (encoding or getattr(sys.__stderr__, "encoding", "") or "").lower().replace("_", "-")
    width, height = size or _size()
    term = environment.get("TERM", "")
    detail = f"{term or 'TERM is not set'}, {_colours(environment)}, {encoding}, {width} × {height}"
    if term in ("", "dumb", "unknown"):
        said = f"TERM is {term}" if term else "TERM is not set"
        return Check("terminal", detail, Problem(f"{said}: it cannot be drawn on", "export TERM=xterm-256color", False))
    if encoding.replace("-", "") not in ("utf8", "utf8sig"):
        message = f"it is set to {encoding}, and the screen writes UTF-8"
        return Check("terminal", detail, Problem(message, "export PYTHONUTF8=1", fatal=False))
    if width < LEAST_SIZE[0] or height < LEAST_SIZE[1]:
        message = f"the window is smaller than {LEAST_SIZE[0]} × {LEAST_SIZE[1]}: some columns are left out"
        return Check("terminal", detail, Problem(message, "", fatal=False))
    return Check("terminal", detail)


def _size() -> tuple[int, int]:
    try:
        found = os.get_terminal_size(sys.__stderr__.fileno() if sys.__stderr__ else 2)
    except OSError:
        return LEAST_SIZE
    return found.columns, found.lines


def _colours(environment: Mapping[str, str]) -> str:
    if environment.get("NO_COLOR"):
        return "no colours (NO_COLOR)"
    if environment.get("COLORTERM", "").lower() in _TRUE_COLOUR or "direct" in environment.get("TERM", ""):
        return "all colours"
    return "256 colours" if "256color" in environment.get("TERM", "") else "16 colours"


def namesakes() -> list[Check]:
    """Other programs called bpftop: a monitor of eBPF programs has the name too."""
    own = {os.path.realpath(sys.argv[0]), os.path.realpath(Path(sys.executable).parent / "bpftop")}
    others = []
    for folder in dict.fromkeys(os.environ.get("PATH", "").split(os.pathsep)):
        path = shutil.which("bpftop", path=folder) if folder else None
        if path and os.path.realpath(path) not in own:
            others.append(path)
    message = "another program is called bpftop; ours is also called bpftop-latency"
    return [Check("name", path, Problem(message, "bpftop-latency --version", fatal=False)) for path in others]
