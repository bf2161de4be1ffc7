"""Words to options: argparse, one rule for the default verb. Imports nothing heavy."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bpftop.cli import config, groups, simulation
from bpftop.cli.groups import TARGETS, Parser, names, percentage, seconds, whole
from bpftop.cli.words import FORMATS
from bpftop.errors import UsageError

VERBS = (
    *("watch", "report", "record", "replay", "serve", "compare", "run"),
    *("scripts", "script", "demo", "doctor"),
)
GLOBAL = ("-h", "--help", "--version")


def with_verb(argv: Sequence[str]) -> list[str]:
    """The words with the verb in front: ``nginx`` becomes ``watch nginx``. Only the first word decides."""
    if argv and (argv[0] in VERBS or argv[0] in GLOBAL):
        return list(argv)
    return ["watch", *argv]


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The options of a command line whose first word is a verb. Raises UsageError."""
    parser = _PARSERS[argv[0]]()
    config.apply(parser, argv)
    words, behind = _divided(argv) if argv[0] == "run" else (list(argv[1:]), [])
    options, rest = parser.parse_known_args(simulation.settled(words) if parser.simulates else words)
    if argv[0] == "run":
        options.file = options.file or (behind.pop(0) if behind else None)
        options.args, rest = [*options.args, *(word for word in rest if word[:1] != "-"), *behind], _dashed(rest)
    if rest and (meant := _meant(argv)):
        raise UsageError(f"there is no command {argv[1]}", meant)
    if not parser.simulates and any(word.partition("=")[0] == "--simulate" for word in rest):
        raise UsageError(f"bpftop {argv[0]} has nothing to simulate", "bpftop --simulate list")
    if rest:
        raise _left_over(parser, rest)
    options.verb = argv[0]
    if parser.simulates:
        simulation.check(options)
    return options


def _left_over(parser: Parser, rest: Sequence[str]) -> UsageError:
    """The error for words that no option and no place takes."""
    option = next((word.partition("=")[0] for word in rest if word[:1] == "-"), "")
    if not option:
        return UsageError(f"too many words: {' '.join(rest)}", f"{parser.prog} --help")
    import difflib

    near = difflib.get_close_matches(option, (*parser.known, "--version"), 1, 0.6)
    meant = f"; did you mean {near[0]}?" if near else ""
    return UsageError(f"{parser.prog} has no option {option}{meant}", f"{parser.prog} --help")


