"""Numbers as people read them: one rule for the screen, the report and the messages."""

from __future__ import annotations


def duration(ns: float | None) -> str:
    """Three significant digits with a unit, at most 7 cells: ``842 ns``, ``1.84 ms``, ``12.0 s``, ``–`` for none."""
    if ns is None or ns != ns:
        return "–"
    if ns < 999.5:
        return f"{_three(ns)} ns"
    if ns < 999.5e3:
        return f"{_three(ns / 1e3)} µs"
    if ns < 999.5e6:
        return f"{_three(ns / 1e6)} ms"
    return f"{_three(ns / 1e9)} s" if ns < 99.95e9 else f"{ns / 60e9:.0f} min"


def count(n: float) -> str:
    """A count in at most 6 cells: ``9999``, ``12.3k``, ``1.84M``."""
    if n < 10_000:
        return f"{n:.0f}"
    for limit, divisor, suffix in ((1e6, 1e3, "k"), (1e9, 1e6, "M"), (1e12, 1e9, "G")):
        if n < limit * 0.9995:
            return f"{_three(n / divisor)}{suffix}"
    return f"{n / 1e12:.3g}T"


def size(octets: float) -> str:
    """Bytes: ``840 B``, ``12.3 kB``, ``1.84 MB``."""
    for limit, divisor, unit in ((1e3, 1, "B"), (1e6, 1e3, "kB"), (1e9, 1e6, "MB")):
        if octets < limit * 0.9995:
            return f"{octets:.0f} B" if divisor == 1 else f"{_three(octets / divisor)} {unit}"
    return f"{octets / 1e9:.3g} GB"


def rate(per_s: float) -> str:
    """Events per second: ``0.5/s``, ``12.3k/s``; one a minute is ``0.02/s``, not nothing."""
    if 0 < per_s < 0.095:
        return f"{per_s:.2f}/s" if per_s >= 0.005 else "<.01/s"
    if per_s < 10:
        return f"{per_s:.1f}/s"
    return f"{count(per_s)}/s"


def percent(share: float) -> str:
    """A share of 1 as a percentage: ``92 %``, ``0.4 %``."""
    value = share * 100
    return f"{value:.0f} %" if value >= 9.95 or value == 0 else f"{value:.1f} %"


def span(seconds: float) -> str:
    """A length of time for people: ``12 s``, ``3 min``, ``2 h 05 min``."""
    whole = int(seconds)
    if whole < 100:
        return f"{whole} s"
    if whole < 6000:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _three(value: float) -> str:
    """Three significant digits of 0 <= value < 1000, without an exponent."""
    if value < 9.995:
        return f"{value:.2f}" if value != int(value) or value >= 1 else f"{value:.0f}"
    if value < 99.95:
        return f"{value:.1f}"
    return f"{value:.0f}"
