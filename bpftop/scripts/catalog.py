"""Where the scripts are: inside the installed package, or beside it in a checkout. Never the current directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from bpftop.errors import ScriptError
from bpftop.model import Cost, Script
from bpftop.scripts import costs
from bpftop.scripts.header import parse_script

SHIPPED = (
    *("requests", "connections", "syscalls", "tcp", "upstream", "eventloop"),
    *("scheduler", "disk", "http", "usdt", "function"),
)
"""In the order of the screen; other files follow by name."""


def script_folder() -> Path:
    """The folder of the shipped scripts: ``bpftop/bt`` in a wheel, ``bt/`` in a checkout or an editable install.

    Raises ScriptError when there is neither.
    """
    packaged = Path(str(files("bpftop"))) / "bt"
    for folder in (packaged, packaged.parents[1] / "bt"):
        if (folder / "requests.bt").is_file():
            return folder
    raise ScriptError("the probe scripts are missing from this installation", "pip install --force-reinstall bpftop")


def catalog() -> dict[str, Script]:
    """All shipped scripts that run as they are, by name, in the order of the screen.

    Raises ScriptError for a wrong header.
    """
    return {name: script for name, script in shipped().items() if not script.needs}


def templates() -> dict[str, Script]:
    """The shipped scripts whose attach points the user names (bpftop.scripts.attach fills them), by name."""
    return {name: script for name, script in shipped().items() if script.needs}


@lru_cache(maxsize=1)
def shipped() -> dict[str, Script]:
    """All of ``bt/`` by name, in the order of the screen. Raises ScriptError for a wrong header."""
    folder = script_folder()
    names = sorted(path.stem for path in folder.glob("*.bt"))
    names.sort(key=lambda name: SHIPPED.index(name) if name in SHIPPED else len(SHIPPED))
    grouped = _grouped({name: load_script(folder / f"{name}.bt") for name in names})
    measured = costs.read(folder).scripts
    return {name: _costed(script, measured[name]) if name in measured else script for name, script in grouped.items()}


def variants() -> dict[str, Script]:
    """The variants of the shipped scripts by the names of their files: ``requests-kprobe`` of ``requests``."""
    return {f"{name}-{one.variant}": one for name, script in shipped().items() for one in script.variants}


def _grouped(scripts: Mapping[str, Script]) -> dict[str, Script]:
    """``requests-kprobe`` becomes a variant of ``requests``, under its name."""
    found = {}
    for name, script in scripts.items():
        if name.partition("-")[0] in scripts and "-" in name:
            continue
        others = {other: scripts[other] for other in scripts if other.startswith(f"{name}-")}
        group = tuple(
            replace(one, name=name, variant=other[len(name) + 1 :], when=script.when, unseen=script.unseen)
            for other, one in others.items()
        )
        found[name] = replace(script, variants=group)
    return found


def _costed(script: Script, cost: Cost) -> Script:
    """With what it was measured to cost; its variants were measured in its place."""
    said = costs.warning(cost)
    other = said and f"{said} (as it is measured on newer kernels)"
    group = tuple(replace(one, measured=cost, cost=other) for one in script.variants)
    return replace(script, measured=cost, cost=said, variants=group)


def load_script(path: Path) -> Script:
    """Read one script file. Raises ScriptError when it can't be read or its header is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScriptError(f"{path}: cannot be read: {error}") from error
    return parse_script(text, path.stem, str(path))


def library(every_event: bool = False) -> dict[str, str]:
    """The text of the shared parts, ``bt/lib/*.bt``, by name; those of ``bt/every`` in their place when asked for."""
    folders = ("lib", "every") if every_event else ("lib",)
    paths = {path.stem: path for folder in folders for path in (script_folder() / folder).glob("*.bt")}
    return {name: path.read_text(encoding="utf-8") for name, path in sorted(paths.items())}
