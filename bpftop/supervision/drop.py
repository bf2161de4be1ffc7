"""From root to nobody in particular, for good."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Iterator

from bpftop import capabilities
from bpftop.people import Person
from bpftop.tracer.supervisor import MORE

_PACKAGES = ("bpftop", "textual", "rich", "numpy", "plotext")
_LATE = _PACKAGES[:3]
"""These import parts of themselves when they are wanted."""
_PARTS = ("numpy.ma", "numpy.random", "encodings.ascii", "encodings.idna", "encodings.latin_1", "encodings.utf_8_sig")
"""What numpy and Python import when they are asked for it: np.median wants numpy.ma."""
_NOT_NEEDED = frozenset({"demo", "__main__", "_sleep", "_markup_playground", "pytest_plugin"})


SUPERVISING = MORE | {capabilities.CAP_KILL, capabilities.CAP_SETPCAP}
"""What the supervisor keeps: what some bpftrace may need, to look at the target's processes (SYS_PTRACE,
DAC_READ_SEARCH), to switch the statistics of BPF programs on (SYS_ADMIN), to end a process of another user (KILL), to
take rights from its children (SETPCAP)."""
_OPENING = frozenset({capabilities.CAP_SETUID, capabilities.CAP_SETGID})
"""Until all of the command line is open: a file is opened, and the demo is started, as the user."""


def supervise() -> None:
    """Give up what a supervisor never needs. Raises OSError when the kernel refuses, and then nothing may go on."""
    capabilities.no_new_privileges()
    capabilities.keep_only(SUPERVISING | _OPENING)


def supervise_only() -> None:
    """Give up what was needed until all was open."""
    capabilities.keep_only(SUPERVISING)


def leave_root(person: Person | None, parent: int) -> None:
    """Give up all rights of this process but those of ``person``; without one it stays user 0, without capabilities.

    Where the person may not read this program (``may_read``), all of it must have been imported. Afterwards this
    process gets SIGTERM when ``parent`` ends, at once when it has ended. Raises OSError when the kernel refuses, and
    then nothing may go on.
    """
    capabilities.no_new_privileges()
    if person is None:
        # Only this: files are saved where root could save them, and no more than that.
        capabilities.keep_only([capabilities.CAP_DAC_OVERRIDE])
    else:
        os.initgroups(person.name, person.gid)
        os.setresgid(person.gid, person.gid, person.gid)
        capabilities.keep_only((), for_now=[capabilities.CAP_SETUID])
        os.setresuid(person.uid, person.uid, person.uid)
        capabilities.keep_only(())
        if os.getresuid() != (person.uid,) * 3 or os.getresgid() != (person.gid,) * 3:
            raise PermissionError("the rights of root could not be given up")
        os.environ.update(HOME=person.home, USER=person.name, LOGNAME=person.name)
    kept = frozenset() if person is not None else {capabilities.CAP_DAC_OVERRIDE}
    rights = capabilities.rights_of("self")
    if rights.held - kept or not rights.no_new:
        raise PermissionError("the kernel still grants what was given up")
    if not capabilities.end_with(parent, signal.SIGTERM):
        signal.raise_signal(signal.SIGTERM)  # as the kernel would have: the terminal may have to be put back


@contextlib.contextmanager
def acting_as(person: Person) -> Iterator[None]:
    """Opening files with the rights of ``person`` only; for a process of one thread."""
    groups = os.getgroups()
    os.initgroups(person.name, person.gid)
    os.setegid(person.gid)
    os.seteuid(person.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def may_read(person: Person) -> bool:
    """Whether the person can read what this program is made of: Python, the packages, the scripts."""
    places = list(_places())  # it imports, which the person may not be able to
    with acting_as(person):
        return all(os.access(place, os.R_OK | os.X_OK, effective_ids=True) for place in places)


def _places() -> Iterator[str]:
    from importlib.util import find_spec

    from bpftop.scripts.catalog import script_folder

    yield os.path.dirname(os.__file__)
    yield str(script_folder())
    yield from (entry for entry in sys.path if os.path.isdir(entry))
    for name in _PACKAGES:
        spec = find_spec(name)
        yield from (spec.submodule_search_locations or ()) if spec is not None else ()


def import_everything() -> None:
    """Every module that may be wanted later: all of ours, and of the packages that import parts of themselves late."""
    import pkgutil

    from bpftop.scripts.catalog import catalog, library

    catalog()
    library()
    for name in _PARTS:
        importlib.import_module(name)
    for name in _PACKAGES:
        package = importlib.import_module(name)
        for found in pkgutil.walk_packages(package.__path__, f"{name}.", lambda _: None) if name in _LATE else ():
            if _NOT_NEEDED.isdisjoint(found.name.split(".")):
                with contextlib.suppress(Exception):  # parts for other systems
                    importlib.import_module(found.name)
