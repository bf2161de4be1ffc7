"""Where a word typed after ``:`` leads: panes, measures, clients, windows, moments, and every action by name."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from textual.binding import ActiveBinding

from bpftop.model import MeasureSnapshot, Snapshot
from bpftop.ui import words
from bpftop.ui.keys import name_of
from bpftop.ui.panes.base import MeasurePane
from bpftop.ui.panes.clients import Clients
from bpftop.ui.panes.latency import Latency
from bpftop.ui.panes.startable import Startable
from bpftop.ui.subject import Subject

if TYPE_CHECKING:
    from bpftop.ui.screen import MainScreen

CLIENTS = 20
"""So many are offered for the beginning of an address."""
SEARCHED = 5_000
"""Of the busiest clients; in a flood of more a letter would take seconds (``/`` in Clients looks at all)."""
_DAY_NS = 86_400 * 10**9
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")
_AGO = re.compile(r"-(\d{1,5})\s?(s|m|min|h)?")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, None: 1}


@dataclass(frozen=True, slots=True)
class Way:
    """One place to go or thing to do."""

    name: str
    """What is typed, in lower case; may hold words of others."""
    what: str
    go: Callable[[], object]


def matching(ways: Iterable[Way], text: str) -> list[Way]:
    """Those that the text names, the nearest first: the whole name, its beginning, that of a word, anywhere in it."""
    text = " ".join(text.lower().split())
    ranked = [(rank, way) for way in ways if (rank := _rank(way.name, text)) is not None]
    return [way for _, way in sorted(ranked, key=lambda each: each[0])]  # in the order given among equals


def _rank(name: str, text: str) -> int | None:
    if not text or text not in name:
        return None
    if name == text:
        return 0
    if name.startswith(text):
        return 1
    return 2 if any(word.startswith(text) for word in re.split(r"[ -]", name)) or f" {text}" in name else 3


def ways(screen: MainScreen, bound: Sequence[ActiveBinding], text: str) -> list[Way]:
    """All that the text names, the nearest first. ``bound``: the keys in force before the line took them."""
    moment = moment_of(text, _newest(screen.view.snapshot))
    if moment is not None:
        return [Way(text.strip(), "all panes as they were then", partial(screen.look_back, moment))]
    return matching(
        (*_panes(screen), *_measures(screen), *_windows(screen), *_actions(screen, bound), *_clients(screen, text)),
        text,
    )


def moment_of(text: str, now_ns: int) -> int | None:
    """``14:03``, ``14:03:10`` (local time, not later than now) or ``-2m`` as Unix time in ns; None: no moment."""
    text = text.strip()
    if found := _AGO.fullmatch(text):
        return now_ns - int(found[1]) * _SECONDS[found[2]] * 10**9
    if not (found := _CLOCK.fullmatch(text)):
        return None
    day = time.localtime(now_ns / 1e9)
    hour, minute, second = int(found[1]), int(found[2]), int(found[3] or 0)
    wanted = int(time.mktime((day.tm_year, day.tm_mon, day.tm_mday, hour, minute, second, 0, 0, -1))) * 10**9
    return wanted - _DAY_NS if wanted > now_ns + 10**9 else wanted


def _newest(snapshot: Snapshot) -> int:
    kept = snapshot.histories[0].unix_ns if snapshot.histories else ()
    return kept[-1] if kept else snapshot.unix_ns


def _panes(screen: MainScreen) -> Iterator[Way]:
    for index, pane in enumerate(screen.panes):
        off = index in screen.tabs.off
        what = "open this pane and start its script" if off else "open this pane"
        names = (pane.TITLE.lower(), pane.script) if isinstance(pane, Startable) else (pane.TITLE.lower(),)
        for name in dict.fromkeys(names):  # a verdict offers scripts by name
            yield Way(name, what, partial(screen.action_pane, index))


def _measures(screen: MainScreen) -> Iterator[Way]:
    for each in screen.view.snapshot.measures.values():
        yield Way(each.measure.title.lower(), "this measure", partial(_choose, screen, each))


def _choose(screen: MainScreen, shown: MeasureSnapshot) -> None:
    """In the pane in front when it can be about the measure, else in Latency."""
    screen.view = replace(screen.view, measure=shown.measure.name)
    pane = screen.in_front
    if isinstance(pane, MeasurePane) and pane.accepts(shown.measure):
        screen.show()
        return
    screen.action_pane(_index(screen, Latency))


def _index(screen: MainScreen, kind: type) -> int:
    return next(index for index, pane in enumerate(screen.panes) if isinstance(pane, kind))


def _windows(screen: MainScreen) -> Iterator[Way]:
    names = {10.0: "window 10s", 60.0: "window 1m", 300.0: "window 5m", None: "window all"}
    for window_s, name in names.items():
        if window_s in screen.windows:
            yield Way(name, "figures over this time", partial(screen.use_window, window_s))


def _actions(screen: MainScreen, bound: Sequence[ActiveBinding]) -> Iterator[Way]:
    seen: set[str] = set()
    for active in bound:
        binding = active.binding
        plain = not binding.action.startswith(("pane(", "prompt", "move(", "go("))
        if plain and active.enabled and not binding.system and binding.action not in seen:
            seen.add(binding.action)
            act = partial(screen.run_later, binding.action, active.node)
            yield Way(name_of(binding), binding.tooltip or binding.description.lower(), act)


def _clients(screen: MainScreen, text: str) -> Sequence[Way]:
    """The busiest clients whose address the text is in."""
    text = text.strip().lower()
    pane = screen.panes[_index(screen, Clients)]
    shown = screen.view.shown
    if shown is None or not pane.accepts(shown.measure) or not re.search(r"[0-9a-f]", text):
        return []
    busiest = islice(shown.clients, SEARCHED)
    found = [row for row in busiest if text in row.client.lower() and row.client != words.OTHERS and row.code]
    return [
        Way(row.client.lower(), "this client alone", partial(_client, screen, row.client, row.code, shown))
        for row in found[:CLIENTS]
    ]


def _client(screen: MainScreen, name: str, code: int, shown: MeasureSnapshot) -> None:
    screen.action_pane(_index(screen, Clients))
    screen.drill(Subject(shown.measure.key, name, code, shown.measure.name))
