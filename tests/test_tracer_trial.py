"""One script tried: it attaches, or it is said why not; whatever it does, it is ended."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from bpftop.errors import HostError
from bpftop.tracer import trial
from bpftop.tracer.supervisor import BpftraceSource
from bpftop.tracer.trial import Trial, attach
from tests.fakes import FakeBpftrace, alive
from tests.recordings import program


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
