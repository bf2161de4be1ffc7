"""Why bpftrace ended: every recorded failure of seven versions has its sentence and its command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpftop.anyscript.ending import unattached
from bpftop.tracer.failures import explain

RUNS: list[dict[str, Any]] = [
    json.loads(line) for line in (Path(__file__).parent / "data" / "failures.jsonl").read_text().splitlines()
]
CONTAINER = "docker run --privileged --pid=host …"
BTF = ("(BTF)", "linux-image-amd64")
EMPTY = ("nothing to attach to", "bpftrace -l")
NO_CODE = ("does not accept line", "--try")
# What each recorded situation must say: a part of the sentence, a part of the command; by version where they differ.
EXPECTED: dict[str, tuple[str, str] | dict[str, tuple[str, str]]] = {
    "not root (uid nobody)": ("needs root", "sudo bpftop TARGET"),
    "root without sys_admin,bpf,perfmon": ("confined", CONTAINER),
    "root without sys_admin,sys_resource, with bpf only(no perfmon)": {
        "0.20.2": ("a missing capability", "--try"),
        "": ("CAP_PERFMON", CONTAINER),
    },
    "user namespace root (unprivileged container)": ("confined", CONTAINER),
    "tracefs not mounted": ("tracefs is not mounted", ""),
    "debugfs missing, /sys/kernel/tracing present": ("tracefs is not mounted", "doctor"),
    "no BTF": BTF,
    "include beside the kernel's types": ("include of linux/sched.h", "--bpftrace NEWER"),
    "no BTF, args": BTF,
    "no BTF, struct cast": BTF,
    "BPFTRACE_BTF=/nonexist": {
        "0.17.0": ("crashed", "apt-get"),
        "0.20.2": ("crashed", "apt-get"),
        "": BTF,
    },
    "unknown tracepoint": ("no tracepoint syscalls:sys_enter_nosuch", "doctor"),
    "unknown category": ("no tracepoint nosuch:foo", "doctor"),
    "unknown tracepoint + good one": ("no tracepoint syscalls:sys_enter_nosuch", "doctor"),
    "comma list one unknown": ("no tracepoint syscalls:sys_enter_nosuch", "doctor"),
    "unknown field": {"0.14.0": BTF, "": ("sys_enter_read has no field nosuch", "--try")},
    "kprobe on kernel without KPROBES": ("no kprobes", "bpftop scripts"),
    "kretprobe": ("no kprobes", "bpftop scripts"),
    "kprobe + tracepoint": ("no kprobes", "bpftop scripts"),
    "kprobe unknown fn": ("no kprobes", "bpftop scripts"),
    "uprobe missing binary": ("no program /nosuch/bin", "ls -l /nosuch/bin"),
    "uprobe missing symbol": {
        **dict.fromkeys(("0.14.0", "0.17.0", "0.20.2"), EMPTY),
        "": ("/bin/bash has no function nosuchfn", "bpftrace -l 'uprobe:/bin/bash:*'"),
    },
    "usdt missing binary": ("no program /nosuch/app", "ls -l /nosuch/app"),
    "usdt missing probe": {
        **dict.fromkeys(("0.14.0", "0.17.0", "0.20.2"), EMPTY),
        "": ("/bin/bash has no marker request_start", "bpftrace -l 'usdt:/bin/bash:*'"),
    },
    "syntax error": NO_CODE,
    "syntax error 2": NO_CODE,
    "undefined variable": NO_CODE,
    "undefined map": NO_CODE,
    "type mismatch": NO_CODE,
    "printf arg count": NO_CODE,
    "printf type": NO_CODE,
    "unsafe": ("calls system()", "bpftop scripts"),
    "missing script file": ("cannot read /nosuch.bt", "ls -l /nosuch.bt"),
    "empty script": ("does not know an option", "bpftrace"),
    "no args": ("does not know an option", "bpftrace"),
    "bad -f": ("does not know an option", "bpftrace"),
    "-k with --no-warnings": ("does not know an option", "bpftrace"),
    "-p missing pid": ("is gone", "ps -e"),
    "-c missing cmd": ("no program /nosuch/cmd", "ls -l /nosuch/cmd"),
    "-c false cmd": ("could not start the command", "--try"),
    "exit(3)": {
        **dict.fromkeys(("0.14.0", "0.17.0", "0.20.2"), NO_CODE),
        "": ("exit code 3 without a word", "--try"),
    },
    "verifier loop": ("verifier", "--try"),
    "bad env MAX_MAP_KEYS": ("is no number", "unset BPFTRACE_MA"),
    "wildcard many": ("721 attach points", "bpftrace"),
    "/tmp readonly": ("cannot write to /tmp", "remount,rw /tmp"),
    "stdin script -": {
        **dict.fromkeys(("0.14.0", "0.17.0", "0.20.2", "0.23.2"), ("empty", "bpftop scripts")),
        "": EMPTY,
    },
}
ENDED = [run for run in RUNS if run["exit_code"] is not None]


def _words(run: dict[str, Any]) -> list[str]:
    """What reaches the session's lines of stderr: stdout that is no JSON goes there too."""
    return [line for line in (*run["stdout"], *run["stderr"]) if not line.startswith("{")]


