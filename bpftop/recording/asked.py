"""Values of somebody else in a recording: every question has a type."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from bpftop.recording.codec import Damaged
from bpftop.text import safe

_T = TypeVar("_T")
_MAX_TEXT = 1 << 20
_MANY = 100_000
_U64 = 1 << 64


class Told:
    """A JSON value of somebody else: every question has a type, and the answer has it or Damaged is raised."""

    def __init__(self, value: object, where: str = "") -> None:
        self._value = value
        self._where = where

    def _wrong(self, wanted: str) -> Damaged:
        return Damaged(f"{safe(self._where, 40) or 'a text'} is no {wanted}")

    def __getitem__(self, name: str) -> Told:
        if not isinstance(self._value, dict):
            raise self._wrong("object")
        return Told(self._value.get(name), name)

    def items(self) -> list[tuple[str, Told]]:
        """Of an object."""
        if not isinstance(self._value, dict) or len(self._value) > _MANY:
            raise self._wrong("object")
        return [(str(name), Told(value, str(name))) for name, value in self._value.items()]

    def each(self) -> list[Told]:
        """Of a list."""
        if not isinstance(self._value, list) or len(self._value) > _MANY:
            raise self._wrong("list")
        return [Told(value, self._where) for value in self._value]

    def whole(self, least: int = -(1 << 63), most: int = _U64 - 1) -> int:
        """A whole number."""
        if type(self._value) is not int or not least <= self._value <= most:
            raise self._wrong("number")
        return self._value

    def real(self) -> float:
        """A finite number."""
        if type(self._value) not in (int, float) or not abs(float(self._value)) < 1e30:  # type: ignore[arg-type]
            raise self._wrong("number")
        return float(self._value)  # type: ignore[arg-type]

    def truth(self) -> bool:
        """Yes or no."""
        return self._value is True

    def text(self, most: int = 400) -> str:
        """Words as they are: they are made safe where they are shown."""
        if not isinstance(self._value, str) or len(self._value) > most:
            raise self._wrong("text")
        return self._value

    def words(self, most: int = 400) -> str:
        """Words that are shown as they are: made safe here."""
        return safe(self.text(_MAX_TEXT), most)

    def maybe(self, ask: Callable[[Told], _T]) -> _T | None:
        """An answer, or None for null."""
        return None if self._value is None else ask(self)
