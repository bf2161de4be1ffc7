"""``bpftop run FILE.bt``: any bpftrace program. On a terminal a live screen; with -d, -i or --format to stdout.

stdout is what the program says and counts; what goes on with it is said on stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from bpftop import people
from bpftop.cli.host import host_of, narrate, prepare
from bpftop.cli.look import save_directory, screen_options
from bpftop.cli.stop import INTERRUPTED, Stop, ctrl_c
from bpftop.errors import HostError, Inconclusive, ScriptError, UsageError
from bpftop.preflight import bpftrace_path, bpftrace_version

if TYPE_CHECKING:
    from bpftop.anyscript.model import LogLine, RunSnapshot, UserScript
    from bpftop.anyscript.run import ScriptRun
    from bpftop.people import Person
    from bpftop.supervision.link import Link

POLL_S = 0.05
PATIENCE_S = 2.0
"""After so long it is said why the end takes its time."""
STDERR_LINES = 8


def run(options: argparse.Namespace) -> int:
    """Run the program; the exit code. Raises what is wrong with it, or with the host."""
    if options.file is None:
        raise UsageError("name a bpftrace program", "bpftop run /usr/sbin/bitesize.bt -d 10")
    printed = options.duration or options.interval or options.format
    if not printed:
        _need_terminal(options.file)
    with _started(options) as program:
        return _print(program, options) if printed else _show(program, options)


def _need_terminal(file: str) -> None:
    from bpftop.ui.terminal import refuse_terminal

    try:
        refuse_terminal()
    except UsageError as error:
        raise UsageError(error.message, f"bpftop run {shlex.quote(file)} -d 10") from error


def user_script(options: argparse.Namespace, person: Person | None) -> UserScript:
    """The program, read with the rights of ``person`` where there is one. Raises ScriptError."""
    from bpftop.anyscript.script import read_script
    from bpftop.supervision.drop import acting_as

    with acting_as(person) if person else nullcontext():
        return read_script(options.file, tuple(options.args), person.uid if person else os.getuid())


@contextmanager
def _started(options: argparse.Namespace) -> Iterator[ScriptRun]:
    """The run, started; ended on the way out whatever happens."""
    program = _prepared(options) if options.link is None else _supervised(options.link)
    program.start()
    try:
        yield program
    finally:
        program.kill()


def _prepared(options: argparse.Namespace) -> ScriptRun:
    """Its bpftrace is a child of this very process."""
    from bpftop.anyscript.run import ScriptRun, source_for

    script = user_script(options, people.caller() if os.geteuid() == 0 else None)
    host = host_of(options.bpftrace, *options.words)
    prepare(host)
    path = bpftrace_path(host)
    return ScriptRun(script, source_for(script, str(path)), bpftrace_version(path))


def _supervised(link: Link) -> ScriptRun:
    """Its bpftrace is the supervisor's, who has read the program itself."""
    from bpftop.anyscript.run import ScriptRun
    from bpftop.tracer.overhead import OverheadMeter

    (script, version), source = link.open_later()()
    assert source is not None
    return ScriptRun(script, source, version, held=link.held, meter=OverheadMeter(link.costs, link.statistics))


# --- on the screen ---


def _show(program: ScriptRun, options: argparse.Namespace) -> int:
    from bpftop.export.anyscript_tables import write_run
    from bpftop.ui.anyscript.app import show

    directory = save_directory(options)

    def save(snapshot: RunSnapshot) -> str:
        paths = write_run(snapshot, directory)
        return "saved " + " and ".join(str(path) for path in paths)

    code = show(program, save=save, options=screen_options(options))
    if code == 0:
        _judge(program.snapshot())
    return code


# --- to stdout ---


def _print(program: ScriptRun, options: argparse.Namespace) -> int:
    with ctrl_c() as stop:
        out = _Printer(options)
        _follow(program, options, stop, out)
    out.lines(program)
    final = program.snapshot()
    if not _failed(final) or final.log_lines or any(view.prints for view in final.maps):
        out.final(program, final)
    sys.stdout.flush()
    _judge(final)
    return INTERRUPTED if stop.is_set() and options.duration else 0


