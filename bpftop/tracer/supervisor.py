"""The bpftrace child: started without a shell, in a process group of its own, never outliving us."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Mapping

from bpftop import capabilities as caps
from bpftop.btf_file import told_types
from bpftop.errors import HostError
from bpftop.model import Program

_TRACING = frozenset({caps.CAP_BPF, caps.CAP_PERFMON, caps.CAP_IPC_LOCK})
"""Enough for tracepoints and kprobes from Linux 5.8 on; the last one is for the event buffers (perf_event_open(2))."""
MORE = frozenset({
    *_TRACING, caps.CAP_SYS_PTRACE, caps.CAP_DAC_READ_SEARCH, caps.CAP_DAC_OVERRIDE, caps.CAP_NET_ADMIN,
    caps.CAP_SYS_CHROOT, caps.CAP_SYS_ADMIN, caps.CAP_SYS_RESOURCE, caps.CAP_SYSLOG,
})  # fmt: skip
"""For probes in programs: bpftrace reads files of other users in other mount namespaces, and without CAP_SYS_ADMIN it
does not switch markers on, and says nothing. For the user's own programs, which may trace anything."""
_IN_FILES = re.compile(r"^(?:uprobe|uretprobe|usdt):", re.MULTILINE)
_PERCPU_BUDGET = 64 << 20
"""Bytes of kernel memory that one per-CPU map may take."""
_HARMLESS = (
    "couldn't set RLIMIT_MEMLOCK",  # needs CAP_SYS_RESOURCE; unused by kernels since 5.11
    "Addrspace mismatch",  # bpftrace issue 3829
)
_POLL_S = 0.005
_DOCTOR = "sudo bpftop doctor"
EVENT_PAGES = "1024"
"""Event buffer of each CPU, in pages of 4 KB, when every event is sent; bpftrace's own is 64."""


def harmless(line: str) -> bool:
    """Whether a line of bpftrace's stderr says nothing that matters."""
    return not line.strip() or any(words in line for words in _HARMLESS)


def map_keys(cpus: int | None = None) -> int:
    """Entries per map: 65,536, less where each costs memory on many CPUs (entry = 8 bytes a CPU, 80 besides)."""
    keys = 65_536
    while keys > 4096 and keys * ((cpus or os.cpu_count() or 1) * 8 + 80) > _PERCPU_BUDGET:
        keys //= 2
    return keys


