"""Time: pause, step and jump through the ten minutes that are kept, begin again at zero."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import Binding, BindingType

from bpftop.model import Snapshot
from bpftop.stats.episodes import Episodes
from bpftop.ui.confirm import Confirm
from bpftop.ui.framed import Framed
from bpftop.ui.options import Player
from bpftop.ui.stoodout import StoodOut
from bpftop.ui.view import View

if TYPE_CHECKING:
    from bpftop.ui.app import BpftopApp

_MARGIN_NS = 200_000_000
"""Unix and boot clock are read one after the other: a slice is asked for by a moment a little after its end."""


def moments(snapshot: Snapshot) -> Sequence[int]:
    """When each kept second ended (Unix time, ns), oldest first."""
    return snapshot.histories[0].unix_ns if snapshot.histories else ()


class Scrubbing(Framed, inherit_bindings=False):
    """A framed screen whose view can stand still at any kept moment; all panes show the same one."""

    TIME_KEYS: ClassVar[list[BindingType]] = [
        Binding("p,space", "pause", "Pause", tooltip="freeze the screen; collecting goes on"),
        Binding("left_square_bracket", "step(-1)", "Second earlier", show=False, tooltip="one second back (pauses)"),
        Binding("right_square_bracket", "step(1)", "Second later", show=False, tooltip="one second on"),
        Binding("left_curly_bracket", "step(-10)", "10 s earlier", show=False, tooltip="ten seconds back (pauses)"),
        Binding("right_curly_bracket", "step(10)", "10 s later", show=False, tooltip="ten seconds on"),
        Binding("home", "oldest", "Oldest", show=False, tooltip="to the oldest second kept, ten minutes at most"),
        Binding("end", "live", "Live", show=False, tooltip="back to now"),
        Binding("left_parenthesis", "step(-60)", "Minute earlier", show=False, tooltip="a minute back (pauses)"),
        Binding("right_parenthesis", "step(60)", "Minute later", show=False, tooltip="a minute on"),
        Binding("comma", "speed(-1)", "Play slower", show=False, tooltip="play slower"),
        Binding("full_stop", "speed(1)", "Play faster", show=False, tooltip="play faster"),
        Binding("w", "stood_out", "Stood out", show=False, tooltip="what stood out so far, when and for how long"),
        Binding("r", "reset", "Reset", show=False, tooltip="forget all figures and begin again (asks first)"),
    ]
    view: View

    def __init__(self, refresh_s: float) -> None:
        super().__init__(refresh_s)
        self.episodes = Episodes()
        """What stood out so far."""

    @property
    def bpftop(self) -> BpftopApp:
        """The app, by its own type."""
        return cast("BpftopApp", self.app)

    def show(self) -> None:
        """Draw the view."""
        raise NotImplementedError

    @property
    def player(self) -> Player | None:
        """What plays a recording; None when this is live."""
        return self.bpftop.player

    @property
    def news_words(self) -> str:
        """The kernel is asked once a second: drawing oftener shows that sooner, and no more."""
        return "; new figures come once a second" if self.player is None and self.refresh_s < 1 else ""

    def action_pause(self) -> None:
        """Freeze or go on."""
        if self.player is not None:
            self.player.pause(not self.player.position.paused)
            self.bpftop.poll()
        elif self.view.paused:
            self.action_live()
        else:
            self.view = replace(self.view, paused=True)
            self.show()

    def action_live(self) -> None:
        """Back to now; of a recording: to its end."""
        if self.player is not None:
            self.player.seek(self.player.position.end_ns)
        self.view = replace(self.view, paused=False, until_unix_ns=None)
        self.bpftop.poll()

    def action_step(self, seconds: int) -> None:
        """So many seconds back or on; from a live screen: from its newest second."""
        if self.player is not None:
            self.player.pause(True)
            self.player.step(seconds)
            self.bpftop.poll()
            return
        fresh = self.bpftop.snapshot(self.view.window_s)
        kept = moments(fresh)
        if not kept:
            self.notify("nothing has been counted yet", timeout=3)
            return
        here = self._stands_at(fresh) or kept[-1]
        place = sum(each <= here for each in kept) - 1 + seconds
        if place >= len(kept) or place < 0:
            self.notify("that is the newest second (End: live)" if place > 0 else "no older second is kept", timeout=3)
        self.look(kept[min(max(place, 0), len(kept) - 1)] + _MARGIN_NS)

    def action_oldest(self) -> None:
        """The oldest second kept; of a recording: its beginning, and it plays."""
        if self.player is not None:
            self.player.seek(self.player.position.start_ns)
            self.player.pause(False)
            self.bpftop.poll()
            return
        kept = moments(self.bpftop.snapshot(self.view.window_s))
        if kept:
            self.look(kept[0] + _MARGIN_NS)

    def action_speed(self, steps: int) -> None:
        """Play faster or slower."""
        if self.player is not None:
            self.notify(f"playing at {self.player.faster(steps):g}x", timeout=2)
            self.bpftop.poll()

    def _stands_at(self, fresh: Snapshot) -> int | None:
        """The moment that is shown, by the clock of a fresh snapshot: somebody may have set it since."""
        if (until := self.view.moved(fresh).until_unix_ns) is not None:
            return until
        shown = moments(self.view.snapshot)
        return replace(self.view, until_unix_ns=shown[-1]).moved(fresh).until_unix_ns if shown else None

    def look(self, until_unix_ns: int) -> None:
        """Stand still at a moment."""
        snapshot = self.bpftop.snapshot(self.view.window_s, until_unix_ns)
        self.view = replace(self.view.moved(snapshot), paused=True, until_unix_ns=until_unix_ns, snapshot=snapshot)
        self.show()

    def redo(self) -> None:
        """The same moment again, for another window."""
        if self.view.paused:
            here = self._stands_at(self.bpftop.snapshot(self.view.window_s)) or 0
            self.look(here + (_MARGIN_NS if self.view.until_unix_ns is None else 0))
        else:
            self.bpftop.poll()

    def action_stood_out(self) -> None:
        """List what stood out so far."""
        whole = getattr(self.player, "stood_out", None)
        self.app.push_screen(StoodOut(self.episodes.episodes, whole), self._go_back)

    def _go_back(self, unix_ns: int | None) -> None:
        """To the moment that was chosen, when it is still kept."""
        if unix_ns is not None:
            self.look_back(unix_ns)

    def look_back(self, unix_ns: int) -> None:
        """Stand still at a moment that was named, when it is still kept."""
        if self.player is not None:
            self.player.pause(True)
            self.player.seek(unix_ns)
            self.bpftop.poll()
            return
        kept = moments(self.bpftop.snapshot(self.view.window_s))
        if kept and kept[0] <= unix_ns:
            self.look(unix_ns + _MARGIN_NS)
        else:
            oldest = time.strftime("%H:%M:%S", time.localtime(kept[0] / 1e9)) if kept else ""
            older = f"the oldest second kept is {oldest}" if oldest else "nothing has been counted yet"
            self.notify(f"no figures of that moment are kept: {older}", severity="warning", timeout=5)

    def action_reset(self) -> None:
        """Ask, then forget."""
        self.app.push_screen(Confirm("Forget all figures and begin again at zero?", "reset"), self._answered)

    def _answered(self, yes: bool | None) -> None:
        if yes and self.bpftop.reset():
            self.episodes = Episodes()
            self.view = replace(self.view, paused=False, until_unix_ns=None)
            self.bpftop.poll()
            self.notify("figures forgotten; losses stay in the accounts", timeout=4)
