"""A session on real bpftrace: composed, started, followed, stopped. Knows neither options nor screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bpftop.preflight import Host, bpftrace_path, bpftrace_version, require_numpy
from bpftop.target.sparing import Sparing

if TYPE_CHECKING:
    from bpftop.model import Script, Target
    from bpftop.session import Session  # numpy comes with it: not before require_numpy has spoken


@contextmanager
def traced(
    target: Target,
    host: Host,
    rescan: Callable[[], Target],
    scripts: Callable[[Target], Sequence[Script]],
    ready: Callable[[Session], object] = id,
    every_event: bool = False,
    budget: float | None = None,
) -> Iterator[Session]:
    """A session on the target with real bpftrace. The host has been prepared; ``rescan`` resolves the target again.

    ``scripts`` for a target: attach points in a process's own files change with the process. ``ready`` gets the session
    before it reads anything; ``every_event``: no single event is held back; ``budget``: percent of one CPU, to be told.
    """
    from bpftop.scripts import compose
    from bpftop.tracer.supervisor import BpftraceSource

    path = bpftrace_path(host)

    def renew(target: Target) -> BpftraceSource:
        return BpftraceSource(compose(scripts(target), target, every_event), bpftrace_path=str(path))

    program = compose(scripts(target), target, every_event)
    source = BpftraceSource(program, bpftrace_path=str(path))
    source.start()  # it compiles and attaches while numpy and the rest of us are imported
    try:
        require_numpy()
        from bpftop.session import Session
        from bpftop.standstill.look import Looks
        from bpftop.tracer.budget import Budget

        version = bpftrace_version(path)
        session = Session(
            source, program, target, renew=renew, rescan=Sparing(rescan), standstill=Looks(),
            bpftrace_version=version, budget=Budget(budget),
        )  # fmt: skip
    except BaseException:
        source.kill()
        source.wait(1.0)
        raise
    ready(session)
    with running(session):
        yield session


@contextmanager
def running(session: Session) -> Iterator[None]:
    """The session, started; stopped on the way out. Raises HostError when it cannot start."""
    try:
        session.start()
        yield
    finally:
        session.stop()
