"""One process becomes two before anything of others is read: see ``bpftop.supervision``."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import socket
import sys

from bpftop import people
from bpftop.cli.host import narrate
from bpftop.errors import HostError, UsageError
from bpftop.recording.files import is_recording


def divide(options: argparse.Namespace) -> int | None:
    """As root, for a verb that traces (it has ``--user``): an exit code in the supervisor, when all is over.

    In the other process None, without root's rights and with ``options.link`` to the supervisor. Also None, and no
    other process, where nothing is traced or this is not root. Raises UsageError for an impossible ``--user``.
    """
    if not hasattr(options, "user") or getattr(options, "simulate", None):
        return None
    if options.verb == "report" and options.target and is_recording(options.target):
        return None
    if os.geteuid() != 0:
        if options.user:
            raise UsageError("only root can hand the screen to another user", "bpftop --help")
        return None
    from bpftop.cli.works import Works
    from bpftop.supervision.supervisor import HANDLED, Supervisor
    from bpftop.terminal_modes import TerminalModes

    person = people.caller() if not options.user else people.named(options.user) if options.user != "root" else None
    modes = TerminalModes()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sys.stdout.flush()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    own = os.getpid()
    gc.freeze()  # a collection would write to all that the two still share
    other = os.fork()
    if other == 0:
        ours.close()
        options.first.show()
        _without_rights(options, theirs, person, own)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return None
    theirs.close()
    works = Works(options, person)
    try:
        _with_few_rights()
        return Supervisor(works, ours, other, modes=modes, drawn=_draws(options), say=narrate).run()
    finally:
        works.close()


def _with_few_rights() -> None:
    from bpftop.supervision.drop import supervise

    try:
        supervise()
    except OSError as error:
        raise HostError(f"root's rights could not be given up: {error}", "bpftop doctor") from error


def _without_rights(
    options: argparse.Namespace, connection: socket.socket, person: people.Person | None, supervisor: int
) -> None:
    from bpftop.supervision.drop import import_everything, leave_root, may_read
    from bpftop.supervision.link import Link

    options.link = Link(connection)
    try:
        if person is not None and not may_read(person):
            options.link.open_early()  # importing all of it takes a second: bpftrace starts meanwhile
            import_everything()
        leave_root(person, supervisor)
    except OSError as error:
        raise HostError(f"root's rights could not be given up: {error}", "bpftop doctor") from error
    options.rights = (
        f"as {person.name} (user {person.uid}), without rights; another process runs bpftrace"
        if person
        else "as root, with hardly a capability (--user NAME takes another); another process runs bpftrace"
    )


def _draws(options: argparse.Namespace) -> bool:
    """Whether the other process draws on the terminal."""
    if options.verb == "run":
        return not any((options.duration, options.interval, options.format))
    return options.verb in ("watch", "demo")
