"""What each tab draws in its area."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bpftop import units
from bpftop.anyscript import figures
from bpftop.anyscript.ending import own_words
from bpftop.anyscript.model import Histogram, LogLine, MapView
from bpftop.ui.anyscript import frame, histograms, maps
from bpftop.ui.anyscript.look import LOG, MAP, OVERVIEW, Look, Place, Tab
from bpftop.ui.paint import EMPTY, Line, Role, Span, centred, fit, line, pad, wrapped
from bpftop.ui.safe import cut, safe

_LEAST = 6
"""Rows that a table or a histogram needs in the overview."""
_COMFORT = 12
_LOG_LEAST = 5


def lines(look: Look, tab: Tab, width: int, height: int) -> list[Line]:
    """The notice, then the tab."""
    above = frame.notice(look, width)[: max(height - 3, 0)]
    room = height - len(above)
    if tab.kind == OVERVIEW:
        return above + overview(look, width, room)
    if tab.kind == LOG:
        return above + log(look, look.place(tab), width, room)
    if tab.kind == MAP:
        view = look.map_of(tab)
        return above + (one_map(view, look, look.place(tab), width, room) if view else [])
    return above + program(look, look.place(tab), width, room)


# --- overview ---


def overview(look: Look, width: int, height: int) -> list[Line]:
    """Every value, then as much of each table and of the log as there is room for."""
    snapshot = look.snapshot
    shown = [view for view in snapshot.maps if not view.facts.scratch]
    tables = [view for view in shown if view.is_table and view.rows]
    scalars = [view for view in shown if not view.is_table and view.prints]
    if not tables and not scalars and not snapshot.log:
        return centred(frame.empty(snapshot), width, height)
    out = [maps.scalar(view, width) for view in scalars]
    to_come = frame.to_come_at_end(snapshot) if not snapshot.over else []
    if to_come:
        said = f"{', '.join(to_come)}: {'comes' if len(to_come) == 1 else 'come'} when the program ends: press q"
        out += wrapped(safe(said, 300), width, "dim")[:2]
    out += [EMPTY] if out else []
    room = height - len(out)
    spoken = sum(bool(each.text.strip()) for each in snapshot.log[-room:])
    log_rows = min(spoken, room if not tables else _LOG_LEAST)
    sections = _sections(tables, room - (log_rows + 1 if log_rows else 0))
    for view, size in sections:
        out += section(view, look, width, size)
    room = height - len(out)
    if room > 1 and log_rows:
        out += tail(look, width, room)
    return out


def _sections(tables: list[MapView], room: int) -> list[tuple[MapView, int]]:
    """Rows for each table: one for all, then the first ones get what they need as long as there is room."""
    extra = room - len(tables)
    out: list[tuple[MapView, int]] = []
    for at, view in enumerate(tables):
        fair = max(extra // (len(tables) - at) + 1, min(extra + 1, _COMFORT))
        size = min(fair, _needs(view))
        size = size if 1 < size <= extra + 1 else 1
        out.append((view, size if at < room else 0))
        extra -= size - 1
    return out


def _needs(view: MapView) -> int:
    first = view.rows[0].value
    rows = len(figures.rows_of(first)) if isinstance(first, Histogram) and not view.keyed else len(view.rows) + 2
    return rows + 2


def section(view: MapView, look: Look, width: int, height: int) -> list[Line]:
    """A table or a histogram in the overview."""
    if height < 1:
        return []
    if height < _LEAST - 2 and height < _needs(view):
        return [maps.short_line(view, width)]
    first = view.rows[0].value
    if isinstance(first, Histogram) and not view.keyed:
        rows = figures.merged(first, height - 2)
        head = line(*maps.heading(view).spans, Span("  "), *histograms.percentiles(first, view))
        return [head, *histograms.bars(rows, first, view, look, width), EMPTY]
    count = Span(f"  {len(view.rows):,} key{'s' * (len(view.rows) != 1)}", "dim")
    lines_ = maps.table_lines(view, look, Place(cursor=-1), width, height - 1)
    return [line(*maps.heading(view).spans, count), *_uncursored(lines_), EMPTY][:height]


def _uncursored(rows: list[Line]) -> list[Line]:
    """The overview has no cursor."""
    return [Line(row.spans) for row in rows]


def tail(look: Look, width: int, height: int) -> list[Line]:
    """The newest lines of the log, without blank ones."""
    said = tuple(each for each in look.snapshot.log[-4 * height :] if each.text.strip())
    return log(replace(look, snapshot=replace(look.snapshot, log=said)), Place(), width, height)


# --- log ---


def log(look: Look, place: Place, width: int, height: int) -> list[Line]:
    """Lines from where the user is; the program's own heading stays above when it has scrolled away."""
    snapshot = look.snapshot
    every = list(enumerate(snapshot.log, max(snapshot.log_lines - len(snapshot.log), 0)))
    wanted = look.filter.casefold()
    found = [(number, each) for number, each in every if not wanted or wanted in each.text.casefold()]
    if not found:
        said = "no line has these words" if wanted else "it has said nothing yet"
        return centred([line(Span(said, "dim"))], width, height)
    place.count, place.rows = len(found), max(height, 1)
    pinned = _heading(look, width, place)
    below = [] if place.follow else [_where(place, found)]
    place.rows = max(height - len(pinned) - len(below), 1)
    if place.follow:
        place.top = max(len(found) - place.rows, 0)
    place.top = max(min(place.top, len(found) - 1), 0)
    visible = found[place.top : place.top + place.rows]
    if pinned and any(number < len(snapshot.log_head) for number, _ in visible):
        pinned = []
    return [*pinned, *(_log_line(each, place, width) for _, each in visible), *below]


