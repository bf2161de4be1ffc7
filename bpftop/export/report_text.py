"""A snapshot as plain text for a terminal, a pipe or a ticket: 80 columns, no escape codes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from bpftop import units
from bpftop.export.bars import histogram_lines
from bpftop.export.report_keys import counters, keyed
from bpftop.export.report_slow import slowest
from bpftop.export.report_stood_out import stood_out
from bpftop.model import ClientRow, MeasureSnapshot, Snapshot, Summary, losses
from bpftop.stats.episodes import Episode
from bpftop.text import safe

WIDTH = 80
CLIENTS = 10
_NARROW = 32
"""Longer addresses leave no room for the share of all requests."""
_HISTOGRAMS = ("request_latency", "read_queue_latency")
"""Together they say whether the server is slow or the requests wait for it."""
_ASCII = str.maketrans({"µ": "u", "–": "-", "…": ".", "\N{REPLACEMENT CHARACTER}": "?", "·": "-", "×": "x"})


def to_text(snapshot: Snapshot, ascii_only: bool = False, episodes: Sequence[Episode] | None = None) -> str:
    """The whole report, ended by a line feed. ``episodes``: what stood out, where somebody has looked."""
    blocks = [
        list(_summary(snapshot)),
        [] if episodes is None else list(stood_out(snapshot, episodes)),
        list(_percentiles(snapshot)),
        *(_histogram(measure, ascii_only) for measure in _drawn(snapshot)),
        list(_clients(snapshot)),
        *(list(keyed(measure)) for measure in snapshot.measures.values()),
        list(counters(snapshot)),
        *(list(block) for block in slowest(snapshot)),
        list(_accounting(snapshot)),
    ]
    text = "\n\n".join("\n".join(line.rstrip() for line in block) for block in blocks if block) + "\n"
    return text.translate(_ASCII).encode("ascii", "replace").decode() if ascii_only else text


def _summary(snapshot: Snapshot) -> Iterator[str]:
    target = snapshot.target
    pids = ", ".join(map(str, target.pids[:4])) + (" …" if len(target.pids) > 4 else "")
    ports = ", ".join(map(str, target.ports[:6])) + (" …" if len(target.ports) > 6 else "")
    moment = datetime.fromtimestamp(snapshot.unix_ns / 1e9, UTC)
    yield f"{safe(target.name, 30)}  {units.span(snapshot.window.span_s)} to {moment:%Y-%m-%d %H:%M:%S} UTC"
    yield f"processes {pids or 'none'} · ports {ports or 'none'}"[:WIDTH]
    if snapshot.tracer.source == "replay":
        yield "from a recording"
    elif snapshot.tracer.source != "bpftrace":
        yield f"{safe(snapshot.tracer.source, 40)}: these figures are not from a kernel"
    main = _main(snapshot)
    if main is None:
        yield f"nothing came in {units.span(snapshot.window.span_s)}"
        return
    s = main.summary
    yield (
        f"{safe(main.measure.title, 40)}: p50 {units.duration(s.p50_ns)}, p99 {units.duration(s.p99_ns)}, "
        f"max {units.duration(s.max_ns)} (n {units.count(s.count)}, {units.rate(s.rate_per_s)})"
    )


def _percentiles(snapshot: Snapshot) -> Iterator[str]:
    titles = [safe(m.measure.title, 20) for m in snapshot.measures.values()]
    yield f"{'':20} {'n':>6}{'p50':>8}{'p90':>8}{'p95':>8}{'p99':>8} {'p99.9':>8} {'max':>8}"
    for title, measure in zip(titles, snapshot.measures.values(), strict=True):
        s = measure.summary
        cells = "".join(f"{units.duration(value):>8}" for value in (s.p50_ns, s.p90_ns, s.p95_ns, s.p99_ns))
        marks = [_few(s, 100), _few(s, 1000)]
        tail = f"{units.duration(s.p999_ns):>8}"
        yield f"{title:20} {units.count(s.count):>6}{cells}{marks[0]}{tail}{marks[1]}{units.duration(s.max_ns):>8}"
    if any(_few(m.summary, 1000) == "?" for m in snapshot.measures.values()):
        yield "? fewer than 100 observations for p99, 1000 for p99.9: close to the maximum"


def _few(summary: Summary, enough: int) -> str:
    return "?" if 0 < summary.count < enough else " "


def _main(snapshot: Snapshot) -> MeasureSnapshot | None:
    """The measure that the report is about: request latency, else the first with figures."""
    with_figures = [m for m in snapshot.measures.values() if m.summary.count]
    wanted = snapshot.measures.get(_HISTOGRAMS[0])
    return wanted if wanted in with_figures else next(iter(with_figures), None)


def _drawn(snapshot: Snapshot) -> list[MeasureSnapshot]:
    chosen = [snapshot.measures[name] for name in _HISTOGRAMS if name in snapshot.measures]
    drawn = [measure for measure in chosen if measure.summary.count]
    main = _main(snapshot)
    return drawn or ([main] if main else [])


def _histogram(measure: MeasureSnapshot, ascii_only: bool) -> list[str]:
    lines = histogram_lines(measure.histogram, WIDTH, ascii_only)
    m = measure.measure
    return [*textwrap.wrap(safe(f"{m.title}: from when {m.start} to when {m.end}"), WIDTH), *lines]


def _clients(snapshot: Snapshot) -> Iterator[str]:
    main = _main(snapshot)
    if main is None or not main.clients or main.measure.key != "client":
        return
    rows = sorted(main.clients, key=slow_first)[:CLIENTS]
    total, slow = max(main.summary.count, 1), max(main.slow, sum(row.slow or 0 for row in main.clients), 1)
    width = max(len("client"), *(len(safe(row.client, 39)) for row in rows))
    roomy = width <= _NARROW
    yield f"Clients by {safe(main.measure.title, 40).lower()}, those with most of the slowest 1 % first"
    yield f"  {'client':{width}} {'n':>6} {'of all ' if roomy else ''}of slow{'p50':>8}{'p99':>8}{'max':>8}"
    for row in rows:
        figures = "".join(f"{units.duration(value):>8}" for value in (row.p50_ns, row.p99_ns, row.max_ns))
        share = f"{units.percent(row.count / total):>6} " if roomy else ""
        of_slow = units.percent((row.slow or 0) / slow)
        yield f"  {safe(row.client, 39):{width}} {units.count(row.count):>6} {share}{of_slow:>7}{figures}"
    if len(main.clients) > len(rows):
        yield f"  and {len(main.clients) - len(rows)} more: --format json shows them"


def slow_first(row: ClientRow) -> tuple[bool, int, int]:
    """``others`` last, the most slow ones first, then the most of all."""
    return row.client == "others", -(row.slow or 0), -row.count


def _accounting(snapshot: Snapshot) -> Iterator[str]:
    a, o = snapshot.accounting, snapshot.overhead
    yield (
        f"events   {units.count(a.produced)} = {units.count(a.shown)} shown + "
        f"{units.count(a.suppressed)} suppressed + {units.count(a.lost)} lost + {units.count(a.rejected)} rejected"
    )
    if a.untracked:
        yield f"         {units.count(a.untracked)} connections found the kernel's table full: they are in no figure"
    if a.unseen_ns:
        yield f"         {units.duration(a.unseen_ns)} of which no counts came from bpftrace"
    for problem in losses(snapshot).problems:
        said = textwrap.wrap(f"inconclusive: {safe(problem, 200)}", WIDTH - 9)
        yield from (f"         {each}" for each in said)
    if o.ns_per_hit is not None and o.hits_per_s is not None and o.cpu_percent is not None:
        yield (
            f"own cost {units.duration(o.ns_per_hit)} per hit × {units.rate(o.hits_per_s)} = "
            f"{units.percent(o.cpu_percent / 100)} of one CPU"
        ).replace("×", "x")
    else:
        yield "own cost the kernel does not tell"
    for sentence in snapshot.over_budget:
        yield from (f"         {each}" for each in textwrap.wrap(safe(sentence, 300), WIDTH - 9))
    if o.missed:
        yield f"         {units.count(o.missed)} hits missed (the kernel ran other BPF work on that CPU): in no figure"
    if snapshot.missed is None:
        yield "         hits missed: unknown, this kernel does not count them (Linux 6.7 and newer do)"
    versions = f"bpftrace {safe(snapshot.bpftrace_version, 40)}" if snapshot.bpftrace_version else "no bpftrace"
    yield f"with     {versions}, Linux {safe(snapshot.kernel, 50)}"
