"""Which scripts run: the default ones, those that the user named, of these what this host can run."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from bpftop.cli import attach
from bpftop.errors import HostError, UsageError
from bpftop.preflight import Host, missing, suited

if TYPE_CHECKING:
    from bpftop.model import Script


def wanted(options: argparse.Namespace) -> Mapping[str, Script]:
    """The scripts that the words ask for, in the order of the screen. Raises UsageError for an unknown name."""
    from bpftop.scripts import catalog
    from bpftop.scripts.catalog import templates, variants

    known = {**catalog(), **variants()}
    asked = options.scripts or options.also
    for name in asked:
        if name in templates():
            attach.check(options, templates()[name])
        elif name not in known:
            error = unknown_script(name, known)
            if name in getattr(options, "configured", ()) and not options.scripts:
                error.message = f"{options.settings}, with: {error.message}"
            raise error
    default = options.verb == "demo" or options.target or options.simulate or not attach.asked(options)
    names = options.scripts or [*(name for name, script in catalog().items() if script.default and default), *asked]
    return {name: script for name, script in known.items() if name in names}


def beside(options: argparse.Namespace) -> tuple[str, ...]:
    """The scripts of ``--with`` that get a bpftrace of their own, so that one that costs too much can be stopped.

    Not those with attach points of the user, none in a simulation, and none for a CSV of single events.
    """
    if options.simulate or not options.also:
        return ()
    if options.verb == "record" and not str(options.output or "").endswith(".bpftop"):
        return ()
    from bpftop.scripts import catalog

    return tuple(name for name, script in catalog().items() if name in options.also and not script.default)


def unknown_script(name: str, known: Mapping[str, Script], command: str = "scripts") -> UsageError:
    """The error for a word that names no script."""
    near = difflib.get_close_matches(name, known, 1, 0.4)
    meant = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
    hint = f"bpftop {command} {near[0]}" if near and command != "scripts" else "bpftop scripts"
    return UsageError(f"there is no script {name}{meant}", hint)


def say_costs(scripts: Sequence[Script], say: Callable[[str], None]) -> None:
    """What the scripts take, before they start: said where it scrolls away, not kept on the screen (Scripts has it)."""
    from bpftop.scripts import costs

    for sentence in costs.warnings(scripts):
        say(sentence)


def runnable(options: argparse.Namespace, host: Host, say: Callable[[str], None]) -> list[Script]:
    """The wanted scripts, or variants of them, whose attach points exist here; of the others it is said once why.

    Raises HostError when none is left, or when one that was named cannot run.
    """
    asked = wanted(options)
    reasons = {name: missing(script, host) for name, script in asked.items()}
    others = beside(options)
    fit = {name: suited(script, host) for name, script in asked.items() if not reasons[name]}
    scripts = [script for name, script in fit.items() if name not in others]
    for name, why in reasons.items():
        if why and name in (options.scripts or options.also) and name not in options.configured:
            raise HostError(f"{name} cannot run here: {why}", "bpftop scripts")
    if not scripts and not attach.asked(options):
        raise HostError("no script can run here: " + "; ".join(filter(None, reasons.values())), "bpftop doctor")
    for name, why in reasons.items():
        if why:
            say(f"without {name}: {why}")
    return scripts
