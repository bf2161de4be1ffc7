"""The doctor: a table that fits 80 columns, JSON with a stable shape, a summary that leaves nothing out."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bpftop.cli import doctor as package
from bpftop.cli.doctor import doctor, show, surroundings
from bpftop.cli.doctor.findings import Findings, Reasoned, ScriptFinding, Summary, TargetFinding, summary
from bpftop.cli.doctor.target import checks as target_checks
from bpftop.cli.doctor.target import examine
from bpftop.errors import TargetError
from bpftop.model import Process, Script, Target, TargetKind
from bpftop.preflight import Check, Problem
from bpftop.scripts import catalog
from bpftop.target.look import Look
from bpftop.tracer.trial import Trial
from tests.fakes import FakeBpftrace, alive
from tests.processes import server

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
WEB = Target("web", TargetKind.NAME, "web", "web", (Process(7, 1, "web"), Process(8, 1, "web")), (80, 443))


def script(name: str, needs: str = "") -> Script:
    return Script(name, f"{name}.bt", name.title(), "", (), (), (), "", needs=needs)


def check(name: str, message: str = "", hint: str = "", fatal: bool = False) -> Check:
    return Check(name, "as it is", Problem(message, hint, fatal) if message else None)


FINE = Findings(
    (check("bpftop"), check("rights")),
    (ScriptFinding(script("requests")), ScriptFinding(script("usdt", "--usdt PATH:START,END"))),
    (check("terminal"),),
)


# --- the summary ---


def test_all_is_well() -> None:
    assert summary(FINE) == Summary(("requests", "usdt (--usdt PATH:START,END)"), (), ())
    assert FINE.fatal == []


def test_what_is_not_here_has_its_reason_once() -> None:
    gone = tuple(ScriptFinding(script(name), "the kernel has no kprobes") for name in ("a", "b"))
    assert summary(replace(FINE, scripts=(*FINE.scripts, *gone))).not_here == (
        Reasoned("a, b", "the kernel has no kprobes"),
    )


def test_what_works_less_well_has_its_reason() -> None:
    found = replace(FINE, after=(check("terminal", "it is small"), check("kprobes", "there are none")))
    assert summary(found).degraded == (Reasoned("the screen", "it is small"),)


def test_a_host_that_cannot_trace_says_so_with_every_cause() -> None:
    found = replace(FINE, before=(check("rights", "no root", "sudo x", True), check("bpftrace", "none", "", True)))
    whole = summary(found)
    assert whole.works == ("the simulation: bpftop demo --simulate",)
    assert whole.not_here == (Reasoned("tracing", "no root"), Reasoned("tracing", "none"))
    assert "this host cannot trace" in show.as_text(found)


def test_a_host_where_no_script_runs_cannot_trace() -> None:
    broken = tuple(ScriptFinding(script(name), trial=Trial(False, 0, 1.0, "no", "x")) for name in ("a", "b"))
    found = replace(FINE, scripts=broken)
    assert [problem.message for problem in found.fatal] == ["no script runs here: no"]
    assert replace(found, scripts=(*broken, FINE.scripts[0])).fatal == []


def test_a_complaint_of_a_script_that_runs_is_a_degradation() -> None:
    odd = ScriptFinding(script("a"), trial=Trial(True, 3, 1.0, "WARNING: odd"))
    whole = summary(replace(FINE, scripts=(odd,)))
    assert (whole.works, whole.degraded) == (("a",), (Reasoned("a", "WARNING: odd"),))


# --- the table ---


def test_the_table_fits_80_columns_and_commands_stay_whole() -> None:
    command = "docker run " + "--an-option-that-is-long " * 4 + "x"
    found = replace(
        FINE,
        before=(check("rights", "a sentence of many words " * 8, command, True), Check("bpftrace", "detail " * 40)),
        scripts=(ScriptFinding(script("requests"), "because of this and that " * 6),),
        target=TargetFinding(WEB, Look(threads=9), "", ("a remark " * 20,), (("http", "it is so " * 12),)),
    )
    lines = show.as_text(found).splitlines()
    assert [line.strip() for line in lines if len(line) > 80] == [f"type: {command}"[:400]]
    assert sum(line.startswith("NO ") for line in lines) == 1
    assert lines[-1] == "this host cannot trace"


def test_marks() -> None:
    found = replace(FINE, before=(Check("x", "?", known=False), check("y", "m"), check("z")))
    assert [line[:5] for line in show.as_text(found).splitlines()[:4]] == ["?    ", "note ", "     ", "ok   "]
    states = {one["name"]: one["state"] for one in json.loads(show.as_json(found, 0))["checks"]}
    assert states == {"x": "unknown", "y": "note", "z": "ok", "terminal": "ok"}


def test_a_variant_is_named() -> None:
    other = replace(script("requests"), variant="kprobe")
    table = show.as_text(replace(FINE, scripts=(ScriptFinding(other),)))
    assert "Requests, by its kprobe variant" in table
    tried = show.as_text(replace(FINE, scripts=(ScriptFinding(other, trial=Trial(True, 8, 1.0)),)))
    assert "kprobe variant: attached 8 probes" in tried


def test_foreign_words_do_not_reach_the_terminal() -> None:
    hostile = "\x1b]0;x\x07"
    target = TargetFinding(replace(WEB, name=hostile, spec=hostile), None, f"no process is named {hostile}")
    found = replace(FINE, before=(check("bpftrace", hostile, hostile),), target=target)
    assert "\x1b" not in show.as_text(found)


def test_the_shape_of_the_json() -> None:
    """Its keys are promised in the documentation."""
    scripts = (ScriptFinding(script("a"), trial=Trial(True, 9, 1.2345)), ScriptFinding(script("b"), known=False))
    found = replace(FINE, scripts=scripts, target=TargetFinding(WEB, Look(udp=(53,)), "", ("r",), (("http", "w"),)))
    document = json.loads(show.as_json(found, 0))
    assert document["schema"] == "bpftop-doctor/1"
    assert set(document) == {
        *("schema", "bpftop", "python", "kernel", "exit_code", "checks", "scripts", "target"),
        *("works", "degraded", "not_here"),
    }
    assert set(document["checks"][0]) == {"name", "detail", "state", "problem", "cure"}
    assert document["scripts"][0] == {
        **{"name": "a", "title": "A", "default": False, "needs": None, "variant": None, "runs": True, "problem": None},
        "cure": None,
        "trial": {"attached": True, "probes": 9, "seconds": 1.234},
    }
    assert document["scripts"][1]["runs"] is None
    assert document["target"]["pids"] == [7, 8]
    assert document["target"]["look"]["udp"] == [53]
    assert document["target"]["unfit"] == [{"script": "http", "because": "w"}]


# --- what is around ---


TERMINAL: dict[str, Any] = {"is_terminal": True, "size": (120, 40), "encoding": "utf-8"}


@pytest.mark.parametrize(
    ("environment", "changes", "detail", "problem"),
    [
        ({"TERM": "xterm-256color"}, {}, "xterm-256color, 256 colours, utf-8, 120 × 40", ""),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, {}, "all colours", ""),
        ({"TERM": "linux"}, {}, "16 colours", ""),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, {}, "no colours (NO_COLOR)", ""),
        ({}, {}, "TERM is not set", "cannot be drawn on"),
        ({"TERM": "dumb"}, {}, "dumb", "TERM is dumb"),
        ({"TERM": "xterm"}, {"encoding": "ANSI_X3.4-1968"}, "ansi-x3.4-1968", "the screen writes UTF-8"),
        ({"TERM": "xterm"}, {"size": (79, 24)}, "79 × 24", "smaller than 80 × 24"),
        ({"TERM": "xterm"}, {"size": (80, 24)}, "80 × 24", ""),
        ({}, {"is_terminal": False}, "none: bpftop report", ""),
    ],
)
def test_the_terminal(environment: dict[str, str], changes: dict[str, Any], detail: str, problem: str) -> None:
    found = surroundings.terminal(environment, **(TERMINAL | changes))
    assert detail in found.detail
    assert (problem in found.problem.message) if found.problem else not problem
    assert found.problem is None or not found.problem.fatal


def test_a_numpy_for_newer_processors_ends_the_child_and_not_the_doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGILL)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = surroundings.numpy()
    assert found.problem is not None
    assert "ended by SIGILL: this processor is too old" in found.problem.message
    assert found.problem.hint.endswith("-m pip install 'numpy<2.4'")


def test_numpy_is_looked_at_here_when_no_child_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert surroundings.numpy().problem is None


# --- the target ---


def test_a_target_that_does_not_run() -> None:
    found = examine("zz-not-there", [])
    assert found.look is None
    [line] = target_checks(found)
    assert line.problem is not None
    assert "bpftop waits for it" in line.problem.message
    [gone] = target_checks(examine("4194304", []))
    assert gone.problem is not None
    assert "waits" not in gone.problem.message


def test_an_impossible_target_is_refused() -> None:
    with pytest.raises(TargetError):
        examine("-x", [])


def test_what_fits_a_server_and_what_does_not() -> None:
    with server(comm="zz-doctor", listen=[{"host": "127.0.0.1"}]) as one:
        found = examine("zz-doctor", catalog().values())
        assert found.target.pids == (one.pid,)
        unfit = dict(found.unfit)
        assert "requests" not in unfit
        assert unfit.get("upstream", "it has no connection").startswith("it has no connection")
        assert unfit.get("eventloop", "it does not wait with epoll") == "it does not wait with epoll"
        lines = {line.name: line.detail for line in target_checks(found)}
        assert lines["running"] == f"1 process ({one.pid}), 1 thread"
        assert lines["ports"] == str(one.ports[0])
    with server(comm="zz-doctor"):
        assert dict(examine("zz-doctor", catalog().values()).unfit)["requests"] == "it listens on no TCP port"


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (Look(io_uring=1), "io_uring"),
        (Look(udp=(443,)), "UDP on port 443"),
        (Look(unix=("/run/php.sock",)), "unix socket /run/php.sock"),
        (Look(libraries=("libssl.so.3",)), "TLS"),
    ],
)
def test_what_is_not_seen_is_said(seen: Look, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from bpftop.cli.doctor import target

    monkeypatch.setattr(target, "resolve", lambda _: WEB)
    monkeypatch.setattr(target, "look", lambda _: seen)
    [remark] = examine("web", []).remarks
    assert words in remark


def test_kprobes_are_missed_where_a_script_needs_them() -> None:
    none = Check("kprobes", "none", Problem("no kprobes", "boot another", fatal=False))
    assert package._needed(none, FINE.scripts).problem is None
    assert package._needed(none, (ScriptFinding(script("x"), "no kprobes"),)) == none
    assert package._needed(check("uprobes", "none"), FINE.scripts).problem is not None


def test_where_it_runs() -> None:
    def where(**facts: Any) -> str:
        found = TargetFinding(WEB, Look(**facts))
        return next(line.detail for line in target_checks(found) if line.name == "where")

    assert where() == "in the namespaces of this host"
    assert where(units=("web.service",)) == "unit web.service"
    inside = where(containers=("a" * 64,), foreign=("pid", "net", "mnt"), inner_pids=(1, 7))
    assert inside == ("container aaaaaaaaaaaa, its own namespace for processes, network, files, process 1, 7 inside")


# --- the whole ---


def options(**changes: Any) -> argparse.Namespace:
    given = {"bpftrace": None, "words": ["doctor"], "target": None, "attempt": False, "json": False}
    return argparse.Namespace(**given | changes)


@root
def test_every_script_is_tried_and_none_is_left_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a bpftrace that attaches all but the second script."""
    body = """
if RUN >= 1: complain(b"s:1:2-3: ERROR: tracepoint not found: a:b\\n"); sys.exit(1)
live(1)
"""
    fake = FakeBpftrace(tmp_path, body)
    scripts = {name: one for name, one in catalog().items() if not one.needs}
    first, second = list(scripts)[:2]
    monkeypatch.setattr(package, "_catalog", lambda: ([scripts[first], scripts[second]], []))
    code = doctor(options(attempt=True, json=True, bpftrace=fake.path))
    document = json.loads(capsys.readouterr().out)
    assert not any(alive(run["pid"]) for run in fake.runs)
    tried = {one["name"]: one for one in document["scripts"]}
    assert tried[first]["trial"]["attached"] is True
    assert tried[first]["trial"]["probes"] == 9
    assert tried[second]["runs"] is False
    assert "no tracepoint a:b" in tried[second]["problem"]
    assert document["works"] == [first]
    assert document["not_here"][0]["what"] == second
    assert code == document["exit_code"] == 0
    assert "together" not in {one["name"] for one in document["checks"]}, "only one is left"


