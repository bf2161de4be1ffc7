"""``bpftop scripts`` and ``bpftop script NAME``."""

from __future__ import annotations

import argparse
import difflib
import sys

from bpftop.cli.host import host_of
from bpftop.errors import UsageError
from bpftop.preflight import Host, missing, tracefs


def listing() -> int:
    """Print every script, what it measures, and whether this host can run it."""
    from bpftop.scripts import catalog

    host = host_of(None, "scripts")
    blocks = []
    for script in catalog().values():
        lines = [f"{script.name}: {script.summary}"]
        lines += [f"  {m.name:20} {m.start} … {m.end}" for m in script.measures]
        lines.append(f"  {_verdict(missing(script, host), host)}")
        blocks.append("\n".join(lines))
    print("\n\n".join(blocks))
    return 0


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
            near = difflib.get_close_matches(name, known, 1, 0.4)
            hint = f"bpftop script {near[0]}" if near else "bpftop scripts"
            raise UsageError(f"there is no script {name}; there are {', '.join(known)}", hint)
    target = resolve(options.target) if options.target else Target("", TargetKind.PID, "no target")
    program = compose([known[name] for name in names], target)
    print(program.text, end="" if program.text.endswith("\n") else "\n")
    if not target.processes and sys.stderr.isatty():
        print("bpftop: no process is in it yet: name a target that runs", file=sys.stderr)
    return 0
