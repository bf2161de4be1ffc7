"""``nr(epoll_wait)`` in a script becomes the number of that system call on this machine."""

from __future__ import annotations

import re

from bpftop.errors import ScriptError
from bpftop.syscalls import syscall_number

_NUMBER = re.compile(r"\bnr\((\w+)\)")


def place_numbers(text: str, machine: str = "") -> str:
    """``text`` with each ``nr(NAME)`` replaced; a call that this machine lacks becomes a number that never occurs.

    Raises ScriptError for a name that is no system call.
    """
    return _NUMBER.sub(lambda found: str(_number(found[1], machine)), text)


def _number(name: str, machine: str) -> int:
    try:
        return syscall_number(name, machine)
    except KeyError:
        raise ScriptError(f"nr(): there is no system call {name!r}") from None