def _where(place: Place, found: list[tuple[int, LogLine]]) -> Line:
    last = min(place.top + place.rows, len(found))
    return line(Span(f"lines {place.top + 1:,}–{last:,} of {len(found):,}; End: follow the newest", "dim"))


def _log_line(each: LogLine, place: Place, width: int) -> Line:
    text = each.text.expandtabs()[place.left :]
    return line(Span(safe(text, width), "" if each.own else "warn"))


def _heading(look: Look, width: int, place: Place) -> list[Line]:
    """The first line that looks like the names of columns: several words, most of them in capitals."""
    for text in look.snapshot.log_head:
        words = text.split()
        capitals = sum(word.upper() == word and any(c.isalpha() for c in word) for word in words)
        if len(words) >= 2 and capitals * 2 > len(words):
            return [fit(line(Span(safe(text.expandtabs()[place.left :], width), "head")), width)]
    return []


# --- one map ---


def one_map(view: MapView, look: Look, place: Place, width: int, height: int) -> list[Line]:
    """A map on its own tab."""
    head = [*maps.heading(view).spans]
    if view.keyed and view.rows:
        shown = len(maps.filtered(view.rows, look.filter))
        of = f"{shown:,} of " if look.filter else ""
        head.append(Span(f"  {of}{len(view.rows):,} key{'s' * (len(view.rows) != 1)}", "dim"))
    if old := maps.age(view, look.snapshot.ended_unix_ns or look.snapshot.unix_ns):
        head.append(Span(f"  {old}", "dim"))
    if not view.rows:
        return [line(*head), *centred([line(Span(maps.waiting(view), "strong"))], width, height - 1)]
    room = height - 2
    first = view.rows[0].value
    if isinstance(first, Histogram) and not view.keyed:
        drawn = histograms.bars(figures.rows_of(first), first, view, look, width)
        numbers = [line(*histograms.percentiles(first, view)), EMPTY]
        return [line(*head), *numbers, *maps.scrolled(drawn, place, room - 1)]
    if place.opened is not None:
        row = next((row for row in view.rows if row.key == place.opened), None)
        if row is not None:
            head.append(Span("  Esc: all keys", "dim"))
            return [line(*head), EMPTY, *maps.detail_lines(view, row, look, place, width, room)]
        place.opened = None
    return [line(*head), EMPTY, *maps.table_lines(view, look, place, width, room)]


# --- the program ---


def program(look: Look, place: Place, width: int, height: int) -> list[Line]:
    """Its state, what is known of its maps, what bpftrace said, and its text."""
    snapshot, script = look.snapshot, look.snapshot.script
    facts = [
        ("File", safe(script.path)),
        ("Arguments", safe(" ".join(script.argv)) or "none"),
        ("State", f"{snapshot.state.value}{': ' + safe(snapshot.detail) if snapshot.detail else ''}"),
        ("Runs", f"{units.span(snapshot.span_s)}, {snapshot.probes} probes, bpftrace {safe(snapshot.version)}"),
    ]
    if snapshot.exit_code is not None:
        facts.append(("Exit code", f"{snapshot.exit_code} (bpftrace's own)"))
    lines_ = [line(Span(pad(name, 12, left=True), "head"), Span(cut(text, width - 12))) for name, text in facts]
    for view in snapshot.maps:
        at = view.printed_unix_ns
        when = f", last {datetime.fromtimestamp(at / 1e9):%H:%M:%S}" if at else ""
        said = f"printed {view.prints:,} times{when}" if view.prints else maps.waiting(view)
        memory = "  (memory of the program)" if view.facts.scratch else ""
        lines_.append(line(Span(pad(safe(view.name, 11), 12, left=True), "head"), Span(f"{said}{memory}", "dim")))
    if snapshot.stderr:
        lines_ += [EMPTY, line(Span("bpftrace said on stderr, the newest last", "head"))]
        lines_ += [line(Span(safe(own_words(script, each), width), "warn")) for each in snapshot.stderr]
    lines_ += [EMPTY, line(Span("Its text", "head")), *_text(look, width)]
    return maps.scrolled(lines_, place, height)


def _text(look: Look, width: int) -> list[Line]:
    rows = look.snapshot.script.text.splitlines()
    size = len(str(len(rows)))
    out = []
    for number, text in enumerate(rows, 1):
        wrong = number == look.snapshot.failed_line
        role: Role = "bad" if wrong else ""
        out.append(
            line(Span(f"{number:>{size}} ", role or "dim"), Span(safe(text.expandtabs(4), width - size - 1), role))
        )
    return out
