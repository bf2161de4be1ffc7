"""The name of a program from its command line: behind ``python3 -X dev /srv/app.py`` stands ``app.py``. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Interpreter:
    """How one interpreter's command line is read."""

    takes_value: frozenset[str]
    """Options whose next word belongs to them."""
    names_program: frozenset[str] = frozenset()
    """Options whose next word is the program."""
    no_program: frozenset[str] = frozenset()
    """Options after which there is no program to name."""


_INTERPRETERS = {
    "python": _Interpreter(frozenset({"-W", "-X"}), frozenset({"-m"}), frozenset({"-c", "-"})),
    "java": _Interpreter(
        frozenset({"-cp", "-classpath", "--class-path", "-p", "--module-path", "--add-modules", "--add-opens"}),
        frozenset({"-jar", "-m", "--module"}),
    ),
    "node": _Interpreter(
        frozenset({"-r", "--require", "--import", "--loader", "-C"}), no_program=frozenset({"-e", "-p", "-"})
    ),
    "ruby": _Interpreter(frozenset({"-I", "-r", "-C"}), no_program=frozenset({"-e", "-"})),
    "perl": _Interpreter(frozenset({"-I"}), no_program=frozenset({"-e", "-E", "-"})),
    "php": _Interpreter(frozenset({"-c", "-d", "-z"}), frozenset({"-f"}), frozenset({"-r", "-S"})),
}
_ALIASES = {"nodejs": "node", "pypy": "python"}
_NAME = re.compile(r"(python|pypy|nodejs|node|ruby|perl|php|java)[\d.]*(-dbg)?")


def basename(path: str) -> str:
    """What follows the last slash."""
    return path.rpartition("/")[2]


def script(argv: tuple[str, ...]) -> str:
    """The program that an interpreter runs, as written: a path, a module, a class. Empty for anything else."""
    match = _NAME.fullmatch(basename(argv[0])) if argv else None
    if match is None:
        return ""
    rules = _INTERPRETERS[_ALIASES.get(match[1], match[1])]
    words = iter(argv[1:])
    for word in words:
        if word in rules.no_program:
            return ""
        if word in rules.names_program:
            return next(words, "")
        if word in rules.takes_value:
            next(words, "")
        elif not word.startswith("-"):
            return word
    return ""


def title(argv: tuple[str, ...]) -> str:
    """The name in the first word: ``/usr/sbin/nginx``, ``nginx: master process …``, ``-bash`` all give the program."""
    if not argv:
        return ""
    word = argv[0].removeprefix("-")
    if len(argv) == 1 and ": " in word:
        word = word.partition(": ")[0]
    return basename(word)
