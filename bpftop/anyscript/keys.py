"""Keys of maps: from bpftrace's one text to their parts. Pure."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"-?\d+\Z|0x[0-9a-f]+\Z")
_TEXTS = re.compile(
    r"\b(comm|str|probe|func|kstack|ustack|ksym|usym|ntop|username|buf|kptr|path|strftime|cgroup_path)\b"
)


def split(key: str, expressions: tuple[str, ...]) -> tuple[str, ...]:
    """The parts of a key, as many as the program has expressions.

    bpftrace joins them by bare commas, so a text with commas in it is ambiguous: numbers are taken off at both ends,
    and what is left belongs to the texts, the last of them taking what is too much.
    """
    if len(expressions) < 2:
        return (key,)
    parts = key.split(",")
    surplus = len(parts) - len(expressions)
    if surplus < 0:
        return (key, *[""] * (len(expressions) - 1))
    if surplus:
        at = _where(parts, expressions)
        parts[at : at + surplus + 1] = [",".join(parts[at : at + surplus + 1])]
    return tuple(parts)


def _where(parts: list[str], expressions: tuple[str, ...]) -> int:
    """The position of the expression that has the commas."""
    texts = [at for at, each in enumerate(expressions) if _TEXTS.search(each)]
    if texts:
        return texts[-1]
    last = len(expressions) - 1
    behind = 0
    while behind < last and _NUMBER.match(parts[-1 - behind]):
        behind += 1
    return last - behind


def frames(part: str) -> tuple[str, ...]:
    """The frames of a stack, the innermost first; empty when the part is no stack (one of bpftrace begins a line)."""
    if not part.startswith("\n"):
        return ()
    return tuple(each.strip() for each in part.split("\n") if each.strip())


def short(part: str) -> str:
    """A part in one line: of a stack the innermost frames."""
    found = frames(part)
    return " < ".join(found) if found else part


def heading(expression: str, position: int) -> str:
    """What a column of keys is called: ``args->ret`` is ``ret``, ``ntop(2, $daddr)`` is ``daddr``."""
    words = expression
    while call := re.fullmatch(r"(\w+)\s*\((.*)\)|\(\w[\w\s]*\**\)\s*(.+)", words):
        arguments = [each.strip() for each in (call[2] or call[3] or "").split(",")]
        named = next((each for each in arguments if re.search(r"[A-Za-z_]", each)), "")
        words = named or call[1] or ""
    words = re.sub(r"\[.*\]$", "", words)
    words = re.split(r"->|\.", words)[-1].strip("()@$ ")
    return words if re.fullmatch(r"[A-Za-z_]\w*", words) else f"key {position}"
