"""Scripts whose attach points the user names: the templates ``bt/usdt.bt`` and ``bt/function.bt``, filled.

Here words become program text, so nothing passes but what these patterns allow: no quotes, braces, blanks, and none of
``*`` and ``?``, which bpftrace expands. Whether the places exist has been looked up before (bpftop.userspace).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bpftop.errors import ScriptError
from bpftop.model import Script
from bpftop.scripts.catalog import templates

PATH = re.compile(r"/[A-Za-z0-9_./+-]+\Z")
MARKER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
SYMBOL = re.compile(r"[A-Za-z0-9_.$@]+\Z")
REQUEST_KEYS = ("arg0", "tid")
MAX_FUNCTIONS = 20
"""Each is two probes, and each probe takes about 70 ms to detach."""
_PROBE = re.compile(r"(?ms)^(?:usdt|uprobe|uretprobe):PATH[^{]*\{.*?^\}\n")
_FILTER = " /@target_pids[(uint64)pid]/"


@dataclass(frozen=True, slots=True)
class Function:
    """One function to time."""

    path: str
    symbol: str
    label: str
    """Its name in tables."""
    return_pop: int = 8
    """By how many bytes the stack pointer is higher after the return than at the entry: 8 on x86-64."""


def usdt_script(
    path: str,
    provider: str,
    start: str,
    end: str,
    *,
    key: str = "arg0",
    start_provider: str = "",
    everyone: bool = False,
) -> Script:
    """The script that times from marker ``start`` to marker ``end`` of the file at ``path``.

    ``everyone``: whichever process runs that code, not only the target. Raises ScriptError for a word that may not
    become program text.
    """
    _must(PATH, path, "path")
    for word in (provider, start, end, start_provider or provider):
        _must(MARKER, word, "marker")
    if key not in REQUEST_KEYS:
        raise ScriptError(f"the key of a request is one of {', '.join(REQUEST_KEYS)}, not {key!r}")
    template = templates()["usdt"]
    points = (f"usdt:{path}:{provider}:{end}", f"usdt:{path}:{start_provider or provider}:{start}")
    body = template.body.replace("usdt:PATH:PROVIDER:END", points[0]).replace("usdt:PATH:PROVIDER:START", points[1])
    body = body.replace("REQUEST_KEY", key)
    return _filled(template, body, points, everyone)


def function_script(functions: Sequence[Function], *, everyone: bool = False) -> Script:
    """The script that times calls of these functions, one row each. Raises ScriptError as ``usdt_script``."""
    if not 1 <= len(functions) <= MAX_FUNCTIONS:
        raise ScriptError(f"1 to {MAX_FUNCTIONS} functions can be timed at once, not {len(functions)}")
    pops = {function.return_pop for function in functions}
    if len(pops) != 1:
        raise ScriptError("functions of different machines cannot be timed in one program")
    for function in functions:
        _must(PATH, function.path, "path")
        _must(SYMBOL, function.symbol, "function name")
    template = templates()["function"]
    body = _PROBE.sub(lambda found: "\n".join(_probes(found[0], functions)), template.body)
    body = body.replace("RETURN_POP", str(int(pops.pop())))
    labels = tuple(function.label for function in functions)
    points = tuple(f"uprobe:{function.path}:{function.symbol}" for function in functions)
    filled = _filled(template, body, points, everyone)
    return replace(
        filled,
        measures=tuple(replace(measure, labels=labels) for measure in filled.measures),
        counters=tuple(replace(counter, labels=labels) for counter in filled.counters),
    )


def _probes(block: str, functions: Sequence[Function]) -> list[str]:
    """The probe once for each function; labels count from 1."""
    return [_probe(block, function, number) for number, function in enumerate(functions, 1)]


def _probe(block: str, function: Function, label: int) -> str:
    own = {"PATH": function.path, "SYMBOL": function.symbol, "LABEL": str(label)}
    return re.sub(r"\b(?:PATH|SYMBOL|LABEL)\b", lambda found: own[found[0]], block)


def _filled(template: Script, body: str, points: tuple[str, ...], everyone: bool) -> Script:
    body = body.replace(_FILTER, "") if everyone else body
    return replace(template, body=body, requires=points, needs="")


def _must(pattern: re.Pattern[str], word: str, what: str) -> None:
    if not pattern.match(word):
        raise ScriptError(f"{word!r} cannot be in a bpftrace program: this {what} has a character that is not allowed")