@root
def test_the_default_scripts_are_tried_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attaches by itself and the two do not."""
    body = """
if RUN >= 2:
    complain(b"ERROR: Error loading BPF program for x. Error code: -7 (Argument list too long).\\n")
    os._exit(255)
live(1)
"""
    fake = FakeBpftrace(tmp_path, body)
    scripts = [replace(catalog()[name], default=True) for name in ("requests", "connections")]
    monkeypatch.setattr(package, "_catalog", lambda: (scripts, []))
    assert doctor(options(attempt=True, json=True, bpftrace=fake.path)) == 0
    document = json.loads(capsys.readouterr().out)
    [together] = [one for one in document["checks"] if one["name"] == "together"]
    assert (together["state"], together["detail"]) == ("note", "requests and connections")
    assert "verifier refused the program: Argument list too long" in together["problem"]
    assert document["works"] == ["requests", "connections"]
    assert "the default scripts together" in {one["what"] for one in document["degraded"]}


@pytest.mark.kernel
def test_here_scripts_attach(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The strongest check: compile, attach and the first figures, with the real bpftrace."""
    known = catalog()
    monkeypatch.setattr(package, "_catalog", lambda: ([known["requests"], known["connections"]], []))
    code = doctor(options(attempt=True, json=True))
    document = json.loads(capsys.readouterr().out)
    tried = {one["name"]: one["trial"] for one in document["scripts"] if one["trial"]}
    assert set(tried) == {"requests", "connections"}
    [together] = [one for one in document["checks"] if one["name"] == "together"]
    assert together["state"] == "ok"
    assert all(trial["attached"] and trial["probes"] > 0 for trial in tried.values()), document["scripts"]
    assert code == 0
