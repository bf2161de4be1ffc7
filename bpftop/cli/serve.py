"""``bpftop serve TARGET``: watch without a screen, for Prometheus that scrapes and for OpenTelemetry that is told."""

from __future__ import annotations

import argparse
import ipaddress
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from bpftop.cli.growing import grown
from bpftop.cli.host import narrate
from bpftop.cli.live import given_target, live
from bpftop.cli.report import Teller, raise_if_failed
from bpftop.cli.stop import INTERRUPTED, Stop, ctrl_c
from bpftop.errors import UsageError

if TYPE_CHECKING:
    from bpftop.ensemble import Ensemble
    from bpftop.export.metrics import Family
    from bpftop.export.otlp import OtlpSender
    from bpftop.export.scrape import Answer, ScrapeServer
    from bpftop.session import Session

DEFAULT_PORT = 9797
TOP_WINDOW_S = 60.0
POLL_S = 0.5
FIRST_S = 2.0
"""The first figures are sent this soon after the start."""


def serve(options: argparse.Namespace) -> int:
    """Watch until ctrl+c; the exit code. Raises HostError when bpftrace ends, UsageError for wrong addresses."""
    given_target(options)
    exporter = Exporter(options.client_labels)
    with (
        _listening(options, exporter) as server,
        _sending(options) as sender,
        ctrl_c() as stop,
        live(options, say_absent=_say_waiting) as first,
        grown(first, options) as session,
    ):
        exporter.session = session
        if server is not None:
            narrate(f"serving {server.url}/metrics")
        _until(stop, session, exporter, sender, options.interval)
    return INTERRUPTED


def _say_waiting(why: str) -> None:
    narrate(f"{why}; waiting for it")


class Exporter:
    """The figures of a session for everybody who asks."""

    def __init__(self, clients: int) -> None:
        from bpftop.export.metrics import Rising

        self.session: Session | Ensemble | None = None
        self._clients = clients
        self._rising = Rising()
        self._lock = threading.Lock()

    def families(self) -> list[Family]:
        """Everything since the start; nothing before it."""
        from bpftop.export.metrics import families

        if self.session is None:
            return []
        with self._lock:
            top = self.session.snapshot(TOP_WINDOW_S).running() if self._clients else None
            return families(self.session.snapshot(None), self._rising, top, self._clients)

    def metrics(self, accept: str) -> Answer:
        """The page for a scraper."""
        from bpftop.export import prometheus_proto, prometheus_text
        from bpftop.export.scrape import Answer

        if prometheus_proto.accepted(accept):
            return Answer(prometheus_proto.CONTENT_TYPE, prometheus_proto.to_protobuf(self.families()))
        return Answer(prometheus_text.CONTENT_TYPE, prometheus_text.to_prometheus(self.families()).encode())

    def health(self) -> Answer:
        """200 while the kernel reports, else 503 with the reason."""
        from bpftop.export.scrape import TEXT, Answer
        from bpftop.model import State

        tracer = self.session.snapshot(10.0).tracer if self.session is not None else None
        if tracer is not None and tracer.state is State.LIVE:
            return Answer(TEXT, b"ok\n")
        said = (tracer.detail or tracer.state.value) if tracer is not None else "starting"
        return Answer(TEXT, f"{said}\n".encode(), HTTPStatus.SERVICE_UNAVAILABLE)


def _until(
    stop: Stop, session: Session | Ensemble, exporter: Exporter, sender: OtlpSender | None, interval_s: float
) -> None:
    """Look after it until somebody stops it; send now and then."""
    over = Teller()
    due, said = time.monotonic() + min(interval_s, FIRST_S), ""
    while not stop.wait(POLL_S):
        snapshot = session.snapshot(10.0)
        raise_if_failed(snapshot)
        over.tell(snapshot)
        if sender is not None and time.monotonic() >= due:
            due = time.monotonic() + interval_s
            why = sender.send(exporter.families(), snapshot.started_unix_ns, time.time_ns())
            if why != said:  # once, not every few seconds
                narrate(f"OTLP: {why}" if why else "OTLP: sent again")
            said = why
    if sender is not None:
        sender.send(exporter.families(), session.snapshot(10.0).started_unix_ns, time.time_ns())


@contextmanager
def _listening(options: argparse.Namespace, exporter: Exporter) -> Iterator[ScrapeServer | None]:
    """The HTTP server, bound before anything else is started; none when only OTLP was asked for."""
    if options.listen is None and options.otlp:
        yield None
        return
    from bpftop.export.scrape import Pages, ScrapeServer, scraping

    host, port = address(options.listen or f"127.0.0.1:{DEFAULT_PORT}")
    server = ScrapeServer(host, port, Pages(exporter.metrics, exporter.health))
    if not ipaddress.ip_address(host).is_loopback:
        narrate(f"anybody who reaches {server.url} can read the figures: there is no password and no encryption")
    with scraping(server):
        yield server


@contextmanager
def _sending(options: argparse.Namespace) -> Iterator[OtlpSender | None]:
    if not options.otlp:
        yield None
        return
    from bpftop.export.otlp import OtlpSender

    sender = OtlpSender(options.otlp, options.target or "demo")
    try:
        yield sender
    finally:
        sender.close()


def address(text: str) -> tuple[str, int]:
    """``127.0.0.1:9797``, ``[::1]:9797``, ``localhost:0`` as host and port. Raises UsageError."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:]+)):(\d{1,5})", text.strip(), re.ASCII)
    host = (match[1] or match[2]) if match else ""
    host = "127.0.0.1" if host == "localhost" else host
    try:
        if match and int(match[3]) < 65536:
            return str(ipaddress.ip_address(host)), int(match[3])
    except ValueError:
        pass
    hint = f"--listen 127.0.0.1:{DEFAULT_PORT}, or --listen 0.0.0.0:{DEFAULT_PORT} for every network"
    raise UsageError(f"{text} is no address to listen on: give an IP address and a port", hint)
