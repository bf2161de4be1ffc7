"""The options of the plugin as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from bpftop.pytest_plugin.kept import Reports, load
from bpftop.pytest_plugin.limits import growth

DEFAULT_THRESHOLDS: Mapping[str, float] = {"p99": 0.2}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user asked for."""

    mode: str
    """``auto``, ``require``, ``simulate`` or ``off``."""
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
        save, compare, fail = (config.getoption(f"bpftop_{word}") for word in ("save", "compare", "compare_fail"))
        if fail and compare is None:
            raise pytest.UsageError("--bpftop-compare-fail needs a file to compare with: --bpftop-compare FILE")
        if save is not None and not Path(save).absolute().parent.is_dir():
            raise pytest.UsageError(f"--bpftop-save {save}: there is no such directory")
        return cls(
            mode=config.getoption("bpftop"),
            save=save,
            base=None if compare is None else load(compare),
            thresholds=dict(map(growth, fail)) if fail else DEFAULT_THRESHOLDS,
            target=str(config.getini("bpftop_target") or ""),
            workers=getattr(config, "workerinput", {}).get("workercount", 1),
        )
