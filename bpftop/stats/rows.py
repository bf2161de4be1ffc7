"""Rows that are made when somebody looks at them: of a dozen tables in a snapshot a screen shows one or two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import overload

from bpftop.model import ClientRow


class Rows(Sequence[ClientRow]):
    """A tuple of rows, made once by ``make`` from values that no longer change."""

    __slots__ = ("_make", "_rows")

    def __init__(self, make: Callable[[], tuple[ClientRow, ...]]) -> None:
        self._make: Callable[[], tuple[ClientRow, ...]] | None = make
        self._rows: tuple[ClientRow, ...] = ()

    def all(self) -> tuple[ClientRow, ...]:
        """The rows themselves."""
        make = self._make
        if make is not None:
            self._rows = make()
            self._make = None  # last: another thread may be asking, too
        return self._rows

    @overload
    def __getitem__(self, place: int) -> ClientRow: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[ClientRow, ...]: ...

    def __getitem__(self, place: int | slice) -> ClientRow | tuple[ClientRow, ...]:
        return self.all()[place]

    def __len__(self) -> int:
        return len(self.all())

    def __eq__(self, other: object) -> bool:
        return self.all() == (other.all() if isinstance(other, Rows) else other)

    def __hash__(self) -> int:
        return hash(self.all())

    def __repr__(self) -> str:
        return repr(self.all())
