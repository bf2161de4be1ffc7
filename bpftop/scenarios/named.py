"""The named scenarios. All are one site: nginx with four workers before two application servers and PHP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bpftop.scenarios.parts import MS, US, Clients, Route, Scenario, Stalls, Upstream

ITEMS, SEARCH, CART, LOGIN = "GET /api/items/{}", "GET /api/search", "POST /api/cart", "POST /login"
HOME, STYLE, HEALTH, REPORTS = "GET /", "GET /static/app.css", "GET /health", "GET /reports/{}"
FLOODED = "POST /xmlrpc.php"
APP_1, APP_2, PHP = "10.0.0.21:9000", "10.0.0.22:9000", "unix:/run/php/php8.2-fpm.sock"

_UPSTREAMS = (
    Upstream(APP_1, 8 * MS, 0.35),
    Upstream(APP_2, 14 * MS, 0.35),
    Upstream(PHP, 5 * MS, 0.3, reconnects=1.0),
)
_ROUTES = (
    Route(HOME, 110 * US),
    Route(STYLE, 90 * US, is_file=True, last_part_ns=300 * US),
    Route(ITEMS, 100 * US, upstream=APP_1),
    Route(CART, 120 * US, upstream=APP_1),
    Route(SEARCH, 100 * US, upstream=APP_2),
    Route(LOGIN, 120 * US, upstream=PHP),
    Route(HEALTH, 45 * US),
)
_SHOP: Mapping[str, float] = {HOME: 0.28, STYLE: 0.25, ITEMS: 0.28, CART: 0.05, SEARCH: 0.1, LOGIN: 0.04}
_CLIENTS = (
    Clients("192.0.2.10", 24, 220, _SHOP, rtt_ns=12 * MS),
    Clients("198.51.100.40", 8, 70, _SHOP, keep_alive=False, rtt_ns=48 * MS),
    Clients("2001:db8:7::10", 6, 40, _SHOP, rtt_ns=18 * MS),
    Clients("10.0.0.5", 1, 2, {HEALTH: 1.0}, keep_alive=False, rtt_ns=300 * US),
)

HEALTHY = Scenario(
    "healthy",
    "a site in good health: nothing to report, for ever",
    (
        "Overview: request latency about 0.1 ms where nginx answers itself, 5 to 40 ms where it asks others",
        "read queue latency stays far below 1 ms: nobody waits to be read",
        "Clients: nobody stands out; Slow requests: all clients, the routes that ask an application server",
    ),
    _CLIENTS,
    _ROUTES,
    _UPSTREAMS,
)

SLOW_UPSTREAM = replace(
    HEALTHY,
    name="slow-upstream",
    summary=f"{APP_1}, one of three upstreams, takes 240 ms",
    look=(
        "Overview: request latency is high at p90 and p99, read queue latency is not: the server waits for somebody",
        f"--with upstream: {APP_1} has p50 about 240 ms, {APP_2} still 14 ms: one upstream is to blame",
        "--with http: only /api/items/:id and /api/cart are slow; some answers are 504, some clients give up",
        "--with tcp: connecting to it is quick, so it is not the network; --with scheduler: run queues are short",
    ),
    upstreams=(replace(_UPSTREAMS[0], latency_ns=240 * MS, failed=0.15), *_UPSTREAMS[1:]),
    routes=tuple(
        replace(route, statuses={504: 0.02}, unanswered=0.01) if route.upstream == APP_1 else route for route in _ROUTES
    ),
)

NOISY_CLIENT = replace(
    HEALTHY,
    name="noisy-client",
    summary="one address sends 40 % of the requests, nearly all slow ones",
    look=(
        "Clients: 203.0.113.66 has by far the most requests, and the highest p50 and p99",
        "Slow requests: nearly all are from it; the others are served as ever",
        "--with http: it asks for /reports/:id, which takes 90 ms; --with upstream: so does the server behind it",
    ),
    clients=(*_CLIENTS, Clients("203.0.113.66", 1, 220, {REPORTS: 1.0}, keep_alive=False, rtt_ns=30 * MS)),
    routes=(*_ROUTES, Route(REPORTS, 150 * US, upstream="10.0.0.30:8000", last_part_ns=6 * MS)),
    upstreams=(*_UPSTREAMS, Upstream("10.0.0.30:8000", 90 * MS, 0.3, last_part_ns=5 * MS)),
)

STALLED_WORKER = replace(
    HEALTHY,
    name="stalled-worker",
    summary="one of four workers stands still again and again: its disk",
    look=(
        "Overview: read queue latency p99 is about 0.4 s, p50 is not: some requests wait long to be read",
        "--with eventloop: one worker thread (4244) has stalls of 0.45 s, the others have none",
        "Slow requests, v for other kinds: the longest call in each stall was fsync",
        "--with syscalls: fsync takes as long; --with disk: so do the flushes of the disk",
        "--with scheduler: run queues are short, so it is not the CPU; that thread is blocked",
        "--with upstream: the application servers answer as ever",
    ),
    stalls=Stalls(tuple((0.4 + 1.25 * i, 0.45) for i in range(24)), 0.2, worker=1, syscall="fsync"),
)

BIMODAL = replace(
    HEALTHY,
    name="bimodal",
    summary="a cache: hits take 0.2 ms, misses 40 ms, nothing between",
    look=(
        "Latency: two humps, one at 0.2 ms and one at 40 ms, and nothing between",
        "Heat map: two bands; p50 lies in one of them, p90 in the other",
        "--with http: /products/:id is nearly always a hit, /category/:id every other time, /compare/:id seldom",
        "--with upstream: far fewer requests reach the application server than the clients send",
    ),
    clients=tuple(
        replace(group, routes={"GET /products/{}": 0.55, "GET /category/{}": 0.25, "GET /compare/{}": 0.1, HOME: 0.1})
        if len(group.routes) > 1
        else group
        for group in _CLIENTS
    ),
    routes=(
        Route(HOME, 110 * US),
        Route(HEALTH, 45 * US),
        Route("GET /products/{}", 180 * US, upstream=APP_1, hits=0.9),
        Route("GET /category/{}", 200 * US, upstream=APP_1, hits=0.5),
        Route("GET /compare/{}", 220 * US, upstream=APP_1, hits=0.1),
    ),
    upstreams=(Upstream(APP_1, 40 * MS, 0.2),),
)

FLOOD = replace(
    HEALTHY,
    name="flood",
    summary="130,000 addresses, 7,000 requests/s: workers hardly keep up",
    look=(
        "Overview: thousands of requests a second; read queue and accept queue latency are high for everybody",
        "Clients: no address has many requests, the row others has nearly all: no single client is to blame",
        "--with http: POST /xmlrpc.php is answered 503 a third of the time; --with tcp: retransmits and resets",
        "--with eventloop: the workers hardly ever wait; --with scheduler: long run queues",
    ),
    clients=(
        *(replace(group, rate_per_s=group.rate_per_s / 3) for group in _CLIENTS),
        Clients("198.18.0.1", 120_000, 6500, {FLOODED: 1.0}, keep_alive=False, rtt_ns=90 * MS, retransmits=0.03,
                resets=0.05),
        Clients("2001:db8:f::1", 10_000, 500, {FLOODED: 1.0}, keep_alive=False, rtt_ns=90 * MS, retransmits=0.03,
                resets=0.05),
    ),
    routes=(*_ROUTES, Route(FLOODED, 460 * US, statuses={503: 0.33})),
    run_queue_ns=250 * US,
)  # fmt: skip

NAMED: Mapping[str, Scenario] = {
    each.name: each for each in (HEALTHY, SLOW_UPSTREAM, NOISY_CLIENT, STALLED_WORKER, BIMODAL, FLOOD)
}
