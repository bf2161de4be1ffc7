"""What each script takes from a saturated nginx: measured by ``make bench-scripts``, kept in ``bt/costs.json``.

The only place of these figures: warnings, ``bpftop scripts`` and the tables of the documentation are made from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bpftop.errors import ScriptError
from bpftop.model import Cost, Script

WARN_BELOW = 0.95
"""A script that leaves less of a saturated nginx's requests/s says so before it starts."""
_FILE = "costs.json"
_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Costs:
    """One measurement of all scripts."""

    runs: tuple[str, ...]
    """How it was measured, a sentence for each kind of load."""
    scripts: Mapping[str, Cost]
    """By the name of the script."""


def read(folder: Path) -> Costs:
    """What is kept beside the scripts in ``folder``. Raises ScriptError when it is missing or damaged."""
    path = folder / _FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        scripts = {name: _cost(**row) for name, row in data["scripts"].items()}
        return Costs(tuple(data["runs"]), scripts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"{path}: the measured costs of the scripts cannot be read: {error}"
        raise ScriptError(why, "pip install --force-reinstall bpftop") from error


def write(folder: Path, costs: Costs) -> None:
    """Keep them beside the scripts in ``folder``."""
    rows = {name: asdict(cost) for name, cost in costs.scripts.items()}
    lines = [f'  "{name}": {json.dumps(row)}' for name, row in rows.items()]
    runs = ",\n  ".join(json.dumps(each, ensure_ascii=False) for each in costs.runs)
    text = f'{{"runs": [\n  {runs}\n],\n"scripts": {{\n' + ",\n".join(lines) + "\n}}\n"
    (folder / _FILE).write_text(text, encoding="utf-8")


def warning(cost: Cost) -> str:
    """What is said before the script starts: ``37 % (35 to 38 %) of …``; empty when it takes 5 % or less."""
    if cost.rate[0] >= WARN_BELOW:
        return ""
    taken, least, most = (f"{(1 - each) * 100:.0f}" for each in (cost.rate[0], cost.rate[2], cost.rate[1]))
    said = (
        f"{taken} % ({least} to {most}) of the requests/s of a saturated nginx, {cost.added_us[0]:.1f} us of CPU each"
    )
    return said if cost.ns_per_hit is None else f"{said}, {cost.ns_per_hit:.0f} ns a hit"


def warnings(scripts: Sequence[Script]) -> list[str]:
    """What is said before these scripts start; one sentence for all that were measured, so that it is read."""
    dear = [each for each in scripts if each.cost]
    alike = [each for each in dear if each.measured is not None]
    if len(alike) < 2:
        return [f"{each.name} costs {each.cost}" for each in dear]
    shares = ", ".join(f"{each.name} {_taken(each.measured)}" for each in alike if each.measured)
    together = f"of the requests/s of a saturated nginx the scripts take: {shares} (bpftop scripts)"
    return [together, *(f"{each.name} costs {each.cost}" for each in dear if each not in alike)]


def told(script: Script) -> str:
    """What it costs in words, also when that needs no warning; empty when nobody measured it."""
    if script.cost or script.measured is None:
        return script.cost
    return f"5 % or less: a saturated nginx keeps {_interval(script.measured.rate)} of its requests/s"


def _taken(cost: Cost) -> str:
    return f"{(1 - cost.rate[0]) * 100:.0f} %"


def cells(cost: Cost) -> tuple[str, str, str, str]:
    """Its row of a table: requests/s, added CPU time, CPU time, ns per hit."""
    hit = "–" if cost.ns_per_hit is None else f"{cost.ns_per_hit:.0f}"
    return _interval(cost.rate), _interval(cost.added_us), _interval(cost.cpu), hit


def rounded(values: Iterable[float]) -> tuple[float, float, float]:
    """A median and its bounds with the digits that are kept."""
    median, low, high = (round(float(each), _DIGITS) for each in values)
    return median, low, high


def _cost(rate: list[float], added_us: list[float], cpu: list[float], ns_per_hit: float | None) -> Cost:
    hit = None if ns_per_hit is None else float(ns_per_hit)
    return Cost(rounded(rate), rounded(added_us), rounded(cpu), hit)


def _interval(values: tuple[float, float, float]) -> str:
    """As ``0.86 (0.84 to 0.88)``."""
    median, low, high = (f"{each:.2f}" for each in values)
    return f"{median} ({low} to {high})"
