"""From a path to a run, by the first line of the file. Whatever is in it, the answer is a run or a sentence."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import BinaryIO

from bpftop.compare.model import Run
from bpftop.compare.recordings import read_recording
from bpftop.compare.reports import read_report
from bpftop.compare.samples import COLUMN, read_samples
from bpftop.compare.snapshots import read_snapshot, snapshot_stem
from bpftop.errors import FileError
from bpftop.recording.files import is_recording
from bpftop.text import safe

_LONGEST_HEADER = 1 << 16
_HINT = "bpftop report nginx -d 30 --format json > FILE"


def read_run(path: Path) -> Run:
    """The distributions in a file: recording, CSV of samples, snapshot, report as JSON. Raises FileError."""
    shown = safe(str(path))
    if is_recording(path):
        return read_recording(path)
    if stem := snapshot_stem(path):
        return read_snapshot(stem)
    try:
        with open_file(path) as file:
            return _by_first_line(shown, file)
    except FileError as error:
        raise FileError(error.message, error.hint or _HINT) from error
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        raise FileError(
            f"{shown} cannot be read: {getattr(error, 'strerror', None) or error}", "bpftop compare --help"
        ) from error


def open_file(path: Path) -> BinaryIO:
    """The file, or a pipe: anything but a directory. Raises OSError."""
    return open(os.fspath(path), "rb", buffering=1 << 20)


def _by_first_line(path: str, file: BinaryIO) -> Run:
    first = file.readline(_LONGEST_HEADER)
    if not first.strip():
        rest = file.read(1)
        raise FileError(f"{path} is empty" if not first and not rest else f"{path} begins with an empty line")
    if first.lstrip()[:1] in (b"{", b"["):
        return read_report(path, first + file.read())
    header = _header(first)
    if COLUMN in header:
        return read_samples(path, file, header)
    if "p99_ns" in header:
        raise FileError(f"{path} has percentiles only: a comparison needs the counts behind them, as in JSON")
    said = safe(first[:60].decode("utf-8", "replace").strip(), 40)
    raise FileError(f"{path} has no column {COLUMN}, is no snapshot and no report as JSON; it begins: {said}")


def _header(line: bytes) -> list[str]:
    try:
        return next(csv.reader([line.decode("utf-8-sig", "replace").rstrip("\r\n")]), [])
    except csv.Error:
        return []
