"""Snapshots made by hand: a small nginx with a fast majority, a slow tail and one slow client."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bpftop.model import (
    Accounting,
    ClientRow,
    CounterSnapshot,
    Histogram,
    History,
    Measure,
    MeasureSnapshot,
    Overhead,
    Process,
    Recent,
    ScriptStatus,
    SlowRequest,
    Snapshot,
    State,
    Summary,
    Target,
    TargetKind,
    TracerStatus,
    Trend,
    Window,
)
from bpftop.stats import buckets

NOON = 1_770_000_000 * 10**9
"""A fixed moment (Unix ns)."""

MEASURES = (
    Measure(
        "read_queue_latency", "Read queue latency", "data arrives at the socket", "the process reads it",
        "a busy event loop or a starved CPU",
    ),
    Measure(
        "request_latency", "Request latency", "the process reads the request",
        "it sends the first byte of the response", "slow work in the process, its disk or its upstream",
    ),
    Measure(
        "response_time", "Response time", "the process reads the request", "it sends the last byte of the response",
        "big or slow responses",
    ),
    Measure(
        "accept_queue_latency", "Accept queue latency", "the connection is established", "the process accepts it",
        "the process does not accept fast enough",
    ),
    Measure(
        "connection_duration", "Connection duration", "the process accepts the connection", "it is closed",
        "nothing by itself: keep-alive connections are long",
    ),
)  # fmt: skip
_MIDDLES_NS = {
    "read_queue_latency": 40e3,
    "request_latency": 210e3,
    "response_time": 260e3,
    "accept_queue_latency": 60e3,
    "connection_duration": 1.2e9,
}


def samples(measure: str, n: int = 12_000, seed: int = 7) -> NDArray[np.int64]:
    """Latencies (ns) with a slow tail, always the same."""
    rng = np.random.default_rng([seed, len(measure)])
    body = rng.lognormal(np.log(_MIDDLES_NS.get(measure, 1e6)), 0.5, n)
    slow = rng.random(n) < 0.02
    return np.where(slow, body * rng.uniform(5, 40, n), body).astype(np.int64)


def histogram(values_ns: NDArray[np.int64]) -> Histogram:
    """As the store makes it: the buckets that are not empty."""
    index, counts = np.unique(buckets.bucket_of(values_ns), return_counts=True)
    return Histogram(buckets.lower_edge(index), buckets.upper_edge(index), counts.astype(np.int64))


def summary(values_ns: NDArray[np.int64], span_s: float = 60.0) -> Summary:
    """Exact percentiles; none without values."""
    if not values_ns.size:
        return Summary(0, 0.0)
    quantiles = (0.5, 0.9, 0.95, 0.99, 0.999)
    p50, p90, p95, p99, p999 = (int(np.quantile(values_ns, q, method="inverted_cdf")) for q in quantiles)
    figures = (p50, p90, p95, p99, p999, int(values_ns.max()), int(values_ns.sum()))
    return Summary(values_ns.size, values_ns.size / span_s, *figures)


def trend(measure: str, points: int = 60, seed: int = 7) -> Trend:
    """A calm minute with a slow spell and a gap of two seconds."""
    rng = np.random.default_rng([seed, 3, len(measure)])
    age = np.arange(points, dtype=np.float64)[::-1]
    middle = _MIDDLES_NS.get(measure, 1e6)
    p50 = middle * rng.uniform(0.9, 1.1, points)
    p99 = middle * 8 * rng.uniform(0.8, 1.3, points)
    p99[(age > 15) & (age < 25)] *= 6
    p50[(age > 39) & (age < 42)] = np.nan
    p99[(age > 39) & (age < 42)] = np.nan
    return Trend(age, np.full(points, 200.0), p50, p99)


def clients(count: int, total: int, others: int = 0) -> tuple[ClientRow, ...]:
    """``count`` clients, the busiest first; the third one is slow."""
    weights = 1 / np.arange(1, count + 1)
    counts = np.maximum((weights / weights.sum() * (total - others)).astype(int), 1)
    rows = []
    for i, n in enumerate(counts.tolist()):
        name = f"127.0.{i // 250}.{i % 250 + 1}" if i % 5 != 4 else f"2001:db8::{i:x}"
        times = 30 if i == 2 else 1
        p99 = int(1_700_000 * (1 + i / count)) * times
        slow = total // 160 if i == 2 else total // 400 // count
        rows.append(ClientRow(name, n, n / 60, 200_000 + 1000 * i, p99, p99 * 2, slow=slow))
    if others:
        rows.append(ClientRow("others", others, others / 60, 230_000, 2_500_000, 9_000_000, slow=0))
    return tuple(rows)


def measured(measure: Measure, n: int = 12_000, client_count: int = 12, others: int = 40) -> MeasureSnapshot:
    """One measure with everything."""
    values = samples(measure.name, n)
    rows = clients(client_count, n, others) if n else ()
    slow = sum(row.slow or 0 for row in rows)
    return MeasureSnapshot(measure, summary(values), histogram(values), rows, trend(measure.name), slow)


def recent(measure: Measure, n: int = 2_000) -> Recent:
    """The last ten seconds, as calm as the minute before."""
    now, before = summary(samples(measure.name, n, 8), 10.0), summary(samples(measure.name, 6 * n), 60.0)
    rows = tuple(replace(row, rate_per_s=row.count / 10) for row in clients(5, n))
    return Recent(now, before, now.p99_ns or 0, sum(row.slow or 0 for row in rows), rows)


def history(n: int = 12_000, seconds: int = 60, seed: int = 11) -> History:
    """``n`` observations of each measure spread over the last seconds; between 15 and 25 s ago they were slow."""
    rng = np.random.default_rng(seed)
    pieces: list[list[NDArray[np.int64]]] = [[] for _ in range(seconds)]
    for position, measure in enumerate(MEASURES):
        values = samples(measure.name, n)
        second = rng.integers(0, seconds, n)
        age = seconds - 1 - second
        values = np.where((age > 15) & (age < 25), values * 6, values)
        for each in range(seconds):
            pieces[each].append(buckets.bucket_of(values[second == each]) + position * buckets.BUCKETS)
    folded = [np.unique(np.concatenate(piece), return_counts=True) for piece in pieces]
    ends = tuple(NOON - (seconds - 1 - i) * 10**9 for i in range(seconds))
    return History(tuple(each.name for each in MEASURES), ends, tuple((i, c.astype(np.int64)) for i, c in folded))


def slow_requests(n: int = 40) -> tuple[SlowRequest, ...]:
    """Slowest first."""
    rng = np.random.default_rng(5)
    latency = np.sort(rng.lognormal(np.log(8e6), 0.9, n))[::-1].astype(np.int64)
    return tuple(
        SlowRequest(
            NOON - int(rng.integers(0, 60 * 10**9)),
            "request",
            int(value),
            f"127.0.0.{rng.integers(1, 12)}" if i % 7 else "2001:db8:12:34::7",
            {"read_queue_ns": int(rng.integers(10_000, 400_000)), "client_port": 40_000 + i, "pid": 4242 + i % 2},
        )
        for i, value in enumerate(latency.tolist())
    )


def scripts(state: State = State.LIVE) -> tuple[ScriptStatus, ...]:
    """The two that run always."""
    return (
        ScriptStatus("requests", "read queue, request latency and response time of each request", state, 7),
        ScriptStatus("connections", "accept queue latency and connection duration", state, 4),
    )


def target(processes: int = 3, ports: tuple[int, ...] = (80, 443)) -> Target:
    """An nginx."""
    return Target(
        "nginx", TargetKind.NAME, "nginx", "nginx",
        tuple(Process(4242 + i, 100 + i, "nginx") for i in range(processes)), ports,
    )  # fmt: skip


def live(n: int = 12_000, client_count: int = 12, others: int = 40) -> Snapshot:
    """All is well."""
    return Snapshot(
        unix_ns=NOON,
        started_unix_ns=NOON - 90 * 10**9,
        target=target(),
        window=Window("1 min", 60.0, 60.0),
        measures={each.name: measured(each, n, client_count, others) for each in MEASURES},
        slow=slow_requests() if n else (),
        accounting=Accounting(produced=18_230, shown=412, suppressed=17_818) if n else Accounting(),
        overhead=Overhead(ns_per_hit=131.0, hits_per_s=1_240.0, cpu_percent=0.4),
        tracer=TracerStatus(State.LIVE),
        scripts=scripts(),
        bpftrace_version="0.17.0",
        kernel="6.18.5",
        ticks=90,
        quiet_s=0.2,
        histories=(history(n),) if n else (),
        recent={each.name: recent(each) for each in MEASURES} if n else {},
    )


def troubled() -> Snapshot:
    """One client's requests wait to be read, by one of two workers; a script that would tell more is on offer."""
    calm = live()
    queue = calm.recent["read_queue_latency"]
    values = samples("read_queue_latency", 2_000, 8)
    values[:200] = 400_000_000 + np.arange(200) * 1_000_000
    now = summary(values, 10.0)
    guilty = ClientRow("127.0.0.3", 260, 26.0, 300_000_000, 590_000_000, 600_000_000, slow=184)
    rows = (guilty, *(replace(row, slow=4) for row in queue.rows if row.client != "127.0.0.3"))
    worse = replace(queue, now=now, limit_ns=20_000_000, slow=200, rows=rows, risen_s=7.0)
    events = tuple(
        SlowRequest(
            NOON - i * 40_000_000, "request", 600_000_000 - i * 1_000_000, "127.0.0.3" if i % 12 else "127.0.0.1",
            {"read_queue_ns": 590_000_000 - i * 1_000_000, "client_port": 40_000 + i, "pid": 4243 if i % 10 else 4244},
        )
        for i in range(60)
    )  # fmt: skip
    offer = ScriptStatus("eventloop", "Event loop", State.OFF, 0, "Enter starts it", "Event loop", ("loop_stall",))
    return replace(
        calm, recent={**calm.recent, "read_queue_latency": worse}, recent_slow=events, slow=(*events, *calm.slow),
        scripts=(*calm.scripts, offer),
    )  # fmt: skip