class BpftraceSource:
    """One run of bpftrace (bpftop.tracer.source.Source).

    Call ``start`` from a thread that lives as long as the run: the kernel sends the death signal when the *thread* that
    started the child ends (prctl(2), PR_SET_PDEATHSIG).
    """

    label = "bpftrace"

    def __init__(
        self,
        program: Program,
        bpftrace_path: str = "/usr/bin/bpftrace",
        *,
        cwd: str = "/",
        settings: Mapping[str, str] | None = None,
        confined: bool = True,
    ) -> None:
        """``cwd`` and ``settings`` (``BPFTRACE_STRLEN`` …) are for programs of the user's own.

        ``confined``: bpftrace gets the capabilities that the program needs, not all of root's.
        """
        self._program = program
        self._path = bpftrace_path
        self._cwd = cwd
        self._settings = settings
        self._confined = confined and os.geteuid() == 0
        self._child: subprocess.Popen[bytes] | None = None
        self.stdout = self.stderr = -1
        self.pid: int | None = None
        self.rights = ""
        """One sentence when bpftrace may do more than it was meant to; empty when all is well."""

    def start(self) -> None:
        """Start bpftrace on the program. Raises HostError when it can't be executed."""
        script = os.memfd_create("bpftop", 0)
        try:
            with open(script, "wb", closefd=False) as file:
                file.write(self._program.text.encode("utf-8", "surrogateescape"))
            self._child = subprocess.Popen(
                [self._path, "--no-warnings", "-f", "json", f"/proc/self/fd/{script}", "--", *self._program.argv],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(script,),
                env=_environment(self._program)
                | told_types(modules=self._settings is not None)
                | dict(self._settings or {}),
                cwd=self._cwd,
                start_new_session=True,
                preexec_fn=_confined(os.getpid(), self._capabilities()),
            )
        except OSError as error:
            raise HostError(f"cannot start {self._path}: {error.strerror}", "apt-get install bpftrace") from error
        except subprocess.SubprocessError as error:  # before it became bpftrace
            raise HostError("bpftrace's rights could not be taken away, so it was not started", _DOCTOR) from error
        finally:
            os.close(script)
        assert self._child.stdout is not None
        assert self._child.stderr is not None
        self.stdout, self.stderr = self._child.stdout.fileno(), self._child.stderr.fileno()
        self.pid = self._child.pid
        self.rights = _too_many(self._child.pid, self._capabilities())

    def let_go(self) -> None:
        """Close our reading ends: somebody else has them."""
        if self._child is not None:
            for pipe in (self._child.stdout, self._child.stderr):
                if pipe is not None:
                    pipe.close()

    def relaxed(self) -> BpftraceSource | None:
        """The same run with all capabilities of this process, not started; ``None`` when this one had them."""
        if not self._confined:
            return None
        return BpftraceSource(self._program, self._path, cwd=self._cwd, settings=self._settings, confined=False)

    def _capabilities(self) -> frozenset[int] | None:
        if not self._confined:
            return None
        if self._settings is not None or _IN_FILES.search(self._program.text):
            return MORE
        return _TRACING | {caps.CAP_SYS_ADMIN} if caps.perf_wants_admin() else _TRACING

    def stop(self) -> None:
        """SIGINT: bpftrace prints its maps once more and ends."""
        self._signal(signal.SIGINT)

    def terminate(self) -> None:
        """The second step of the ladder."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """The last step of the ladder."""
        self._signal(signal.SIGKILL)

    def wait(self, timeout_s: float) -> int | None:
        """The exit code, minus the signal's number when killed by one, or ``None`` after ``timeout_s``.

        Closes the pipes. What bpftrace started and left behind is ended: it would hold the pipes open.
        """
        if self._child is None:
            return None
        end = time.monotonic() + timeout_s
        while not self._over():
            left_s = end - time.monotonic()
            if left_s <= 0:
                return None
            time.sleep(min(left_s, _POLL_S))
        if self._child.returncode is None:
            self._signal(signal.SIGKILL)
        code = self._child.wait()
        self.let_go()
        return code

    def _over(self) -> bool:
        """Whether the child has ended. It stays a zombie until ``wait``, so that its number is nobody else's."""
        if self._child is None or self._child.returncode is not None:
            return True
        return os.waitid(os.P_PID, self._child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _signal(self, number: int) -> None:
        if self._child is not None and self._child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, number)


def _environment(program: Program) -> dict[str, str]:
    """A fixed environment: nothing of the caller's reaches a root process."""
    keys = str(map_keys())
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "BPFTRACE_MAP_KEYS_MAX": keys,  # up to 0.23
        "BPFTRACE_MAX_MAP_KEYS": keys,  # 0.20 and newer
    } | ({"BPFTRACE_PERF_RB_PAGES": EVENT_PAGES} if program.every_event else {})


def _confined(parent: int, kept: frozenset[int] | None) -> Callable[[], None]:
    """What the child does before it becomes bpftrace: tie its life to ours, give up what it does not need."""

    def in_child() -> None:
        if kept is not None:
            with contextlib.suppress(OSError, ValueError):  # before Linux 5.11 maps are locked memory
                resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            caps.keep_only(kept)
        caps.no_new_privileges()
        if not caps.end_with(parent, signal.SIGKILL):
            os._exit(127)

    return in_child


def _too_many(pid: int, kept: frozenset[int] | None) -> str:
    """What the kernel says of a child that has become bpftrace: a sentence when it may do more than was meant."""
    try:
        found = caps.rights_of(pid)
    except (OSError, KeyError, ValueError):
        return ""  # it has ended already
    more = len(found.held - kept) if kept is not None else 0
    if more:
        return f"bpftrace has {more} capabilities more than it needs: this host does not let us take them away"
    return "" if found.no_new else "bpftrace may gain rights: this host does not keep no_new_privs"
