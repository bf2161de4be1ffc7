"""The options of the plugin as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from bpftop.pytest_plugin.kept import Reports, load
from bpftop.pytest_plugin.limits import growth

MODES = ("auto", "require", "simulate", "off")
DEFAULT_THRESHOLDS: Mapping[str, float] = {"p99": 0.2}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user asked for."""

    mode: str
    """``auto``, ``require``, ``simulate`` or ``off``."""
    scenario: str
    """What is simulated; empty when nothing is."""
    save: Path | None
    base: Reports | None
    """The figures to compare with."""
    thresholds: Mapping[str, float]
    target: str
    """Of the ini file."""
    workers: int
    """How many pytest-xdist runs."""

    @classmethod
    def of(cls, config: pytest.Config) -> Settings:
        """From the command line and the ini file. Raises pytest.UsageError."""
        mode, scenario = mode_of(config.getoption("bpftop"))
        save, compare, fail = (config.getoption(f"bpftop_{word}") for word in ("save", "compare", "compare_fail"))
        if fail and compare is None:
            raise pytest.UsageError("--bpftop-compare-fail needs a file to compare with: --bpftop-compare FILE")
        if save is not None and not Path(save).absolute().parent.is_dir():
            raise pytest.UsageError(f"--bpftop-save {save}: there is no such directory")
        return cls(
            mode=mode,
            scenario=scenario,
            save=save,
            base=None if compare is None else load(compare),
            thresholds=dict(map(growth, fail)) if fail else DEFAULT_THRESHOLDS,
            target=str(config.getini("bpftop_target") or ""),
            workers=getattr(config, "workerinput", {}).get("workercount", 1),
        )


def mode_of(word: str) -> tuple[str, str]:
    """``simulate:noisy-client`` as the mode and the scenario. Raises pytest.UsageError."""
    from bpftop import scenarios
    from bpftop.errors import BpftopError

    mode, _, name = word.partition(":")
    if mode not in MODES or (name and mode != "simulate"):
        raise pytest.UsageError(f"--bpftop={word}: there are {', '.join(MODES)} and simulate:SCENARIO")
    try:
        scenarios.named(name or scenarios.DEFAULT)
    except BpftopError as error:
        raise pytest.UsageError(f"--bpftop={word}: {error.message}") from error
    return mode, (name or scenarios.DEFAULT) if mode == "simulate" else ""