def test_every_recorded_situation_is_expected_to_say_something() -> None:
    assert {run["case"] for run in ENDED} == set(EXPECTED)
    assert {run["version"] for run in ENDED} == {"0.14.0", "0.17.0", "0.20.2", "0.23.2", "0.24.2", "0.27.0", "0.27.1"}


@pytest.mark.parametrize("run", ENDED, ids=[f"{run['version']}-{run['case']}" for run in ENDED])
def test_a_recorded_failure_has_its_sentence_and_its_command(run: dict[str, Any]) -> None:
    sentence, hint = explain(_words(run), run["exit_code"])
    expected = EXPECTED[run["case"]]
    parts = expected.get(run["version"], expected.get("")) if isinstance(expected, dict) else expected
    assert parts is not None
    assert parts[0] in sentence
    assert parts[1] in hint
    assert "\n" not in sentence + hint
    assert not sentence.startswith("bpftrace says"), "the fallback is for what nobody has recorded"


@pytest.mark.parametrize(
    ("lines", "code", "sentence", "hint"),
    [
        ([], 0, "bpftrace ended with exit code 0 without a word", "sudo bpftop doctor --try"),
        ([], None, "bpftrace ended without a word", "sudo bpftop doctor --try"),
        ([], -15, "bpftrace ended by signal 15 without a word", "sudo bpftop doctor --try"),
        (["ERROR: something new"], 1, "bpftrace says: something new", "sudo bpftop doctor --try"),
        (["ERROR: Could not resolve symbol: /proc/self/exe:BEGIN_trigger"], 255, "stripped", "apt-get"),
        (
            ["x.h:2:10: fatal error: 'net/sock.h' file not found"],
            1,
            "net/sock.h",
            "linux-headers-$(uname -r)",
        ),
        (["perf_event_open: x", "mmap: Operation not permitted"], 255, "perf_event_mlock_kb", "sysctl -w"),
        (["bpftrace: error while loading shared libraries: libbcc.so.0: cannot open"], 127, "libbcc.so.0", "reinstall"),
        (["FATAL: Invalid probe type made it to attachpoint parser"], -6, "kind of probe", "bpftrace"),
    ],
)
def test_further_words(lines: list[str], code: int | None, sentence: str, hint: str) -> None:
    said = explain(lines, code)
    assert sentence in said[0]
    assert hint in said[1]


def test_a_warning_is_not_taken_for_the_cause() -> None:
    """Up to 0.23 one unknown tracepoint of several is a warning; what ended the run is something else."""
    lines = ["stdin:1:1-37: WARNING: tracepoint not found: syscalls:sys_enter_nosuch"]
    assert explain(lines, -9) == ("bpftrace was killed, perhaps for lack of memory", "sudo dmesg | tail")
    assert explain(["stdin:1:1-3: ERROR: tracepoint not found: a:b"], -9)[0] == explain([], -9)[0]
    assert "without a word" in explain(lines, 3)[0]


@given(st.lists(st.text(max_size=80), max_size=6), st.none() | st.integers(-64, 255))
def test_any_words_give_one_sentence_and_one_command(lines: list[str], code: int | None) -> None:
    sentence, hint = explain(lines, code)
    assert sentence
    assert hint


def test_a_tool_that_attaches_nothing_says_whether_kprobes_are_the_reason() -> None:
    """As bpftrace 0.17 said it of biolatency.bt on a kernel without CONFIG_KPROBES."""
    said = ["open(/sys/kernel/tracing/kprobe_events): No such file or directory", "ERROR: failed to detach probe: x"]
    sentence, hint = unattached(said)
    assert "no kprobes" in sentence
    assert hint == "grep -L kprobe /usr/sbin/*.bt"
    assert unattached(["ERROR: something"])[1] == "sudo bpftop doctor"