def _follow(program: ScriptRun, options: argparse.Namespace, stop: Stop, out: _Printer) -> None:
    """Print what comes until the run is over; ask it to end when it is time."""
    asked, intervals = 0.0, 0
    while not program.wait(POLL_S):
        out.lines(program)
        live_s = program.live_s
        late = options.duration and live_s is not None and live_s >= options.duration
        if (late or stop.is_set()) and not asked:
            asked = time.monotonic()
            program.end()
        elif asked and time.monotonic() - asked > PATIENCE_S:
            asked = float("inf")
            narrate(program.snapshot().detail)
        if options.interval and live_s is not None and not asked and live_s // options.interval > intervals:
            intervals = int(live_s // options.interval)
            out.interval(program)


class _Printer:
    """Lines of the log as they come, maps at intervals and at the end; nothing twice."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._format: str = options.format or "text"
        self._each: bool = options.interval is not None
        encoding = (sys.stdout.encoding or "").lower().replace("-", "")
        self._ascii: bool = options.ascii or encoding not in ("utf8", "utf8sig")
        self._lines = 0
        self._kept: list[LogLine] = []
        """For JSON: the lines since the last object."""
        self._maps: dict[str, int] = {}
        self._head = True

    def lines(self, program: ScriptRun) -> None:
        """The new lines of the log."""
        new, dropped, self._lines = program.new_lines(self._lines)
        if dropped:
            narrate(f"{dropped:,} lines came faster than they could be written and are missing here")
        if self._format == "json":
            self._kept = [*self._kept, *new][-20_000:] if new else self._kept
        elif self._format == "csv":
            self._csv_lines(new)
        else:
            self._text_lines(new)

    def _csv_lines(self, new: Sequence[LogLine]) -> None:
        from bpftop.export.anyscript_tables import said_rows

        if new:
            self._rows(said_rows(new))

    def _text_lines(self, new: Sequence[LogLine]) -> None:
        from bpftop.text import safe

        for line in new:
            if line.own:
                self._print(safe(line.text.expandtabs()) + "\n")
            else:
                narrate(safe(line.text, 400))

    def interval(self, program: ScriptRun) -> None:
        """The maps that have been printed since the last time."""
        snapshot = program.snapshot()
        if self._format == "text" and any(v.prints > self._maps.get(v.name, 0) for v in snapshot.maps):
            from bpftop.export.anyscript_text import run_text

            self._print("\n" + run_text(snapshot, ascii_only=self._ascii, seen=self._maps) + "\n")
        elif self._format != "text":
            self._data(snapshot, final=False)
        self._remember(snapshot)

    def final(self, program: ScriptRun, snapshot: RunSnapshot) -> None:
        """What its maps were at the end, and the account of the run."""
        if self._format != "text":
            self._data(snapshot, final=True)
            return
        from bpftop.export.anyscript_text import run_text

        self._print(("\n" if self._lines else "") + run_text(snapshot, ascii_only=self._ascii, seen=self._maps))

    def _data(self, snapshot: RunSnapshot, final: bool) -> None:
        from bpftop.export.anyscript_tables import account_rows, map_rows, to_json

        if self._format == "json":
            separators = (",", ":") if self._each else None
            self._print(json.dumps(to_json(snapshot, self._kept, self._maps), separators=separators) + "\n")
            self._kept = []
        else:
            self._rows([*map_rows(snapshot, self._maps), *(account_rows(snapshot) if final else ())])

    def _rows(self, rows: object) -> None:
        from bpftop.export.anyscript_tables import HEADER
        from bpftop.export.table import to_csv

        assert isinstance(rows, Iterator | list)
        self._print(to_csv([*([HEADER] if self._head else []), *rows]))
        self._head = False

    def _remember(self, snapshot: RunSnapshot) -> None:
        self._maps = {view.name: view.prints for view in snapshot.maps}

    def _print(self, text: str) -> None:
        if self._ascii and self._format == "text":
            text = text.translate(_PLAIN).encode("ascii", "replace").decode()
        print(text, end="", flush=True)


_PLAIN = str.maketrans({"µ": "u", "–": "-", "≥": ">"})


def _failed(snapshot: RunSnapshot) -> bool:
    from bpftop.anyscript.model import RunState

    return snapshot.state is RunState.FAILED


def _judge(snapshot: RunSnapshot) -> None:
    """Raise what was wrong; nothing when it ran and nothing is missing."""
    from bpftop.anyscript.ending import own_words, unattached
    from bpftop.model import too_much

    for line in snapshot.stderr[-STDERR_LINES:]:
        print(f"  {own_words(snapshot.script, line)}", file=sys.stderr)
    if _failed(snapshot):
        raise (HostError if snapshot.host_fault else ScriptError)(snapshot.detail, snapshot.hint)
    if snapshot.exit_code not in (0, None) and snapshot.over:
        raise Inconclusive(snapshot.detail)
    if snapshot.unattached:
        raise Inconclusive(*unattached(snapshot.stderr))
    if too_much(snapshot.lost, snapshot.log_lines + snapshot.lost):
        raise Inconclusive(f"{snapshot.lost:,} events were lost beside the {snapshot.log_lines:,} lines that came")
    full = [view.name for view in snapshot.maps if view.full]
    if full:
        raise Inconclusive(f"{', '.join(full)}: full, so keys that came later are missing", "BPFTRACE_MAX_MAP_KEYS=N")
