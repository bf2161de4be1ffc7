"""What a simulation really was beside what bpftop says of it: counts, exact quantiles, and the error in percent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bpftop import units
from bpftop.model import ClientRow, Measure, Snapshot, Summary
from bpftop.text import safe
from bpftop.tracer.simulate.truth import Observed, Truth, quantile

FIGURES = {"p50_ns": 0.5, "p90_ns": 0.9, "p95_ns": 0.95, "p99_ns": 0.99, "p999_ns": 0.999, "max_ns": 1.0}
OTHERS = "others"
_TITLES = ("p50", "p90", "p95", "p99", "p99.9", "max")


@dataclass(frozen=True, slots=True)
class Checked:
    """One measure or counter: what was, what is said. Figures by name; None where there is none."""

    measure: Measure
    true: dict[str, int | None]
    said: dict[str, int | None]
    keys: int
    """How many rows of its table were compared, all but ``others``."""
    wrong_counts: int
    """How many of them have another count than the truth, or a larger one where a part may be in ``others``."""
    partial: int
    """How many of them have a part of their observations in ``others``."""
    worst: dict[str, float]
    """The largest error of a row that is whole, in percent, for ``p50_ns`` and ``p99_ns``."""

    def error(self, name: str) -> float | None:
        """The error of a figure in percent of the truth, with its sign."""
        return _error(self.said[name], self.true[name])


def check(snapshot: Snapshot, truth: Truth) -> list[Checked]:
    """Every figure of a snapshot over the whole run beside the truth of the run."""
    found = []
    for name, measure in snapshot.measures.items():
        found.append(_checked(truth, truth.figures[name], _of_summary(measure.summary), measure.clients))
    for name, counter in snapshot.counters.items():
        found.append(_checked(truth, truth.figures[name], {"count": counter.count}, counter.rows))
    return found


def _checked(truth: Truth, observed: Observed, said: dict[str, int | None], rows: Sequence[ClientRow]) -> Checked:
    timed = observed.measure.unit == "ns"
    true: dict[str, int | None] = {"count": observed.count}
    if timed:
        values = observed.values_ns
        true |= {name: quantile(values, q) if observed.count else None for name, q in FIGURES.items()}
    by_key = truth.by_key(observed.measure.name) if rows else {}
    compared = [row for row in rows if row.client != OTHERS]
    missing = [len(by_key.get(row.client, ())) - row.count for row in compared]
    folded = len(compared) < len(rows)
    wrong = sum(n < 0 or (n > 0 and not folded) for n in missing)
    whole = [row for row, n in zip(compared, missing, strict=True) if n == 0]
    worst = {"p50_ns": 0.0, "p99_ns": 0.0} if timed and whole else {}
    for name in worst:
        errors = (_error(getattr(row, name), quantile(by_key[row.client], FIGURES[name])) for row in whole)
        worst[name] = max(abs(error or 0.0) for error in errors)
    partial = sum(n > 0 for n in missing) if folded else 0
    return Checked(observed.measure, true, said, len(compared), wrong, partial, worst)


def _of_summary(summary: Summary) -> dict[str, int | None]:
    return {"count": summary.count, **{name: getattr(summary, name) for name in FIGURES}}


def _error(said: int | None, true: int | None) -> float | None:
    return None if said is None or not true else (said - true) / true * 100


def truth_json(snapshot: Snapshot, truth: Truth, seed: int) -> dict[str, Any]:
    """For JSON: by figure ``true``, ``said``, ``error_percent``, and ``keys``, its table in short."""
    return {"scenario": snapshot.target.spec, "seed": seed, "figures": {
        each.measure.name: {
            "true": each.true,
            "said": {name: None if value is None else int(value) for name, value in each.said.items()},
            "error_percent": {name: _rounded(each.error(name)) for name in each.true},
            "keys": {
                "compared": each.keys,
                "wrong_counts": each.wrong_counts,
                "partial": each.partial,
                **{f"{name.removesuffix('_ns')}_error_percent": round(error, 3) for name, error in each.worst.items()},
            },
        }
        for each in check(snapshot, truth)
    }}  # fmt: skip


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def truth_text(snapshot: Snapshot, truth: Truth, seed: int) -> str:
    """For people: three lines for each measure with observations, one for each counter; ended by a line feed."""
    checked = check(snapshot, truth)
    lines = [f"Truth of {snapshot.target.spec}, seed {seed}: exact, nearest rank over every simulated value"]
    lines.append(f"{'':24} {'n':>7}" + "".join(f"{title:>8}" for title in _TITLES))
    for each in checked:
        if each.measure.unit == "ns" and each.true["count"]:
            lines += _measure(each)
    lines += ["", *(_counter(each) for each in checked if each.measure.unit != "ns")]
    none = [each.measure.title for each in checked if each.measure.unit == "ns" and not each.true["count"]]
    lines += [f"no observations, and none said: {safe(title, 40)}" for title in none]
    return "\n".join(line.rstrip() for line in lines).rstrip() + "\n"


def _measure(each: Checked) -> Iterator[str]:
    title = safe(each.measure.title, 19)
    for name, word, figures in ((title, "true", each.true), ("", "said", each.said)):
        times = "".join(f"{units.duration(figures[figure]):>8}" for figure in FIGURES)
        yield f"{name:19} {word:5}{figures['count'] or 0:>7}{times}"
    errors = "".join(f"{_percent(each.error(figure)):>8}" for figure in FIGURES)
    yield f"{'':19} {'error':5}{_percent(each.error('count')):>7}{errors}"
    if each.keys:
        parts = ["counts exact" if not each.wrong_counts else f"{each.wrong_counts} counts differ"]
        if each.partial:
            parts[0] = f"{each.partial} in part among others"
        parts += [f"{name.removesuffix('_ns')} within {error:.1f} %" for name, error in each.worst.items()]
        yield f"  by {each.measure.key}: {each.keys} compared, {', '.join(parts)}"


def _counter(each: Checked) -> str:
    same = "exact" if each.true == each.said else "DIFFERENT"
    return f"{safe(each.measure.title, 30):30} true {each.true['count']}, said {each.said['count']}: {same}"


def _percent(value: float | None) -> str:
    return "–" if value is None else "0 %" if value == 0 else f"{value:+.2f}%"
