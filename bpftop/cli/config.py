"""The configuration file of the person at the keyboard: TOML, read before the words of the command line."""

from __future__ import annotations

import argparse
import os
import pwd
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bpftop import people
from bpftop.cli import groups
from bpftop.errors import UsageError

MOST_BYTES = 64 << 10
SCREEN_VERBS = ("watch", "demo", "replay", "run")


def path_of_caller() -> tuple[Path, int] | None:
    """Where the file of the person behind sudo, pkexec or doas is, and that person's user id; None without a home.

    It is the home in the password file, never that of an environment which sudo may have kept.
    """
    person = people.caller() if os.geteuid() == 0 else None
    if person is not None:
        return Path(person.home) / ".config/bpftop/config.toml", person.uid
    base = os.environ.get("XDG_CONFIG_HOME", "")
    try:
        folder = Path(base) if base.startswith("/") else Path.home() / ".config"
    except RuntimeError:
        return None
    return folder / "bpftop/config.toml", os.geteuid()


def defaults(verb: str, given: str | None = None) -> dict[str, Any]:
    """What the file says for the options of a verb, by their names in the parser; nothing when there is none.

    ``given``: the file to read instead. Raises UsageError for a file that is not the caller's or not right.
    """
    if verb not in SCREEN_VERBS:
        return {}
    where = path_of_caller()
    if given:
        where = (Path(given), where[1] if where else os.geteuid())
    if where is None:
        return {}
    text = _read(*where, must_exist=bool(given))
    return {**_options(text, where[0]), "settings": str(where[0])} if text is not None else {}


def named_file(argv: Sequence[str]) -> str | None:
    """The file behind ``--config`` among words that are not parsed yet."""
    for place, word in enumerate(argv):
        if word.startswith("--config="):
            return word.partition("=")[2]
        if word == "--config" and place + 1 < len(argv):
            return argv[place + 1]
    return None


def apply(parser: groups.Parser, argv: Sequence[str]) -> None:
    """Make what the file says the default of every option that this parser knows. Raises UsageError."""
    found = defaults(argv[0], named_file(argv))
    known = {action.dest for action in parser._actions}
    parser.set_defaults(configured=found.get("also", ()), keys=found.get("keys", {}))
    parser.set_defaults(settings=found.pop("settings", ""), settings_theme=found.get("theme"))
    parser.set_defaults(**{name: value for name, value in found.items() if name in known})


def _read(path: Path, owner: int, must_exist: bool) -> str | None:
    """The text of a file that its owner alone can change."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:  # ValueError: no name of a file can be so
        if must_exist or not isinstance(error, (FileNotFoundError, NotADirectoryError)):
            said = error.strerror if isinstance(error, OSError) else "impossible name"
            raise UsageError(f"{path} cannot be read: {said}", "bpftop --help") from error
        return None
    with open(fd, "rb") as file:
        is_ = os.fstat(fd)
        if not stat.S_ISREG(is_.st_mode):
            raise UsageError(f"{path} is no file", f"rm {path}")
        # Behind sudo root opens what the caller named: it must be the caller's, or its words could be told to somebody
        # who may not read it. A file named by its own reader may be anybody's.
        free = must_exist and owner == os.geteuid()
        if not free and (is_.st_uid != owner or is_.st_mode & 0o022):
            raise UsageError(
                f"{path} is not read: it must belong to you, and nobody else may write it",
                f"{'sudo ' if owner else ''}chown {owner} {path}; chmod 644 {path}",
            )
        if is_.st_size > MOST_BYTES:
            raise UsageError(f"{path} has more than {MOST_BYTES >> 10} KiB", f"ls -l {path}")
        try:
            return file.read(MOST_BYTES).decode()
        except UnicodeDecodeError as error:
            raise UsageError(f"{path} is not UTF-8 text", f"file {path}") from error


def _options(text: str, path: Path) -> dict[str, Any]:
    import difflib

    from bpftop import toml

    try:
        table = toml.loads(text)
    except toml.BadToml as error:
        raise UsageError(f"{path} is not TOML: {error}", f"${{EDITOR:-vi}} {path}") from error
    out: dict[str, Any] = {}
    for name, value in table.items():
        if name not in _READERS:
            near = difflib.get_close_matches(name, _READERS, 1, 0.5)
            meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(_READERS)}"
            raise UsageError(f"{path} says {name}, which is no setting; {meant}", f"${{EDITOR:-vi}} {path}")
        option, read = _READERS[name]
        try:
            out[option] = read(value)
        except (ValueError, TypeError, argparse.ArgumentTypeError) as error:
            raise UsageError(f"{path}, {name}: {error}", f"${{EDITOR:-vi}} {path}") from error
    return out


def _networks(value: object) -> object:
    if not isinstance(value, list) or not value:
        raise TypeError('a list of addresses is wanted, as ["10.0.0.5", "10.1.0.0/16"]')
    return groups.networks(",".join(map(str, value)))


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("a word in quotes is wanted")
    return value


def _flag(negated: bool) -> Callable[[object], bool]:
    def read(value: object) -> bool:
        if not isinstance(value, bool):
            raise TypeError("true or false is wanted")
        return value != negated

    return read


def _window(value: object) -> str:
    if value not in groups.WINDOWS:
        raise ValueError(f"one of {', '.join(groups.WINDOWS)} is wanted")
    return str(value)


def _scripts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise TypeError('a list of scripts is wanted, as ["syscalls", "tcp"]')
    return tuple(value)


def _budget(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError('a share of one CPU is wanted, as "1%", or "off"')
    return groups.budget(str(value))


def _time(value: object) -> float:
    return groups.refresh(str(value))


def _directory(value: object) -> Path:
    word = _text(value)
    if not word.startswith("~/"):
        return Path(word)
    caller = path_of_caller()
    if caller is None:
        raise ValueError("~ is not known here; write the whole path")
    return Path(pwd.getpwuid(caller[1]).pw_dir) / word[2:]


def _keys(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) and each for each in value.values()):
        raise TypeError('keys are wanted, as quit = "ctrl+x"')
    return {str(name): keys for name, keys in value.items()}


_READERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "theme": ("theme", _text),
    "window": ("window", _window),
    "refresh": ("refresh", _time),
    "with": ("also", _scripts),
    "budget": ("budget", _budget),
    "exclude": ("exclude", _networks),
    "save": ("save", _directory),
    "mouse": ("no_mouse", _flag(True)),
    "color": ("no_color", _flag(True)),
    "ascii": ("ascii", _flag(False)),
    "keys": ("keys", _keys),
}
