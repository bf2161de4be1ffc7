"""The bpftrace child: started without a shell, in a process group of its own, never outliving us."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping

from bpftop.errors import HostError
from bpftop.model import Program
from bpftop.scripts.btf import told_types

_PR_SET_PDEATHSIG = 1
_PERCPU_BUDGET = 64 << 20
"""Bytes of kernel memory that one per-CPU map may take."""
_HARMLESS = (
    "couldn't set RLIMIT_MEMLOCK",  # needs CAP_SYS_RESOURCE; unused by kernels since 5.11
    "Addrspace mismatch",  # bpftrace issue 3829
)
_libc = ctypes.CDLL(None, use_errno=True)


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
    ) -> None:
        """``cwd`` and ``settings`` (``BPFTRACE_STRLEN`` …) are for programs of the user's own."""
        self._program = program
        self._path = bpftrace_path
        self._cwd = cwd
        self._own = settings is not None
        self._settings = dict(settings or {})
        self._child: subprocess.Popen[bytes] | None = None
        self.stdout = self.stderr = -1
        self.pid: int | None = None

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
                env=_environment() | told_types(modules=self._own) | self._settings,
                cwd=self._cwd,
                start_new_session=True,
                preexec_fn=_die_with_parent(os.getpid()),
            )
        except OSError as error:
            raise HostError(f"cannot start {self._path}: {error.strerror}", "apt-get install bpftrace") from error
        finally:
            os.close(script)
        assert self._child.stdout is not None
        assert self._child.stderr is not None
        self.stdout, self.stderr = self._child.stdout.fileno(), self._child.stderr.fileno()
        self.pid = self._child.pid

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

        Closes the pipes.
        """
        if self._child is None:
            return None
        try:
            code = self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        for pipe in (self._child.stdout, self._child.stderr):
            if pipe is not None:
                pipe.close()
        return code

    def _signal(self, number: int) -> None:
        if self._child is not None and self._child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, number)


def _environment() -> dict[str, str]:
    """A fixed environment: nothing of the caller's reaches a root process."""
    keys = str(map_keys())
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "BPFTRACE_MAP_KEYS_MAX": keys,  # up to 0.23
        "BPFTRACE_MAX_MAP_KEYS": keys,  # 0.20 and newer
    }


def _die_with_parent(parent: int) -> Callable[[], None]:
    def in_child() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the call above
            os._exit(127)

    return in_child
