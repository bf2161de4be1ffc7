"""What the caller gives the screen. No Textual here, so the command line can build it before the screen is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from bpftop.model import Snapshot

if TYPE_CHECKING:
    from bpftop.compare.model import Run

WINDOWS_S: tuple[float | None, ...] = (10.0, 60.0, 300.0, None)
"""The windows that + and - step through; None is all."""
REFRESH_S: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 5.0)
"""The intervals that < and > step through."""


class SnapshotSource(Protocol):
    """Where the screen gets its figures: a session, live or not."""

    def snapshot(self, window_s: float | None, until_unix_ns: int | None = None) -> Snapshot:
        """The figures of the last ``window_s`` seconds (None: all). Cheap, and safe from any thread.

        ``until_unix_ns``: as they were at a moment of the last ten minutes.
        """
        ...


class Position(Protocol):
    """Where a replay is. Times are Unix times in ns."""

    @property
    def now_ns(self) -> int:
        """The moment that is shown."""
        ...

    @property
    def start_ns(self) -> int:
        """The first one."""
        ...

    @property
    def end_ns(self) -> int:
        """The last one."""
        ...

    @property
    def speed(self) -> float:
        """Seconds in a second."""
        ...

    @property
    def paused(self) -> bool:
        """It stands still."""
        ...

    @property
    def at_end(self) -> bool:
        """Nothing follows."""
        ...


@runtime_checkable
class Player(SnapshotSource, Protocol):
    """A source that plays a recording."""

    @property
    def position(self) -> Position:
        """Where it is."""
        ...

    def pause(self, paused: bool) -> None:
        """Stop or go on."""

    def seek(self, unix_ns: int) -> None:
        """Go to a moment, or to the nearest end."""

    def step(self, seconds: float) -> None:
        """Go on or back."""

    def faster(self, steps: int) -> float:
        """So many steps faster or slower; the speed."""
        ...


class RecordingState(Protocol):
    """How far a recording is."""

    @property
    def active(self) -> bool:
        """It is being written."""
        ...

    @property
    def size(self) -> int:
        """Bytes in the file."""
        ...

    @property
    def problem(self) -> str:
        """Why it ended by itself."""
        ...


class RecordControl(Protocol):
    """Starts and ends recordings."""

    @property
    def progress(self) -> RecordingState:
        """Of the last one."""
        ...

    def toggle(self) -> str:
        """Begin one or end it; what happened, in a sentence. Raises BpftopError."""
        ...


@dataclass(frozen=True, slots=True)
class UiOptions:
    """How the screen looks and behaves."""

    theme: str | None = None
    """A theme name; None for our own."""
    settings: str = ""
    """The file that the keys are from, and the theme when that is so."""
    theme_from_settings: bool = False
    mouse: bool = True
    ascii: bool = False
    """Draw with ASCII only."""
    no_color: bool = False
    """The terminal's own colours, bold and reverse only. NO_COLOR in the environment does the same."""
    refresh_s: float = 1.0
    window_s: float | None = 60.0
    keys: Mapping[str, str] = field(default_factory=dict)
    """Other keys for some actions, by the names of their bindings: ``{"quit": "ctrl+x"}``."""
    baseline: Run | None = None
    """A run from a file, behind the figures of now from the beginning."""
    save_to: Path = Path()
    """The directory in which the folder of an incident is made."""
    banner: str = ""
    """A sentence that stays on screen: ``simulation: this host cannot trace (not root)``."""
    absent: str = ""
    """A sentence for as long as no process of the target runs: ``no process is named ngnix; similar: nginx``."""
