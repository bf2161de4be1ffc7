"""Macros for bpftrace programs: text expanded by the loader, because bpftrace before 0.24 has none.

Two forms, both named like bpftrace 0.24's own: ``macro name($a, $b) { statements }``, called as the statement
``name(x, y);``, and ``macro name($a) (expression)``, called inside expressions. A last parameter ``...`` takes any
number of arguments: ``...`` in the body stands for them, and inside a format string for as many ``%llu``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bpftop.errors import ScriptError

_HEAD = re.compile(r"(?m)^macro\s+(?P<name>[a-z_]\w*)\((?P<parameters>[^)]*)\)\s*(?P<open>[{(])")
_QUIET = r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*[\s\S]*?\*/'
"""Strings and comments: brackets and names in them mean nothing."""
_SIMPLE = re.compile(r"[\w$.@]+\Z")
_MAX_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Macro:
    """One macro as written."""

    name: str
    parameters: tuple[str, ...]
    body: str
    is_statement: bool


def extract(text: str) -> tuple[str, dict[str, Macro]]:
    """The text without its macro definitions, and these by name. Raises ScriptError for an unbalanced one."""
    macros: dict[str, Macro] = {}
    while match := _HEAD.search(text):
        close = closing(text, match.start("open"))
        parameters = tuple(p.strip() for p in match["parameters"].split(",") if p.strip())
        body = text[match.end() : close].strip("\n")
        macros[match["name"]] = Macro(match["name"], parameters, body, match["open"] == "{")
        text = text[: match.start()] + text[close + 1 :].lstrip("\n")
    return text, macros


def expand(text: str, macros: Mapping[str, Macro], names: Mapping[str, int]) -> str:
    """``text`` with every macro call expanded; ``names`` are the words that stand for numbers as first argument.

    Raises ScriptError for a wrong number of arguments, an unknown name or macros that call each other for ever.
    """
    if not macros:
        return text
    call = re.compile(_QUIET + r"|(?<![\w$@.:])(?P<name>" + "|".join(map(re.escape, macros)) + r")\(")
    for _ in range(_MAX_DEPTH):
        out, at = [], 0
        for match in call.finditer(text):
            if match["name"] is None or match.start() < at:
                continue
            out.append(text[at : match.start()])
            close = closing(text, match.end() - 1)
            macro = macros[match["name"]]
            body = _substitute(macro, _arguments(text[match.end() : close]), names)
            at = close + 1
            if macro.is_statement:
                at += len(text[at:]) - len(text[at:].lstrip(" ;"))
                body = _indented(body, text, match.start())
            out.append(body if macro.is_statement else f"({body})")
        if not out:
            return text
        text = "".join(out) + text[at:]
    raise ScriptError(f"macros call each other without end: {', '.join(macros)}")


def closing(text: str, start: int) -> int:
    """The index of the bracket that closes the one at ``start``; strings and comments are passed over."""
    pairs = {"(": ")", "{": "}", "[": "]"}
    stack: list[str] = []
    for token in re.finditer(_QUIET + r"|[(){}\[\]]", text[start:]):
        char = token[0]
        if char in pairs:
            stack.append(pairs[char])
        elif stack and char == stack[-1]:
            stack.pop()
            if not stack:
                return start + token.start()
    raise ScriptError(f"unbalanced brackets from: {text[start : start + 40]!r}")


def _arguments(text: str) -> list[str]:
    """The arguments of a call, split at the outer commas."""
    parts, depth, current = [], 0, ""
    for token in re.findall(r'"(?:\\.|[^"\\])*"|.', text, re.DOTALL):
        depth += {"(": 1, "{": 1, "[": 1, ")": -1, "}": -1, "]": -1}.get(token, 0)
        if token == "," and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += token
    return [*parts, current.strip()] if current.strip() or parts else []


def _substitute(macro: Macro, arguments: list[str], names: Mapping[str, int]) -> str:
    fixed = [p for p in macro.parameters if p != "..."]
    rest = arguments[len(fixed) :]
    if len(arguments) < len(fixed) or (rest and "..." not in macro.parameters):
        raise ScriptError(f"{macro.name}() takes {len(fixed)} arguments, not {len(arguments)}")
    if arguments and macro.parameters[0] in ("$measure", "$counter", "$stream"):
        if arguments[0] not in names and not arguments[0].isdigit() and not arguments[0].startswith("$"):
            raise ScriptError(f"{macro.name}(): {arguments[0]!r} is not declared in the header")
        arguments = [str(names.get(arguments[0], arguments[0])), *arguments[1:]]
    body = macro.body
    if "..." in macro.parameters:
        body = re.sub(r" \.\.\.(?=[^\"\n]*\")", " %llu" * len(rest), body)
        body = body.replace(", ...", "".join(f", {argument}" for argument in rest))
    values = {p: a if _SIMPLE.match(a) else f"({a})" for p, a in zip(fixed, arguments, strict=False)}
    return re.sub(r"\$\w+", lambda found: values.get(found[0], found[0]), body)


def _indented(body: str, text: str, at: int) -> str:
    """The body, moved to the column of its call."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    if line.strip():
        code = re.sub(_QUIET, lambda found: found[0] if found[0].startswith('"') else "", body)
        return " ".join(part.strip() for part in code.splitlines() if part.strip())
    lines = body.splitlines()
    own = min((len(part) - len(part.lstrip()) for part in lines if part.strip()), default=0)
    return ("\n" + line).join(part[own:] for part in lines)
