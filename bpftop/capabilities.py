"""Giving up rights for good: capabilities, the way to new ones, and life beyond the parent.

Numbers and structures are those of capability.h and prctl.h of the kernel; nothing here needs a library beyond libc.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_SETPCAP = 1, 2, 5, 6, 7, 8
CAP_NET_ADMIN, CAP_IPC_LOCK, CAP_SYS_CHROOT, CAP_SYS_PTRACE = 12, 14, 18, 19
CAP_SYS_ADMIN, CAP_SYS_RESOURCE, CAP_SYSLOG, CAP_PERFMON, CAP_BPF = 21, 24, 34, 38, 39
_PR_SET_PDEATHSIG, _PR_CAPBSET_READ, _PR_CAPBSET_DROP = 1, 23, 24
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4
_VERSION_3 = 0x20080522
"""_LINUX_CAPABILITY_VERSION_3: two sets of three 32-bit words."""
_libc = ctypes.CDLL(None, use_errno=True)


def keep_only(kept: Iterable[int], for_now: Iterable[int] = ()) -> None:
    """Give up every capability but ``kept``, in all sets; none is left that an exec could give back.

    ``for_now`` are held besides, but not through an exec. Raises OSError when the kernel refuses. Without CAP_SETPCAP
    the bounding set stays as it is: then ``no_new_privileges`` alone keeps an exec from giving anything back, which
    cuts what it gives to what was held before (cap_bprm_creds_from_file in the kernel).
    """
    kept = frozenset(kept)
    _checked(_libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
    number = 0
    while (there := _libc.prctl(_PR_CAPBSET_READ, number, 0, 0, 0)) >= 0:
        if there and number not in kept and _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0):
            if ctypes.get_errno() != errno.EPERM:
                _checked(-1)
            break
        number += 1
    header = struct.pack("=Ii", _VERSION_3, 0)
    held = ctypes.create_string_buffer(24)
    _checked(_libc.capget(header, held))
    low_effective, low, _, high_effective, high, _ = struct.unpack("=6I", held.raw[:24])
    mask = sum(1 << number for number in kept.union(for_now))
    low, high = low & mask & 0xFFFFFFFF, high & mask >> 32
    sets = struct.pack("=6I", low & low_effective, low, 0, high & high_effective, high, 0)
    _checked(_libc.capset(header, sets))


def perf_wants_admin(proc: Path = Path("/proc")) -> bool:
    """Whether kernel.perf_event_paranoid is set above what mainline knows, by default on Debian (3) and Ubuntu (4).

    Their kernels then open perf events, which every probe needs, for CAP_SYS_ADMIN only; CAP_PERFMON is not enough
    (seen on Debian's 5.10, 6.1, 6.12 and 7.2). Other kernels take 3 for 2.
    """
    try:
        return int((proc / "sys/kernel/perf_event_paranoid").read_text()) > 2
    except (OSError, ValueError):
        return False


def no_new_privileges() -> None:
    """From now on no program that is executed gains rights (no_new_privs, prctl(2)): set-uid bits do nothing."""
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def end_with(parent: int, number: int) -> bool:
    """Ask for signal ``number`` when the thread that made this process ends; False when ``parent`` has ended already.

    A change of user forgets it: call this after the last one.
    """
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0))
    return os.getppid() == parent


@dataclass(frozen=True, slots=True)
class Rights:
    """What the kernel says that a process may do."""

    held: frozenset[int]
    """Capabilities of the effective, permitted, inheritable and ambient sets together."""
    no_new: bool
    """no_new_privs is set."""


def rights_of(pid: int | str = "self") -> Rights:
    """The rights of a process, from /proc/PID/status. Raises OSError when it is gone."""
    with open(f"/proc/{pid}/status", "rb") as file:
        words = dict(line.split(b":\t", 1) for line in file if b":\t" in line)
    mask = 0
    for name in (b"CapEff", b"CapPrm", b"CapInh", b"CapAmb"):
        mask |= int(words[name], 16)
    return Rights(frozenset(n for n in range(64) if mask >> n & 1), words[b"NoNewPrivs"].strip() == b"1")


def _checked(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
