"""``bpftop scripts`` and ``bpftop script NAME``."""

from __future__ import annotations

import argparse
import sys
import textwrap

from bpftop.cli.choice import unknown_script
from bpftop.cli.host import host_of
from bpftop.preflight import Host, missing, tracefs


def listing() -> int:
    """Print every script, what it measures, and whether this host can run it."""
    from bpftop.scripts import catalog

    host = host_of(None, "scripts")
    blocks = []
    for script in catalog().values():
        lines = _wrapped(f"{script.name}: {script.summary}", 2)
        for measure in script.measures:
            lines += _wrapped(f"  {measure.name:22} {measure.start} … {measure.end}", 25)
        for counter in script.counters:
            lines += _wrapped(f"  {counter.name:22} how often: {counter.title.lower()}", 25)
        asked = "runs always" if script.default else f"runs with --with {script.name}"
        lines.append(f"  {asked}; {_verdict(missing(script, host), host)}")
        blocks.append("\n".join(lines))
    print("\n\n".join(blocks))
    return 0


def _wrapped(text: str, indent: int) -> list[str]:
    return textwrap.wrap(text, 100, subsequent_indent=" " * indent, drop_whitespace=True)


def _verdict(why: str | None, host: Host) -> str:
    if why:
        return f"cannot run here: {why}"
    return "this host can run it" if tracefs(host) else "only root can tell whether this host can run it"


def show(options: argparse.Namespace) -> int:
    """Print the composed program: plain bpftrace, to read, to keep, to run without bpftop."""
    from bpftop.model import Target, TargetKind
    from bpftop.scripts import catalog, compose
    from bpftop.target import resolve

    known = catalog()
    names = options.name.split(",")
    for name in names:
        if name not in known:
            raise unknown_script(name, known, "script")
    target = resolve(options.target) if options.target else Target("", TargetKind.PID, "no target")
    program = compose([known[name] for name in names], target)
    print(program.text, end="" if program.text.endswith("\n") else "\n")
    if not target.processes and sys.stderr.isatty():
        print("bpftop: no process is in it yet: name a target that runs", file=sys.stderr)
    return 0
