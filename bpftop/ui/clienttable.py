"""The parts of a client table: columns, one client beside it, what a pinned piece of the heat map is to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from bpftop import units
from bpftop.model import ClientRow, CounterSnapshot, Measure, MeasureSnapshot, Snapshot
from bpftop.stats.clients import by_key
from bpftop.stats.groups import Networks, network_of
from bpftop.stats.past import history_of
from bpftop.ui import words
from bpftop.ui.kinds import REQUEST, of_kind
from bpftop.ui.paint import EMPTY, Line, Span, line
from bpftop.ui.panes.slow import slow_columns
from bpftop.ui.pin import box_words, kept_by_key, when
from bpftop.ui.safe import safe
from bpftop.ui.table import Column, table
from bpftop.ui.view import View

IN_CELL = "In cell"


def client_columns(total: int, longest: int) -> list[Column[ClientRow]]:
    """The columns of a client table."""
    grow = max(min(longest, 39) - 15, 0)
    columns: list[Column[ClientRow]] = [
        Column("Client", 15, lambda row: safe(row.client, 64), left=True, grow=grow, ends=True),
        Column("Count", 6, lambda row: units.count(row.count)),
        Column("Rate", 7, lambda row: units.rate(row.rate_per_s), rank=5),
        Column("p50", 7, lambda row: Span(units.duration(row.p50_ns), "p50"), rank=1),
        Column("p99", 7, lambda row: words.p99(row, "p99")),
        Column("Max", 7, lambda row: units.duration(row.max_ns), rank=4),
        Column("Share", 6, lambda row: words.share(row.count / total), rank=6),
    ]
    return columns


def per_client(snapshot: Snapshot, counters: Sequence[str], by_network: bool) -> Mapping[str, int] | None:
    """The counts of some counters by client or network; None when no script that runs has them."""
    found = [snapshot.counters[name] for name in counters if name in snapshot.counters]
    if not found:
        return None
    counts: Counter[str] = Counter()
    for each in found:
        for name, n in _by_network(snapshot, each) if by_network else ((row.client, row.count) for row in each.rows):
            counts[name] += n
    return counts


def _by_network(snapshot: Snapshot, counter: CounterSnapshot) -> Iterator[tuple[str, int]]:
    """A counter by network: of all clients where the counts by key are there, else of those that have a row."""
    history = history_of(snapshot, counter.measure.name)
    if history.keyed is None or history.names is None:
        yield from ((network_of(row.client), row.count) for row in counter.rows)
        return
    networks = Networks(history.names)
    found = by_key(networks.grouped(history.keyed), history.measures.index(counter.measure.name) + 1, 0)
    if found is not None:
        yield from ((networks.label(int(found.codes[i])), int(found.n[i])) for i in found.busiest().tolist())


def portrait(view: View, client: str, width: int, height: int) -> list[Line]:
    """One client in every measure, and its slow requests."""
    found = [
        (shown.measure, row)
        for shown in view.snapshot.measures.values()
        for row in shown.clients
        if row.client == client and shown.measure.key == "client"
    ]
    columns: list[Column[tuple[Measure, ClientRow]]] = [
        Column("Measure", 20, lambda each: safe(each[0].title, 30), left=True, grow=8),
        Column("Count", 6, lambda each: units.count(each[1].count)),
        Column("p50", 7, lambda each: Span(units.duration(each[1].p50_ns), "p50")),
        Column("p99", 7, lambda each: words.p99(each[1], "p99")),
        Column("Max", 7, lambda each: units.duration(each[1].max_ns), rank=1),
    ]
    lines = [line(Span(safe(client, 40), "strong"), Span("  in every measure", "dim")), EMPTY]
    lines += table(columns, found, width)
    rows = [each for each in of_kind(view.snapshot, REQUEST) if each.client == client]
    lines += [EMPTY, line(Span("Its slow requests", "strong"), Span(f"  {len(rows):,} in the window", "dim"))]
    room = height - len(lines) - 1
    return lines + table(slow_columns(rows, client=False), rows[:room], width) if rows and room > 0 else lines


def counted(counts: Mapping[str, int], row: ClientRow) -> Span:
    """How often something happened to a client."""
    n = counts.get(row.client, 0)
    return Span(units.count(n), "warn" if n else "dim")


def from_events(view: View) -> Sequence[ClientRow]:
    """Clients of the single requests kept, for seconds that are not kept by key: counts of these requests only."""
    events = of_kind(view.snapshot, REQUEST)
    counts = Counter(each.client for each in events if each.client)
    return tuple(ClientRow(name, n, 0.0, None, None, None) for name, n in counts.most_common())


def pinned_words(view: View, shown: MeasureSnapshot) -> list[str]:
    """What the pinned piece of the heat map is to these rows."""
    if view.box is None:
        return []
    if not kept_by_key(view):
        n = len(of_kind(view.snapshot, REQUEST))
        return [f"{when(view.box)}: not kept by client any more; from {n:,} single requests kept"]
    if view.box.measure == shown.measure.name:
        return [f"clients at {when(view.box)}; '{IN_CELL}': those of {box_words(view.box).partition(' at ')[0]}"]
    return [f"clients at {when(view.box)}; the pinned range is of {view.box.measure.replace('_', ' ')}"]
