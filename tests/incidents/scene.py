"""The scene of all incidents: an nginx with two workers, backends and a disk, under a load that is always there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bpftop.ensemble import merged
from bpftop.model import ScriptStatus, Snapshot, State
from bpftop.scripts import catalog, compose
from bpftop.session import Session
from bpftop.standstill.look import Looks
from bpftop.target import resolve
from tests.incidents.backends import Backend, running_backends
from tests.incidents.namespace import Namespace, namespace
from tests.incidents.slow_disk import SlowDisk, slow_disk
from tests.kernel.watching import Nginx, free_port, running_nginx, source_for, started
from tests.load import load_in_background

DEFAULT = ("requests", "connections")
MORE = ("upstream", "eventloop", "disk", "syscalls", "http")
KEPT = [f"127.0.7.{i}" for i in range(1, 6)]
"""Clients that keep their connections."""
CLOSED = [f"127.0.8.{i}" for i in range(1, 6)]
"""Clients that open one for each request."""
PATHS = ["/fixed", "/pool/", "/fixed", "/fixed", "/pool/", "/fixed", "/disk/data", "/fixed"]
ABUSER = "127.0.9.9"
BACKLOG = 64
_SERVERS = """
  upstream pool {{ server 127.0.0.1:{a}; server 127.0.0.1:{b}; server 127.0.0.1:{c}; keepalive 32; }}
  server {{
    listen 127.0.0.1:{port} backlog={backlog} sndbuf=64k;
    location /fixed {{ return 200 "ok\\n"; }}
    location /pool/ {{ proxy_pass http://pool/; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    location /heavy/ {{ proxy_pass http://127.0.0.1:{heavy}/; }}
    location /match/ {{ if ($arg_q ~ "^(a|aa)+$") {{ return 403; }} return 200 "ok\n"; }}
    location /big/ {{ alias {big}/; }}
    location /some/ {{ alias {some}/; }}
    location /disk/ {{ alias {disk}/; directio 512; output_buffers 2 4k; }}
  }}"""


@dataclass(frozen=True)
class Scene:
    """What an incident can take hold of, and the two watches: the scripts that always run, and all."""

    nginx: Nginx
    port: int
    backends: list[Backend]
    disk: SlowDisk
    always: Session
    more: Session
    offers: tuple[ScriptStatus, ...]
    space: Namespace
    """The network namespace that all of it is in, but for the two watches."""
    cpu_before: dict[int, float] = field(default_factory=dict)
    """CPU seconds of each worker when the last incident began."""

    ending: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, "ending"))
    """Of watches that end while the scene goes on."""

    @property
    def busiest(self) -> int:
        """The worker that has used the most CPU since the incident began."""
        return max(self.workers, key=lambda pid: cpu_seconds(pid) - self.cpu_before.get(pid, 0.0))

    @property
    def workers(self) -> list[int]:
        """The process ids of nginx's workers."""
        pid = self.nginx.pid
        return sorted(int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

    def snapshot(self, scripts: bool, window_s: float = 60.0) -> Snapshot:
        """With the scripts that tell more, or with an offer of each."""
        always = self.always.snapshot(window_s)
        if not scripts:
            return replace(always, scripts=(*always.scripts, *self.offers))
        more = self.more.snapshot(window_s)
        return merged(always, [more], more.scripts)


def cpu_seconds(pid: int) -> float:
    """What a process has used so far (fields 14 and 15 of proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def watched_anew(scene: Scene) -> Iterator[Scene]:
    """The same scene with watches that begin now: whoever looks sees what they have so far."""
    sessions = [_session(scene.nginx.pid, scripts) for scripts in (DEFAULT, MORE)]
    for each in sessions:
        each.start()
    try:
        yield replace(scene, always=sessions[0], more=sessions[1])
    finally:
        for each in sessions:  # to take probes off takes seconds
            scene.ending.submit(each.stop)


@contextmanager
def scene(folder: Path, seconds: int) -> Iterator[Scene]:
    """All of it, loaded for at most so many seconds."""
    with ExitStack() as stack:
        disk = stack.enter_context(slow_disk(folder))
        space = stack.enter_context(namespace())
        with space.entered():
            backends = stack.enter_context(running_backends(0.002, 0.002, 0.002, 0.3))
            port = free_port()
            nginx = stack.enter_context(running_nginx(folder, more=_servers(folder, port, backends, disk)))
            for sources, rate, close in ((KEPT, 120, False), (CLOSED, 60, True)):
                load = load_in_background(
                    port, rate * seconds, connections=len(sources) * 4, close=close, sources=sources, rate_per_s=rate,
                    paths=PATHS, time_limit_s=seconds + 30,
                )  # fmt: skip
                stack.enter_context(load)
        always, more = (stack.enter_context(_watching(nginx.pid, scripts)) for scripts in (DEFAULT, MORE))
        offers = tuple(
            ScriptStatus(name, catalog()[name].title, State.OFF, 0, "Enter starts it", catalog()[name].pane)
            for name in (*MORE, "scheduler", "tcp")
        )
        made = Scene(nginx, port, backends, disk, always, more, offers, space)
        stack.enter_context(made.ending)
        yield made


def _servers(folder: Path, port: int, backends: list[Backend], disk: SlowDisk) -> str:
    """What the configuration of nginx holds besides."""
    big, some = folder / "big", folder / "some"
    for each, size in ((big, 1_000_000), (some, 20_000)):
        each.mkdir(mode=0o755)
        (each / "file").write_bytes(b"x" * size)
    a, b, c, heavy = (each.port for each in backends)
    return _SERVERS.format(port=port, backlog=BACKLOG, a=a, b=b, c=c, heavy=heavy, disk=disk.place, big=big, some=some)


@contextmanager
def _watching(pid: int, scripts: tuple[str, ...]) -> Iterator[Session]:
    with started(_session(pid, scripts)) as session:
        yield session


def _session(pid: int, scripts: tuple[str, ...]) -> Session:
    target = resolve(str(pid))
    program = compose([catalog()[name] for name in scripts], target)
    return Session(source_for(target, scripts), program, target, standstill=Looks() if scripts == DEFAULT else None)
