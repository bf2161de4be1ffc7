"""Prometheus' protobuf format (io.prometheus.client.MetricFamily, delimited): the one that carries native histograms.

Field numbers are those of prometheus/client_model, metrics.proto. The messages are few and flat, so they are written
here, by the rules of protobuf's wire format, instead of depending on a library.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from bpftop.export.classic import bounds_s, cumulative
from bpftop.export.exponential import SCHEMA, exponential
from bpftop.export.metrics import Distribution, Family, Labels

CONTENT_TYPE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
_TYPES = {"counter": 0, "gauge": 1, "histogram": 4}
_VALUES = {"gauge": 2, "counter": 3}
_ZERO_THRESHOLD = 2.0**-128
"""Prometheus' own default: nothing but 0 is that small."""


def accepted(accept: str) -> bool:
    """Whether an Accept header names this format."""
    wanted = [part.replace(" ", "").lower() for part in accept.split(",")]
    names = ("application/vnd.google.protobuf", "proto=io.prometheus.client.metricfamily", "encoding=delimited")
    return any(set(names) <= set(part.split(";")) and ";q=0;" not in f"{part};" for part in wanted)


def to_protobuf(families: Sequence[Family]) -> bytes:
    """The whole page."""
    messages = (_family(family) for family in families if family.series)
    return b"".join(_varint(len(message)) + message for message in messages)


def _family(family: Family) -> bytes:
    head = _text(1, family.full_name) + _text(2, family.help) + _whole(3, _TYPES[family.kind])
    return head + b"".join(_inner(4, _metric(family, labels, value)) for labels, value in family.series)


def _metric(family: Family, labels: Labels, value: float | Distribution) -> bytes:
    pairs = b"".join(_inner(1, _text(1, name) + _text(2, text)) for name, text in labels)
    if isinstance(value, Distribution):
        return pairs + _inner(7, _histogram(value))
    return pairs + _inner(_VALUES[family.kind], _double(1, value))


def _histogram(value: Distribution) -> bytes:
    """Classic buckets and native ones side by side: the scraper takes what it knows."""
    classic = b"".join(
        _inner(3, _whole(1, count) + _double(2, bound))
        for bound, count in zip(bounds_s(), cumulative(value.histogram), strict=True)
    )
    native = exponential(value.histogram)
    message = _whole(1, value.count) + _double(2, value.sum_s) + classic
    message += _whole(5, _zigzag(SCHEMA)) + _double(6, _ZERO_THRESHOLD) + _whole(7, native.zeros)
    # Without a span Prometheus takes a histogram for a classic one.
    message += _inner(12, _whole(1, _zigzag(native.first)) + _whole(2, len(native.counts)))
    deltas = (now - before for before, now in zip((0, *native.counts), native.counts, strict=False))
    return message + _inner(13, b"".join(_varint(_zigzag(delta)) for delta in deltas))


# --- protobuf's wire format -------------------------------------------------------------------------------------------


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _whole(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _inner(field: int, message: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(message)) + message


def _text(field: int, text: str) -> bytes:
    return _inner(field, text.encode("utf-8", "replace"))
