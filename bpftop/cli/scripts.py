"""``bpftop scripts`` and ``bpftop script NAME``."""

from __future__ import annotations

import argparse
import sys
import textwrap
from typing import TYPE_CHECKING

from bpftop.cli import attach
from bpftop.cli.choice import unknown_script
from bpftop.cli.host import host_of
from bpftop.preflight import Host, missing, suited, tracefs
from bpftop.text import inside

if TYPE_CHECKING:
    from bpftop.model import Script


def listing(_options: argparse.Namespace) -> int:
    """Print every script, what it measures, and whether this host can run it."""
    from bpftop.scripts import costs
    from bpftop.scripts.catalog import shipped

    host = host_of(None, "scripts")
    blocks = []
    for script in shipped().values():
        lines = _wrapped(f"{script.name}: {script.summary}", 2)
        lines += _wrapped(f"  when: {script.when}", 4) if script.when else []
        for measure in script.measures:
            lines += _wrapped(f"  {measure.name:22} {measure.start} … {measure.end}", 25)
        for counter in script.counters:
            lines += _wrapped(f"  {counter.name:22} how often: {inside(counter.title)}", 25)
        lines += _wrapped(f"  not seen: {'; '.join(script.unseen)}", 4) if script.unseen else []
        lines += _wrapped(f"  costs {cost}", 4) if (cost := costs.told(script)) else []
        asked = "runs always" if script.default else f"runs with {script.needs or '--with ' + script.name}"
        lines.append(f"  {asked}; {_verdict(script, host)}")
        blocks.append("\n".join(lines))
    print("\n\n".join(blocks))
    return 0


def _wrapped(text: str, indent: int) -> list[str]:
    return textwrap.wrap(text, 100, subsequent_indent=" " * indent, drop_whitespace=True)


def _verdict(script: Script, host: Host) -> str:
    why = missing(script, host)
    if why:
        return f"cannot run here: {why}"
    if variant := suited(script, host).variant:
        return f"this host can run its {variant} variant, {script.name}-{variant}.bt"
    if tracefs(host):
        return "this host can run it"
    return ("only root can tell" if host.euid else "without tracefs nobody can tell") + " whether this host can run it"


def show(options: argparse.Namespace) -> int:
    """Print the composed program: plain bpftrace, to read, to keep, to run without bpftop."""
    from bpftop.model import Target, TargetKind
    from bpftop.scripts import catalog, compose
    from bpftop.scripts.catalog import templates, variants
    from bpftop.target import resolve

    target = resolve(options.target) if options.target else Target("", TargetKind.PID, "no target")
    known = {**catalog(), **variants()}
    names = options.name.split(",")
    for name in names:
        if name in templates():
            attach.check(options, templates()[name])
        elif name not in known:
            raise unknown_script(name, known, "script")
    known |= {script.name: script for script in attach.attached(options, target)}
    program = compose([known[name] for name in names], target)
    print(program.text, end="" if program.text.endswith("\n") else "\n")
    if not target.processes and sys.stderr.isatty():
        print("bpftop: no process is in it yet: name a target that runs", file=sys.stderr)
    return 0
