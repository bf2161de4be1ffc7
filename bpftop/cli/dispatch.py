"""One call from words to exit code. Errors are sentences; a traceback needs BPFTOP_DEBUG=1."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType

from bpftop import __version__
from bpftop.cli import simulation, words
from bpftop.cli.look import ascii_wanted
from bpftop.cli.parser import VERBS, parse, with_verb
from bpftop.errors import BpftopError, Defect, UsageError
from bpftop.text import safe
from bpftop.ui.first import FirstFrame

_VERBS = {verb: (verb, verb) for verb in VERBS} | {
    "demo": ("watch", "demo"), "scripts": ("scripts", "listing"), "script": ("scripts", "show"),
}  # fmt: skip
_SCREENS = frozenset({"watch", "demo", "replay", "run"})
"""Verbs that speak to nobody over TLS."""
INTERRUPTED = 128 + signal.SIGINT
BROKEN_PIPE = 128 + signal.SIGPIPE


class Ended(BaseException):
    """A signal asked this process to end: unwinds to here, so that every bpftrace is stopped on the way."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    # A SIGHUP that is ignored stays so: nohup bpftop report …
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGHUP)}
    ours = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in ours:
        signal.signal(number, _end)
    try:
        return _guarded(given, ours_alone=argv is None)
    finally:
        for number in ours:
            signal.signal(number, before[number])


def _guarded(given: list[str], ours_alone: bool) -> int:
    """Run the words; everything that ends them early becomes an exit code.

    ``ours_alone``: the process is a program of ours and no part of another, so it may be divided.
    """
    try:
        code = _run(given, ours_alone)
        sys.stdout.flush()
        return code
    except BpftopError as error:
        return _tell(error)
    except Ended as ended:
        return ended.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Nobody reads any more. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:
        if os.environ.get("BPFTOP_DEBUG"):
            raise
        said = f"{type(error).__name__}: {error}"
        return _tell(Defect(f"this should not have happened: {said}", "BPFTOP_DEBUG=1 shows where"))


_TWICE_S = 0.5
"""The same request may come twice: to the group of processes, and from the supervisor."""
_ended = [-_TWICE_S]


def _end(number: int, _frame: FrameType | None) -> None:
    if time.monotonic() - _ended[0] >= _TWICE_S:
        _ended[0] = time.monotonic()
        raise Ended(number)


def _run(given: list[str], ours_alone: bool) -> int:
    if not given:
        return _nothing()
    if given[0] in ("-h", "--help") or given == ["help"]:
        print(words.HELP, end="")
        return 0
    if given[0] == "--version":
        print(words.VERSION.format(version=__version__))
        return 0
    try:
        options = parse(with_verb(given))
    except SystemExit as helped:  # --help of a verb
        return int(helped.code or 0)
    options.words, options.link, options.rights = given, None, ""
    with _first_frame(options) as options.first:
        return _divided(options, ours_alone)


def _first_frame(options: argparse.Namespace) -> FirstFrame:
    """What is shown while all that the screen needs is imported; nothing for other verbs and for wrong words."""
    shows = options.verb == "demo" or (options.verb == "watch" and (options.target or options.simulate))
    name = (options.verb == "watch" and options.target) or "demo"
    if not shows or getattr(options, "simulate", None) == simulation.LIST:
        return FirstFrame("")
    return FirstFrame(name, theme=options.theme, plain=options.no_color, ascii=ascii_wanted(options))


def _divided(options: argparse.Namespace, ours_alone: bool) -> int:
    """Run the words, in two processes where something is traced."""
    if getattr(options, "simulate", None) == simulation.LIST:
        print(simulation.listing())
        return 0
    if ours_alone:
        # numpy starts a thread for each CPU otherwise, for matrices that nobody here multiplies.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        from bpftop.cli.divide import divide
        from bpftop.memory import one_heap, without

        one_heap()
        with without(*(("ssl", "_hashlib") if options.verb in _SCREENS else ())):
            code = divide(options)
            return _verb(options) if code is None else code
    return _verb(options)


def _verb(options: argparse.Namespace) -> int:
    options.first.show()
    # Each verb is imported when it is wanted: the screen, numpy and the tracer cost half a second together.
    module, function = _VERBS[options.verb]
    run: Callable[[argparse.Namespace], int] = getattr(importlib.import_module(f"bpftop.cli.{module}"), function)
    return run(options)


def _nothing() -> int:
    """No words at all: the help, and on a terminal what could be watched here."""
    print(words.HELP, end="", file=sys.stderr)
    if sys.stderr.isatty():
        from bpftop.cli import suggest

        print(suggest.listening(), end="", file=sys.stderr)
    return UsageError.exit_code


def _tell(error: BpftopError) -> int:
    """The sentence and the next command, on stderr."""
    try:
        print(f"bpftop: {safe(error.message)}", file=sys.stderr)
        if error.hint:
            print(f"  {safe(error.hint)}", file=sys.stderr)
    except OSError:
        pass  # stderr is gone too; the exit code still tells
    return error.exit_code
