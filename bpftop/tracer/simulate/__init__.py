"""A run of bpftrace that never was: the demo's story as the very bytes, for hosts that cannot trace and for tests.

Decoder, store and screen cannot tell the difference, except that the label says ``simulation``.
"""

from __future__ import annotations

import os
import select
import threading
import time

from bpftop.demo.story import Story
from bpftop.model import Process, Program, Target, TargetKind
from bpftop.tracer.simulate.probes import Probes, Truth, attached, printf
from bpftop.tracer.simulate.traffic import Traffic

__all__ = ["SimulatedSource", "Truth", "simulated_target"]

NAME = "demo-server"
PID = 4242
PORT = 8080
PROBES = 9
STEP_S = 0.1
STEPS_PER_TICK = 10
FIRST_TICK_STEP = 2
"""The first tick comes early, so that a screen has something to show at once."""
STEPS_PER_HEARTBEAT = 5
CPUS = 2
LATE_S = 5.0
"""Behind by more than this (a suspended laptop, a reader that stopped reading), the story skips the gap."""


def simulated_target() -> Target:
    """The server that a simulation pretends to watch."""
    return Target("demo", TargetKind.NAME, NAME, NAME, (Process(PID, 0, NAME),), (PORT,))


class SimulatedSource:
    """A ``Source`` (see ``bpftop.tracer.source``): a thread writes into a pipe what bpftrace would print.

    Args:
        program: its measures are filled by name, its streams' fields too; what the story does not know stays empty.
        speed: story seconds per second. Ticks stay one story second apart, and ``boot_ns`` follows the story.
    """

    label = "simulation"
    pid: int | None = None

    def __init__(self, program: Program, story: Story | None = None, *, seed: int = 1, speed: float = 1.0) -> None:
        story = story or Story(seed)
        self.stdout = -1
        self.stderr = -1
        self._speed = speed
        self._traffic = Traffic(story, seed)
        self._probes = Probes(program, tuple(client.address for client in story.clients), PID, PORT)
        self._ask_stop = threading.Event()
        self._killed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="simulation", daemon=True)
        self._out = -1
        self._err = -1

    def start(self) -> None:
        """Begin; returns at once."""
        self.stdout, self._out = os.pipe()
        self.stderr, self._err = os.pipe()
        os.set_blocking(self._out, False)
        self._thread.start()

    def stop(self) -> None:
        """Ask for the end; the last counts still arrive before end of file."""
        self._ask_stop.set()

    def wait(self, timeout_s: float) -> int | None:
        """0 after the end, -9 after ``kill``, ``None`` when it still runs."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                return None
        return -9 if self._killed.is_set() else 0

    def kill(self) -> None:
        """End now, without the last counts."""
        self._killed.set()
        self._ask_stop.set()

    def truth(self) -> Truth:
        """The exact counts written, once the run is over; before, they may be ahead of what was printed."""
        return self._probes.truth()

    def _run(self) -> None:
        try:
            self._tell()
        except BrokenPipeError:
            pass  # nobody reads: over
        finally:
            os.close(self._out)
            os.close(self._err)

    def _tell(self) -> None:
        self._write(attached(PROBES))
        boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        began_s = time.monotonic()
        step = 0
        while not self._ask_stop.is_set():
            step += 1
            due_s = began_s + step * STEP_S / self._speed
            late_s = time.monotonic() - due_s
            if late_s > LATE_S:
                began_s += late_s
                boot_ns += int(late_s * self._speed * 1e9)
            elif late_s < 0 and self._ask_stop.wait(-late_s):
                break
            self._write(self._step(step, boot_ns))
        self._write(self._probes.end())

    def _step(self, step: int, boot_ns: int) -> bytes:
        """The lines of one tenth of a story second."""
        end_s = step * STEP_S
        text = self._probes.observe(self._traffic.advance(end_s - STEP_S, end_s), boot_ns)
        self._probes.adapt()
        if step % STEPS_PER_HEARTBEAT == 0:
            text += b"".join(printf(f"H {cpu}") for cpu in range(CPUS))
        if step == FIRST_TICK_STEP or step % STEPS_PER_TICK == 0:
            text += self._probes.tick(boot_ns + int(end_s * 1e9))
        return text

    def _write(self, text: bytes) -> None:
        """All of it, waiting for a slow reader unless killed."""
        view = memoryview(text)
        while len(view) and not self._killed.is_set():
            if select.select([], [self._out], [], 0.1)[1]:
                view = view[os.write(self._out, view) :]
