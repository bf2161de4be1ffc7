"""``--usdt`` and ``--func``: scripts whose attach points stand on the command line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from bpftop.errors import UsageError

if TYPE_CHECKING:
    from bpftop.model import Script, Target


def asked(options: argparse.Namespace) -> bool:
    """Whether the words name attach points."""
    return bool(getattr(options, "usdt", None) or getattr(options, "func", None))


def check(options: argparse.Namespace, template: Script) -> None:
    """Raise UsageError when a template is asked for by name and its attach points are not there."""
    given = {"usdt": getattr(options, "usdt", None), "function": getattr(options, "func", None)}
    if not given.get(template.name):
        raise UsageError(f"{template.name} needs to know where: {template.needs}", f"bpftop report {template.needs}")


def stand_in(options: argparse.Namespace) -> str:
    """The path that stands for the target when only attach points are named. Raises UsageError."""
    for word in (*(options.usdt or ()), *(options.func or ())):
        path = str(word).partition(":")[0]
        if "/" in path:
            return path
    raise UsageError("Without a TARGET the file must be a path, as in ./app:start,end", "bpftop report --help")


def runners(path: str) -> Target:
    """Who runs the program at ``path``, to be shown; of a library or a container's file nobody can be said to."""
    from bpftop.model import Target, TargetKind
    from bpftop.target import resolve

    name = os.path.basename(path)
    if ".so" in name or path.startswith("/proc/"):
        return Target(path, TargetKind.PATH, name)
    return resolve(path)


def attached(options: argparse.Namespace, target: Target, say: Callable[[str], None] = lambda _: None) -> list[Script]:
    """The scripts for ``--usdt`` and ``--func``; ``say`` gets what the user should know. Raises BpftopError."""
    if not asked(options):
        return []
    from bpftop.userspace import Place, functions, usdt

    everyone = options.target is None
    place = Place(() if everyone else target.pids, everyone)
    if len(options.usdt or ()) > 1:
        raise UsageError("--usdt can be given once", "bpftop report --help")
    found = [usdt(word, place, options.usdt_key or "") for word in options.usdt or ()]
    if options.func:
        found.append(functions(options.func, place, options.func_unsafe))
    for attachment in found:
        for note in attachment.notes:
            say(note)
    return [attachment.script for attachment in found]
