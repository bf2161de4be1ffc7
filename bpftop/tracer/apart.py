"""A trial's words are read by a process without rights; what comes back is five fields of fixed kinds."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import asdict, dataclass

_ASKED = b"exit code?"
_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class Trial:
    """How one run went."""

    attached: bool
    """It reported from the kernel."""
    probes: int
    """As bpftrace says; 0 when it did not come that far."""
    seconds: float
    """From the start to the first tick, or to the end."""
    problem: str = ""
    """One sentence: why it did not attach, or what it complained about all the same."""
    hint: str = ""
    """The next command to type."""


def apart(
    listen: Callable[[Callable[[], int | None]], Trial],
    exit_code: Callable[[], int | None],
    leave_rights: Callable[[], None],
) -> Trial:
    """What ``listen`` finds in a process of its own, which calls ``leave_rights`` before it reads anything.

    ``exit_code`` is asked here when the other process wants to know it: only a parent knows.
    """
    asking, asked = os.pipe()
    telling, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        _other(listen, asked, telling, leave_rights)
    os.close(asked)
    os.close(telling)
    try:
        said = os.read(asking, _LONGEST)
        if said == _ASKED:
            os.write(told, f"{exit_code()}".encode())
            said = os.read(asking, _LONGEST)
    finally:
        os.close(asking)
        os.close(told)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return _trial(said) or Trial(False, 0, 0.0, "the process that reads bpftrace's words ended early", _REPORT)


_REPORT = "please report it"


def _other(
    listen: Callable[[Callable[[], int | None]], Trial], asked: int, telling: int, leave_rights: Callable[[], None]
) -> None:
    """The process without rights. Never returns."""

    def exit_code() -> int | None:
        os.write(asked, _ASKED)
        said = os.read(telling, 32)
        return None if said == b"None" else int(said)

    try:
        leave_rights()
        found = asdict(listen(exit_code))
        for name in ("problem", "hint"):
            found[name] = found[name][: _LONGEST // 16]  # six bytes a character at most
        os.write(asked, json.dumps(found).encode("ascii"))
    except BaseException:  # whatever it is: the other end reads nothing and says so
        os._exit(1)
    os._exit(0)


def _trial(said: bytes) -> Trial | None:
    """What was told, when it has the right fields of the right kinds."""
    try:
        found = json.loads(said.decode("ascii"))
        kinds = {"attached": bool, "probes": int, "seconds": float, "problem": str, "hint": str}
        if set(found) != set(kinds) or any(type(found[name]) is not kind for name, kind in kinds.items()):
            return None
        return Trial(**found)
    except (ValueError, TypeError, RecursionError):
        return None
