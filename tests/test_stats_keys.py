"""The names of keys, and counters beside latencies in the store."""

from __future__ import annotations

import ipaddress
import socket

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpftop import wire
from bpftop.model import EventStream, Measure
from bpftop.stats.keys import KeyNames
from bpftop.stats.store import Store
from bpftop.stats.tick import TickData

SECOND = 10**9


def words_of(data: bytes, first: int | None = None) -> tuple[int, ...]:
    """Eight words as the kernel side reads them from memory."""
    raw = data.ljust(64, b"\0")
    words = [int.from_bytes(raw[i : i + 8], "little") for i in range(0, 64, 8)]
    return tuple(words if first is None else [first, *words[:7]])


def peer_words(address: str, port: int) -> tuple[int, ...]:
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv4Address):
        return (socket.AF_INET, wire.client_code(address), 0, port, 0, 0, 0, 0)
    return (socket.AF_INET6, *wire.halves(ip), port, 0, 0, 0, 0)


UNKNOWN = wire.client_code("2001:db8::7")


def key(kind: str, *labels: str) -> Measure:
    return Measure("m", "M", "start", "end", key=kind, labels=labels)


@pytest.mark.parametrize(
    ("kind", "code", "words", "name"),
    [
        ("client", wire.client_code("10.1.2.3"), None, "10.1.2.3"),
        ("client", UNKNOWN, None, f"ipv6#{UNKNOWN & ~wire.IPV6_BIT:012x}"),
        ("peer", 7, peer_words("10.0.0.1", 8080), "10.0.0.1:8080"),
        ("peer", 7, peer_words("2001:db8::1", 443), "[2001:db8::1]:443"),
        ("peer", 7, peer_words("::ffff:10.0.0.1", 80), "10.0.0.1:80"),
        ("peer", 7, words_of(b"/run/php.sock", first=socket.AF_UNIX), "unix:/run/php.sock"),
        ("peer", 7, words_of(b"\0abstract", first=socket.AF_UNIX), "unix:@abstract"),
        ("peer", 7, None, "#7"),
        ("route", 9, words_of(b"GET /api"), "GET /api"),
        ("route", 9, words_of(b"GET /\xff\x1b[2J"), "GET /??[2J"),
        ("route", 9, None, "#9"),
        ("pid", 42, None, "nginx 42"),
        ("tid", 43, None, "43"),
    ],
)  # fmt: skip
def test_a_key_is_named_by_its_kind(kind: str, code: int, words: tuple[int, ...] | None, name: str) -> None:
    names = KeyNames({42: "nginx"}.get)  # type: ignore[arg-type]
    if words is not None:
        names.learn({}, {code: words})
    assert names.name(key(kind), code) == name


def test_labels_begin_at_one() -> None:
    names = KeyNames()
    assert [names.name(key("label", "open", "close"), code) for code in (1, 2, 3)] == ["open", "close", "#3"]


def test_a_process_keeps_its_name_when_it_is_gone() -> None:
    alive = {7: "worker"}
    names = KeyNames(lambda pid: alive.get(pid, ""))
    assert names.of_kind("pid", 7) == "worker 7"
    alive.clear()
    assert names.of_kind("pid", 7) == "worker 7"


@given(st.binary(max_size=64))
def test_any_memory_makes_a_text(data: bytes) -> None:
    names = KeyNames()
    names.learn({}, {1: words_of(data)})
    said = names.of_kind("route", 1)
    said.encode()  # no half characters
    assert "\0" not in said


def test_a_counter_has_counts_and_no_times() -> None:
    timed, counted = Measure("connect_latency", "C", "a", "b", key="peer"), Measure("resets", "R", "", "", unit="count")
    stream = EventStream("connect", "connect_latency", ("timestamp_ns", "latency_ns", "peer", "pid"))
    store = Store((timed, counted), (stream,), 65_536)
    store.started(SECOND)
    client = wire.client_code("10.0.0.9")
    keys = np.array([wire.counts_key(1, 700), wire.counts_key(2, 0)], np.uint64)
    per_key = np.array([wire.clients_key(5, 1, 175), wire.clients_key(client, 2, 0)], np.uint64)
    names = {5: peer_words("10.0.0.1", 80)}
    records = ((1, (2 * SECOND - 5, 900, 5, 77)),)
    store.ingest(TickData(2 * SECOND, keys, np.array([3, 4]), per_key, np.array([3, 4]), names=names, records=records))
    store.ingest(TickData(3 * SECOND, keys, np.array([3, 6]), per_key[1:], np.array([2])))
    assert list(store.measures(None)) == ["connect_latency"]
    row = store.measures(None)["connect_latency"].clients[0]
    assert (row.client, row.count) == ("10.0.0.1:80", 3)
    assert row.total_ns is not None
    assert row.p50_ns is not None
    assert row.total_ns == 3 * row.p50_ns
    resets = store.counters(None)["resets"]
    assert (resets.count, resets.rate_per_s) == (6, 3.0)
    assert [(r.client, r.count, r.p50_ns, r.max_ns, r.total_ns) for r in resets.rows] == [
        ("10.0.0.9", 6, None, None, None)
    ]
    slow = store.slow(None, 0)[0]
    assert (slow.client, slow.texts, slow.fields) == ("", {"peer": "10.0.0.1:80"}, {"pid": 77})


def test_addresses_of_one_site_have_codes_of_their_own() -> None:
    """Networks and hosts are counted up in the last bytes of each half of an address."""
    addresses = [f"2001:db8:0:{network:x}::{host:x}" for network in range(100) for host in range(1, 101)]
    assert len({wire.client_code(each) for each in addresses}) == len(addresses)