def _divided(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words before and after ``--``; those after it are never options."""
    words = list(argv[1:])
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def _dashed(words: Sequence[str]) -> list[str]:
    return [word for word in words if word[:1] == "-"]


def _meant(argv: Sequence[str]) -> str:
    """``bpftop reprot nginx`` reads as a target and a word too many: the verb that was meant."""
    if argv[0] != "watch" or len(argv) < 3:
        return ""
    import difflib

    near = difflib.get_close_matches(argv[1], VERBS, 1, 0.6)
    return " ".join(["bpftop", near[0], *argv[2:]]) if near else ""


def _watch() -> Parser:
    parser = Parser("bpftop watch", description="The live screen. `bpftop TARGET` is short for it.")
    groups.target(parser)
    groups.choice(parser)
    groups.attach(parser)
    groups.source(parser)
    groups.screen(parser)
    return parser


def _report() -> Parser:
    parser = Parser("bpftop report", description="Measure for a while, then print.")
    groups.target(parser)
    parser.add_argument("-d", "--duration", type=seconds, default=10.0, metavar="TIME", help="how long: 30, 90s, 5min")
    parser.add_argument("-i", "--interval", type=seconds, metavar="TIME", help="print every TIME; json: one per line")
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: text")
    parser.add_argument("--measure", metavar="NAME", help="of --format hgrm; default: request_latency")
    parser.add_argument(
        "--prometheus-textfile", type=Path, metavar="PATH", help="for node_exporter, written anew every -i TIME"
    )
    parser.add_argument("--ascii", action="store_true", help="text in ASCII only")
    groups.choice(parser)
    groups.attach(parser)
    groups.source(parser)
    parser.add_argument("--speed", type=groups.speed, metavar="N", help="simulate N seconds in one: 20, max")
    parser.add_argument("--truth", action="store_true", help="what was simulated beside what is said, and the error")
    return parser


def _serve() -> Parser:
    parser = Parser("bpftop serve", description="Watch without a screen, for Prometheus and OpenTelemetry.")
    groups.target(parser)
    parser.add_argument(
        "--listen", metavar="ADDRESS:PORT", help="where /metrics is; default: 127.0.0.1:9797, port 0 for any free one"
    )
    parser.add_argument(
        "--client-labels", type=whole, default=0, metavar="N", help="the N busiest clients as gauges, at most 100"
    )
    parser.add_argument("--otlp", metavar="URL", help="send to an OpenTelemetry receiver: http://127.0.0.1:4318")
    parser.add_argument(
        "-i", "--interval", type=seconds, default=15.0, metavar="TIME", help="between two OTLP messages: 15s"
    )
    groups.choice(parser)
    groups.attach(parser)
    groups.source(parser)
    return parser


def _record() -> Parser:
    parser = Parser(
        "bpftop record",
        usage="bpftop record TARGET [TIME] [-o FILE.bpftop | -o FILE.csv] [OPTIONS]",
        description="Record everything, to be replayed (FILE.bpftop), or single events as CSV (FILE.csv, or stdout). "
        "Ends after TIME, or at ctrl+c.",
    )
    groups.target(parser)
    parser.add_argument("time", metavar="TIME", nargs="?", help="how long: 60, 90s, 5min; else until ctrl+c")
    parser.add_argument("-d", "--duration", type=seconds, metavar="TIME", help="the same")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="a new file, .bpftop or .csv; default: stdout"
    )
    parser.add_argument("--csv", action="store_true", help="CSV on a terminal too")
    parser.add_argument(
        "--every-event", action="store_true", help="send every single event, not only slow ones: dear on a busy server"
    )
    groups.choice(parser)
    groups.attach(parser)
    groups.source(parser)
    return parser


def _replay() -> Parser:
    parser = Parser(
        "bpftop replay",
        description="Show a recording on the screen it was recorded from: every pane, every window, any moment. "
        "No root, no bpftrace. For text, JSON and CSV: bpftop report FILE.bpftop",
    )
    parser.add_argument("file", metavar="FILE.bpftop", nargs="?", help="what bpftop record, or R on the screen, wrote")
    parser.add_argument("--speed", type=speed, default=1.0, metavar="N", help="so many times as fast: 4x; default: 1x")
    groups.screen(parser)
    return parser


def speed(text: str) -> float:
    """``4x``, ``0.5`` as a number."""
    match = re.fullmatch(r"(\d{1,4}(?:\.\d{1,3})?)\s*x?", text.strip(), re.ASCII)
    if not match or not 0.01 <= float(match[1]) <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a speed such as 4x or 0.5x")
    return float(match[1])


def _compare() -> Parser:
    parser = Parser(
        "bpftop compare",
        usage="bpftop compare BASE CURRENT [--threshold-p99 20] [OPTIONS]",
        description="Two measurements, percentile by percentile, and a verdict: exits 0, 1 (regression) or 4 "
        "(inconclusive). Files: CSV of samples (timestamp_ns,latency_ns,event), CSV of a snapshot, JSON of report.",
    )
    parser.add_argument("files", metavar="BASE CURRENT", nargs="*", help="the baseline and the run to judge")
    parser.add_argument("--baseline", metavar="FILE", help="the same as BASE")
    parser.add_argument("--current", metavar="FILE", help="the same as CURRENT")
    for name, title in (("p50", "p50"), ("p90", "p90"), ("p95", "p95"), ("p99", "p99"), ("p999", "p99.9")):
        which = "; default when none is given: 20" if name == "p99" else ""
        told = f"how many percent {title} may grow{which}".replace("%", "%%")
        parser.add_argument(f"--threshold-{name}", type=percentage, metavar="PERCENT", help=told)
    parser.add_argument(
        "--measure", type=names, metavar="NAMES", help="what to compare; default: request_latency, else all of both"
    )
    parser.add_argument(
        "--min-samples", type=whole, metavar="N", help="fewer prove nothing; default: 299 for p99, 2995 for p99.9"
    )
    parser.add_argument("--format", choices=("text", "json", "junit", "markdown"), default="text", help="default: text")
    parser.add_argument("--ascii", action="store_true", help="text in ASCII only")
    return parser


def _run() -> Parser:
    parser = Parser(
        "bpftop run",
        usage="bpftop run [OPTIONS] FILE.bt [ARGS] [-- ARGS]",
        description="Run any bpftrace program: on a live screen, or with -d, -i or --format to stdout.",
    )
    parser.add_argument("file", metavar="FILE.bt", nargs="?", help="the program; yours or root's")
    parser.add_argument(
        "args", metavar="ARGS", nargs="*", help="its positional parameters; behind -- if they begin with -"
    )
    parser.add_argument("-d", "--duration", type=seconds, metavar="TIME", help="end it after TIME: 30, 90s, 5min")
    parser.add_argument("-i", "--interval", type=seconds, metavar="TIME", help="print what its maps were every TIME")
    parser.add_argument("--format", choices=("text", "json", "csv"), help="default: text")
    groups.tracer(parser)
    groups.looks(parser)
    return parser


def _script() -> Parser:
    parser = Parser("bpftop script", description="Print a script as plain bpftrace, composed for a target.")
    parser.add_argument("name", metavar="NAME", help="as `bpftop scripts` lists it; several: requests,connections")
    parser.add_argument("target", metavar="TARGET", nargs="?", help=TARGETS)
    groups.attach(parser)
    return parser


def _demo() -> Parser:
    parser = Parser("bpftop demo", description="Watch a small server with a story: slow spells, stalls, many clients.")
    groups.choice(parser)
    groups.source(parser)
    groups.screen(parser)
    return parser


def _doctor() -> Parser:
    parser = Parser(
        "bpftop doctor",
        description="What this host has and lacks for tracing, and what can be seen of TARGET. Exits 0 or 3.",
    )
    groups.target(parser)
    parser.add_argument(
        "--try", dest="attempt", action="store_true", help="as root: compile and attach each script for a moment"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object, schema bpftop-doctor/1")
    parser.add_argument("--bpftrace", type=Path, metavar="FILE", help="the bpftrace to look at")
    return parser


_PARSERS: Mapping[str, Callable[[], Parser]] = {
    "watch": _watch,
    "report": _report,
    "record": _record,
    "replay": _replay,
    "serve": _serve,
    "compare": _compare,
    "run": _run,
    "scripts": lambda: Parser("bpftop scripts", description="What can be measured, and whether this host can."),
    "script": _script,
    "demo": _demo,
    "doctor": _doctor,
}
