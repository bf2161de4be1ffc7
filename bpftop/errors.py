"""What can go wrong, as values a person can act on.

Every error carries one sentence and, where there is one, the next command to type. The command line prints both and
exits with ``exit_code``; nothing else in the package prints errors or exits::

    BpftopError (2)
    ├── UsageError (2)       the words on the command line
    ├── TargetError (2)      the target can't be watched
    ├── ScriptError (2)      a .bt file or its header
    ├── FileError (2)        a file can't be written or read
    ├── HostError (3)        this host cannot trace
    ├── Inconclusive (4)     too few samples, or data was lost
    └── Defect (70)          bpftop itself is wrong
"""

from __future__ import annotations


class BpftopError(Exception):
    """An error for the person at the keyboard: ``message`` says what, ``hint`` is the next command to type."""

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(BpftopError):
    """The words on the command line do not make sense together."""


class TargetError(BpftopError):
    """The target cannot be watched: an impossible name, a process that is not there."""


class ScriptError(BpftopError):
    """A script or its header is wrong; the message names file, line and the nearest valid key."""


class FileError(BpftopError):
    """A file could not be written or read; nothing is left half done."""


class HostError(BpftopError):
    """This host cannot trace: no root, no bpftrace, no tracefs, no attach points."""

    exit_code = 3


class Inconclusive(BpftopError):
    """Too few samples, or data was lost: neither a pass nor a failure."""

    exit_code = 4


class Defect(BpftopError):
    """Bpftop itself is wrong: an error that nobody foresaw."""

    exit_code = 70
