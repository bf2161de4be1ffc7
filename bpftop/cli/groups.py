"""What several commands have in common: options in groups, and the values that they take. Imports nothing heavy."""

from __future__ import annotations

import argparse
import math
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from bpftop.errors import UsageError

if TYPE_CHECKING:
    import ipaddress

WINDOWS = {"10s": 10.0, "1min": 60.0, "5min": 300.0, "all": None}
TARGETS = "process name, process id, :PORT, path, unit.service, container:ID or cgroup:PATH"
DEFAULT_BUDGET = 5.0
"""Percent of one CPU: docs/scripts.md has the reasons."""
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises UsageError instead of printing and exiting."""

    simulates = False
    """It knows ``--simulate``."""

    @property
    def known(self) -> tuple[str, ...]:
        """Every option, short and long."""
        return tuple(self._option_string_actions)

    def format_help(self) -> str:
        """The help; where something is simulated, with the scenarios."""
        if self.simulates:
            from bpftop import scenarios

            width = max(map(len, scenarios.NAMES))
            lines = (f"  {name:{width}}  {summary}" for name, summary in scenarios.SUMMARIES.items())
            self.epilog = "\n".join(("scenarios of --simulate (docs/simulation.md):", *lines))
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """The message as one sentence, the help as the next command."""
        raise UsageError(message, f"{self.prog} --help")


def target(parser: Parser) -> None:
    """The target word, which simulation does not need."""
    parser.add_argument("target", metavar="TARGET", nargs="?", help=TARGETS)


def choice(parser: Parser) -> None:
    """Which scripts run."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--with", dest="also", type=names, default=(), metavar="NAMES", help="more scripts: syscalls,tcp"
    )
    parser.add_argument(
        "--budget",
        type=budget,
        default=DEFAULT_BUDGET,
        metavar="SHARE",
        help="of one CPU, for the probes of each script of --with or started on the screen: 1%%, off; "
        "one that takes more is stopped; default: 5%%",
    )
    which.add_argument("--scripts", type=names, metavar="NAMES", help="these scripts only; `bpftop scripts` lists them")


def attach(parser: Parser) -> None:
    """Attach points in the programs of the user."""
    parser.add_argument(
        "--usdt", action="append", metavar="PATH:START,END", help="from one USDT marker of a program to another"
    )
    parser.add_argument(
        "--usdt-key", choices=("arg0", "tid"), help="what joins the two: the first argument (default) or the thread"
    )
    parser.add_argument(
        "--func", action="append", metavar="PATH:SYMBOL", help="a function, from entry to return; again for more"
    )
    parser.add_argument(
        "--func-unsafe", action="store_true", help="functions of programs with exceptions or coroutines too"
    )


def source(parser: Parser) -> None:
    """Where the figures come from."""
    parser.simulates = True
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = textwrap.fill(parser.description or "", 78)
    parser.add_argument(
        "--simulate", nargs="?", metavar="SCENARIO",
        help="no kernel, no root: figures of a scenario, see below; default: demo",
    )  # fmt: skip
    parser.add_argument("--seed", type=whole, metavar="N", help="another run of the same scenario; default: 1")
    tracer(parser)


def tracer(parser: Parser) -> None:
    """Which bpftrace, and whose rights the rest of us has."""
    parser.add_argument("--bpftrace", type=Path, metavar="FILE", help="the bpftrace to run; only root may change it")
    parser.add_argument("--user", metavar="NAME", help="who reads, draws and writes files; default: the caller of sudo")


def screen(parser: Parser) -> None:
    """The live screen and its window."""
    parser.add_argument("--window", choices=tuple(WINDOWS), default="1min", help="the span of the figures: 1min")
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="a report, recording or CSV to compare with")
    parser.add_argument(
        "--exclude", type=networks, default=(), metavar="NETWORKS", help="clients to leave out of the tables: 10.0.0.5"
    )
    looks(parser)


def looks(parser: Parser) -> None:
    """How a screen looks, and where it saves."""
    parser.add_argument("--refresh", type=refresh, default=1.0, metavar="TIME", help="time between two frames: 1s")
    parser.add_argument("--theme", metavar="NAME", help="the colours")
    parser.add_argument("--no-color", action="store_true", help="the terminal's own colours; NO_COLOR does the same")
    parser.add_argument("--no-mouse", action="store_true", help="leave the mouse to the terminal")
    parser.add_argument("--ascii", action="store_true", help="draw with ASCII only")
    parser.add_argument("--config", metavar="FILE", help="settings; default: ~/.config/bpftop/config.toml")
    parser.add_argument("--save", type=Path, default=Path(), metavar="DIR", help="where `e` saves; default: here")


def networks(text: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """``10.0.0.5,10.1.0.0/16,2001:db8::/64`` as networks."""
    import ipaddress

    try:
        return tuple(ipaddress.ip_network(word.strip(), strict=False) for word in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; as 10.0.0.5,10.1.0.0/16") from error


def names(text: str) -> tuple[str, ...]:
    """``syscalls,tcp`` as its names."""
    found = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not found:
        raise argparse.ArgumentTypeError("name one or more, as syscalls,tcp")
    return found


def speed(text: str) -> float:
    """``20``, ``20x`` or ``max``: how many seconds pass in one."""
    if text.strip() == "max":
        return math.inf
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)\s*x?", text.strip(), re.ASCII)
    if not match or not float(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a speed such as 20, 0.5x or max")
    return float(match[1])


def percentage(text: str) -> float:
    """``20``, ``2.5`` or ``20%`` as a share of 1."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)\s*%?", text.strip(), re.ASCII)
    if not match or not float(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage such as 20 or 2.5")
    return float(match[1]) / 100


def budget(text: str) -> float | None:
    """``1%``, ``0.5`` as percent of one CPU; ``off`` is None."""
    if text.strip() == "off":
        return None
    match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,3})?)\s*%?", text.strip(), re.ASCII)
    if not match or not 0 < float(match[1]) <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no share of one CPU such as 1%, 0.5% (at most 100%) or off")
    return float(match[1])


def refresh(text: str) -> float:
    """The time between two frames: oftener nobody sees it, and seldomer the screen seems to hang."""
    value = seconds(text)
    if not 0.1 <= value <= 60:
        raise argparse.ArgumentTypeError(f"{text!r} is no time between two frames: 0.1 to 60 s")
    return value


def whole(text: str) -> int:
    """A whole number from 1 on."""
    if not re.fullmatch(r"\d{1,12}", text.strip(), re.ASCII) or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number such as 1000")
    return int(text)


def seconds(text: str) -> float:
    """``10``, ``0.5``, ``90s``, ``5min``, ``1h`` in seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|)", text.strip(), re.ASCII)
    value = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not 0 < value <= 31 * 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a length of time such as 10, 90s or 5min")
    return value
