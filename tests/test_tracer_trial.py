"""One script tried: it attaches, or it is said why not; whatever it does, it is ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from bpftop.errors import HostError
from bpftop.people import named
from bpftop.supervision.drop import leave_root
from bpftop.tracer import apart, trial
from bpftop.tracer.supervisor import BpftraceSource
from bpftop.tracer.trial import Trial, attach
from bpftop.tracer.trial import attach as attach_with
from tests.fakes import FakeBpftrace, alive
from tests.recordings import program

LEAVE: list[Callable[[], None] | None] = [None, lambda: None]
"""Read here, or by another process."""


@pytest.fixture(params=LEAVE, ids=["here", "apart"], autouse=True)
def leave_rights(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.test_tracer_trial.attach", partial(attach_with, leave_rights=request.param))


def tried(folder: Path, body: str, limit_s: float = 30) -> tuple[Trial, FakeBpftrace]:
    fake = FakeBpftrace(folder, body)
    result = attach(BpftraceSource(program(), str(fake.path)), limit_s)
    assert not any(alive(run["pid"]) for run in fake.runs)
    return result, fake


def test_a_script_that_reports_is_attached_and_ended_gently(tmp_path: Path) -> None:
    result, fake = tried(tmp_path, "live(4)")
    assert (result.attached, result.probes, result.problem, result.hint) == (True, 9, "", "")
    assert 0 < result.seconds < 30
    assert fake.signals == [signal.SIGINT]


def test_a_complaint_of_one_that_reports_is_kept(tmp_path: Path) -> None:
    """Up to 0.23 bpftrace goes on without an attach point that it does not find."""
    words = "s:1:1-3: WARNING: tracepoint not found: a:b"
    result, _ = tried(tmp_path, f"complain(b'{words}\\n'); live(4)")
    assert result.attached
    assert result.problem == words


@pytest.mark.parametrize(
    ("body", "problem", "hint"),
    [
        ("complain(b'ERROR: tracepoint not found: a:b\\n'); sys.exit(1)", "no tracepoint a:b", "doctor"),
        ("attached(); os._exit(255)", "exit code 255 without a word", "--try"),
        ("say(b'No probes to attach\\n'); sys.exit(1)", "nothing to attach to", "bpftrace -l"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed", "apt-get"),
    ],
)
def test_one_that_ends_by_itself_says_why(tmp_path: Path, body: str, problem: str, hint: str) -> None:
    result, _ = tried(tmp_path, body)
    assert not result.attached
    assert result.probes == 0
    assert problem in result.problem
    assert hint in result.hint


@pytest.mark.parametrize(
    ("body", "probes", "problem"),
    [("forever()", 0, "was still compiling"), ("attached(3); forever()", 3, "attached 3 probes, but reported nothing")],
)
def test_one_that_says_nothing_has_its_time_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, probes: int, problem: str
) -> None:
    monkeypatch.setattr(trial, "_LADDER_S", (("stop", 0.2), ("terminate", 0.2), ("kill", 30.0)))
    result, fake = tried(tmp_path, f"ignores(); note(ready=1); {body}", 3)
    assert (result.attached, result.probes) == (False, probes)
    assert problem in result.problem
    assert result.problem.endswith("after 3 s")
    assert fake.signals == [signal.SIGINT, signal.SIGTERM]


def test_a_program_that_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(HostError):
        attach(BpftraceSource(program(), str(tmp_path / "none")))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_who_reads_has_no_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root; the words that it explains tell who it was."""
    monkeypatch.setattr(trial, "explain", lambda words, code: (f"{os.getresuid()} {words} {code}", ""))
    fake = FakeBpftrace(tmp_path, "complain(b'no\\n'); sys.exit(3)")
    source, parent = BpftraceSource(program(), str(fake.path)), os.getpid()
    found = attach_with(source, 30, lambda: leave_root(named("nobody"), parent))
    nobody = named("nobody").uid
    assert found.problem == f"{(nobody,) * 3} ['no'] 3"


@pytest.mark.parametrize(
    "said",
    [b"", b"{", b"[]", b"null", b"\xff", b'{"attached": true}', b"[" * 5000,
     b'{"attached": 1, "probes": 1, "seconds": 1.0, "problem": "", "hint": ""}',
     b'{"attached": true, "probes": 1, "seconds": 1.0, "problem": [], "hint": ""}'],
)  # fmt: skip
def test_what_is_no_trial_is_none(said: bytes) -> None:
    assert apart._trial(said) is None


def test_a_reader_that_dies_is_said(tmp_path: Path) -> None:
    def dies() -> None:
        os._exit(9)

    fake = FakeBpftrace(tmp_path, "live(4)")
    found = attach_with(BpftraceSource(program(), str(fake.path)), 30, dies)
    assert (found.attached, found.problem) == (False, "the process that reads bpftrace's words ended early")
    assert not any(alive(run["pid"]) for run in fake.runs)
