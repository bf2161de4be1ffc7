"""Work in a child of this process that ends with it: what it imports and builds takes no memory here."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
from collections.abc import Callable
from typing import TypeVar

from bpftop import capabilities, errors
from bpftop.errors import BpftopError

T = TypeVar("T")


def apart(work: Callable[[], T]) -> T:
    """What ``work`` returns, which must be fit for a pickle. Raises its BpftopError, RuntimeError for a defect."""
    reading, writing = os.pipe()
    own = os.getpid()
    # What is said to a group of processes is for this one: a handler of ours must not run in two.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    child = os.fork()
    if child == 0:
        os.close(reading)
        _become(own)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        _work(work, writing)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    os.close(writing)
    try:
        with open(reading, "rb") as file:
            said = file.read()
    finally:
        os.waitpid(child, 0)
    if not said:
        raise RuntimeError("the process that was to do it ended")
    fine, value = pickle.loads(said)
    if fine:
        result: T = value
        return result
    kind, message, hint = value
    found = getattr(errors, kind, None)
    if found is None:
        raise RuntimeError(f"{kind}: {message}")
    raise found(message, hint)


def _become(parent: int) -> None:
    """A process by itself: no handlers of the parent's, no life beyond it."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the parent has heard it, and does not wait long
    with contextlib.suppress(OSError):
        if not capabilities.end_with(parent, signal.SIGKILL):
            os._exit(1)


def _work(work: Callable[[], object], writing: int) -> None:
    """Do it, write what came of it, and end without a word."""
    try:
        said: object = (True, work())
    except BpftopError as error:
        said = (False, (type(error).__name__, error.message, error.hint))
    except BaseException as error:
        said = (False, (type(error).__name__, str(error), ""))
    with contextlib.suppress(BaseException):
        with open(writing, "wb") as file:
            pickle.dump(said, file)
        os._exit(0)
    os._exit(1)
