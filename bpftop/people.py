"""Who called: the person behind sudo, pkexec or doas, as the system's list of users knows them."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass

from bpftop.errors import UsageError


@dataclass(frozen=True, slots=True)
class Person:
    """A user of this host."""

    name: str
    uid: int
    gid: int
    home: str


def caller(environment: Mapping[str, str] = os.environ) -> Person | None:
    """The person who became root to run this program; ``None`` when nobody is named, or somebody unknown, or root."""
    for name in ("SUDO_UID", "PKEXEC_UID"):
        if name in environment:
            return _of_uid(environment[name], environment.get("SUDO_GID", "") if name == "SUDO_UID" else "")
    if "DOAS_USER" in environment:
        return _of_name(environment["DOAS_USER"])
    return None


def named(name: str) -> Person:
    """The user of this name. Raises UsageError when there is none, or when it is root."""
    found = _of_name(name)
    if found is None:
        raise UsageError(f"there is no user {name} with fewer rights than root", "getent passwd")
    return found


def _of_uid(text: str, group: str) -> Person | None:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 2**32 - 1):
        return None
    try:
        entry = pwd.getpwuid(int(text))
    except KeyError:
        return None
    gid = int(group) if group.isascii() and group.isdecimal() and _belongs(entry, int(group)) else entry.pw_gid
    return Person(entry.pw_name, entry.pw_uid, gid, entry.pw_dir)


def _of_name(name: str) -> Person | None:
    try:
        entry = pwd.getpwnam(name)
    except (KeyError, ValueError):
        return None
    return Person(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir) if entry.pw_uid else None


def _belongs(entry: pwd.struct_passwd, gid: int) -> bool:
    """Whether the user is in the group: sudo tells the one that the user had, which newgrp(1) may have changed."""
    if gid == entry.pw_gid:
        return True
    try:
        return gid != 0 and entry.pw_name in grp.getgrgid(gid).gr_mem
    except (KeyError, OverflowError):
        return False