CALLS = Measure(
    "syscall_latency", "System call latency", "the thread entered the kernel", "it came back",
    "a slow disk, network or lock", key="syscall",
)  # fmt: skip
WAITS = Measure("waiting_latency", "Waiting calls", "it entered", "it came back", "idle by design", key="syscall")
FAILURES = Measure("failed_calls", "Failed calls", "", "", "an error a call returned", key="syscall", unit="count")


def with_calls(of: Snapshot, n: int = 9_000) -> Snapshot:
    """With a script that was asked for: two measures by system call and a counter."""
    status = ScriptStatus(
        "syscalls", "System calls", of.tracer.state, 2, "How long the server's system calls take.", "Syscalls",
        ("syscall_latency", "waiting_latency", "failed_calls"),
    )  # fmt: skip
    shares = {"writev": 0.5, "recvfrom": 0.3, "fsync": 0.002, "openat": 0.198}
    times = {"writev": 9_000, "recvfrom": 1_200, "fsync": 21_000_000, "openat": 2_100}
    rows = tuple(
        ClientRow(name, int(n * share), n * share / 60, times[name], times[name] * 4, times[name] * 9,
                  int(n * share * times[name]), code=code)
        for code, (name, share) in enumerate(shares.items(), 1)
    ) if n else ()  # fmt: skip
    failures = tuple(
        ClientRow(name, count, count / 60, None, None, None) for name, count in (("openat", 30), ("read", 2))
    )
    calls = measured(CALLS, n)
    total = sum(row.total_ns or 0 for row in rows)
    calls = replace(calls, clients=rows, summary=replace(calls.summary, total_ns=total if n else None))
    waits = replace(measured(WAITS, n // 3), clients=())
    counter = CounterSnapshot(FAILURES, 32 if n else 0, 32 / 60 if n else 0.0, failures if n else ())
    measures = {**of.measures, "syscall_latency": calls, "waiting_latency": waits}
    return replace(of, scripts=(*of.scripts, status), measures=measures, counters={"failed_calls": counter})


def empty(state: State = State.LIVE, detail: str = "", **changes: object) -> Snapshot:
    """Nothing observed yet."""
    nothing = replace(live(0), tracer=TracerStatus(state, detail), scripts=scripts(state), quiet_s=12.0)
    return replace(nothing, **changes)  # type: ignore[arg-type]


def failed(of: Snapshot) -> Snapshot:
    """bpftrace ended; the figures before that are still there."""
    tracer = TracerStatus(
        State.FAILED,
        "bpftrace ended with exit code 255",
        "bpftop doctor",
        ("stdin:12:3-20: ERROR: tracepoint not found: sock:sk_data_ready", "ERROR: no probes to attach"),
        exit_code=255,
    )
    return replace(of, tracer=tracer, scripts=scripts(State.FAILED))


def lossy(of: Snapshot) -> Snapshot:
    """Some events did not arrive, one was unreadable, and the kernel's table was full for a while."""
    return replace(of, accounting=Accounting(18_230, 380, 17_818, lost=31, rejected=1, untracked=3))


class FakeSession:
    """A source of snapshots given by hand; ``window_s`` is remembered."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.current = snapshot
        self.asked: list[float | None] = []

    def snapshot(self, window_s: float | None, until_unix_ns: int | None = None) -> Snapshot:
        """The current one, with the window asked for."""
        self.asked.append(window_s)
        labels = {60.0: "1 min", 300.0: "5 min", None: "all"}
        label = labels.get(window_s) or f"{window_s:g} s"
        return replace(self.current, window=Window(label, window_s, min(window_s or 90.0, 90.0)))


def sample() -> FakeSession:
    """For pictures."""
    return FakeSession(live(n=60_000, client_count=30))
