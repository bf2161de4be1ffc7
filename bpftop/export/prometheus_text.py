"""Prometheus' text format, version 0.0.4: for scrapers and for node_exporter's textfile collector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bpftop.export.classic import bounds_s, cumulative
from bpftop.export.metrics import Distribution, Family, Labels

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def to_prometheus(families: Sequence[Family]) -> str:
    """The whole page, ended by a line feed. Families without a series are left out."""
    return "".join(line + "\n" for family in families if family.series for line in _family(family))


def _family(family: Family) -> Iterator[str]:
    name = family.full_name
    yield f"# HELP {name} {_escaped(family.help)}"
    yield f"# TYPE {name} {family.kind}"
    for labels, value in family.series:
        if isinstance(value, Distribution):
            yield from _histogram(name, labels, value)
        else:
            yield f"{name}{_labels(labels)} {_number(value)}"


def _histogram(name: str, labels: Labels, value: Distribution) -> Iterator[str]:
    for bound, count in zip(bounds_s(), cumulative(value.histogram), strict=True):
        yield f"{name}_bucket{_labels((*labels, ('le', _number(bound))))} {count}"
    yield f"{name}_bucket{_labels((*labels, ('le', '+Inf')))} {value.count}"
    yield f"{name}_sum{_labels(labels)} {_number(value.sum_s)}"
    yield f"{name}_count{_labels(labels)} {value.count}"


def _labels(labels: Labels) -> str:
    inside = ",".join(f'{name}="{_quoted(value)}"' for name, value in labels)
    return f"{{{inside}}}" if inside else ""


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _number(value: float) -> str:
    """A whole number without a point, any other with all its digits."""
    return str(int(value)) if value == int(value) else repr(float(value))
