"""Names of key bindings, so that the configuration file can give an action other keys."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from textual.binding import Binding, BindingType
from textual.keys import KEY_NAME_REPLACEMENTS, Keys, _normalize_key_list, key_to_character

from bpftop.errors import UsageError

_known: set[str] = set()
_defaults: dict[str, set[str]] = {}
"""The actions that have a key when nobody says otherwise."""
_MODIFIERS = {"ctrl", "shift", "alt", "meta", "super", "hyper"}
_NAMED = {key.value for key in Keys if "+" not in key.value and "<" not in key.value} | {
    *KEY_NAME_REPLACEMENTS.values()
}


def name_of(binding: Binding) -> str:
    """``Log/linear`` is ``log-linear``."""
    return re.sub(r"[^a-z0-9]+", "-", binding.description.lower()).strip("-")


class NamedKeys:
    """For classes with BINDINGS of their own: each binding gets the name of its description as its id."""

    def __init_subclass__(cls, **options: Any) -> None:
        own: Iterable[BindingType] = cls.__dict__.get("BINDINGS", ())
        named = [replace(each, id=name_of(each)) if isinstance(each, Binding) else each for each in own]
        if named:
            cls.BINDINGS = named  # type: ignore[attr-defined]
            for each in named:
                if isinstance(each, Binding) and each.id:
                    _known.add(each.id)
                    for key in each.key.split(","):
                        _defaults.setdefault(key.strip(), set()).add(each.id)
        super().__init_subclass__(**options)


def keymap(keys: Mapping[str, str], file: str = "") -> dict[str, str]:
    """The wanted keys as Textual takes them. ``file``: where they are written.

    Raises UsageError for a name that is no action, for what is no key, and for one key for two actions.
    """
    taken: dict[str, str] = {}
    hint = f"${{EDITOR:-vi}} {file}" if file else "bpftop demo --simulate, then ?: all keys"
    for name, wanted in keys.items():
        if name not in _known:
            _know_all()
        if name not in _known:
            near = difflib.get_close_matches(name, _known, 1, 0.4)
            meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(_known))}"
            raise UsageError(f"there is no action {name} to give a key to; {meant}", hint)
        for word in wanted.split(","):
            if not _is_key(word.strip()):
                raise UsageError(f"{word.strip() or 'nothing'} is no key to give to {name}; as x, X, f5, ctrl+x", hint)
        for key in _normalize_key_list(wanted).split(","):
            there = sorted(_defaults.get(key, ()))
            others = [each for each in there if each not in keys] if name not in there else []
            for other in (taken.get(key), *others):
                if other is not None:
                    raise UsageError(f"{name} and {other} cannot both have the key {_shown(key)}", hint)
            taken[key] = name
    return dict(keys)


def _know_all() -> None:
    """The file has keys for both kinds of screens, and only one of them is imported."""
    import bpftop.ui.anyscript.app
    import bpftop.ui.app  # noqa: F401


def _is_key(word: str) -> bool:
    """Whether a terminal could send it: a character, f5, home, plus …, with ctrl+ or the like or without."""
    *modifiers, last = [word] if word == "+" else word.split("+")
    if not set(modifiers) <= _MODIFIERS or (len(last) == 1 and not last.isprintable()):
        return False
    return last in _NAMED or len(_shown(last)) == 1


def _shown(key: str) -> str:
    """``[`` rather than ``left_square_bracket``."""
    character = key_to_character(key) or key
    return character if character.isprintable() and character != " " else key
