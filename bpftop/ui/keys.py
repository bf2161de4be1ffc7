"""Names of key bindings, so that the configuration file can give an action other keys."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from textual.binding import Binding, BindingType

from bpftop.errors import UsageError

_known: set[str] = set()


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
            _known.update(each.id for each in named if isinstance(each, Binding) and each.id)
        super().__init_subclass__(**options)


def keymap(keys: Mapping[str, str]) -> dict[str, str]:
    """The wanted keys as Textual takes them. Raises UsageError for a name that is no action, or one key for two."""
    taken: dict[str, str] = {}
    for name, wanted in keys.items():
        if name not in _known:
            near = difflib.get_close_matches(name, _known, 1, 0.4)
            meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(_known))}"
            raise UsageError(
                f"there is no action {name} to give a key to; {meant}",
                "bpftop demo --simulate, then ctrl+p: all actions",
            )
        for key in wanted.split(","):
            if key in taken:
                raise UsageError(
                    f"{name} and {taken[key]} cannot both have the key {key}",
                    "bpftop demo --simulate, then ?: all keys",
                )
            taken[key] = name
    return dict(keys)
