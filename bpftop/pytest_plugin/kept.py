"""The figures of a test session as a file: saved by one run, compared with by a later one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

SCHEMA = "bpftop-pytest/1"
Reports: TypeAlias = "dict[str, dict[str, Any]]"
"""By the id of the test, by target and measure: what ``bpftop report --format json`` would have said."""


def save(path: Path, tests: Reports) -> None:
    """Write the file, in the place of an older one. Raises FileError."""
    from bpftop.export.files import replace

    replace(path, json.dumps({"schema": SCHEMA, "tests": tests}, indent=1) + "\n")


def load(path: Path) -> Reports:
    """Read such a file. Raises pytest.UsageError."""
    try:
        found: object = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise pytest.UsageError(f"--bpftop-compare {path}: {error.strerror}; --bpftop-save makes one") from error
    except (ValueError, RecursionError) as error:
        raise pytest.UsageError(f"--bpftop-compare {path}: it is no JSON ({error})") from error
    tests = found.get("tests") if isinstance(found, dict) and found.get("schema") == SCHEMA else None
    if not isinstance(tests, Mapping) or not all(isinstance(reports, dict) for reports in tests.values()):
        raise pytest.UsageError(f"--bpftop-compare {path}: it was not made by --bpftop-save")
    return dict(tests)
