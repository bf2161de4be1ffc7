"""One run from its start to its end, with a bpftrace that has every bad habit."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bpftop import procfs
from bpftop.anyscript import attached
from bpftop.anyscript import run as run_module
from bpftop.anyscript.ending import ending_of
from bpftop.anyscript.model import RunSnapshot, RunState, UserScript
from bpftop.anyscript.run import ScriptRun, source_for
from bpftop.anyscript.scan import maps_of
from tests.fakes import FakeBpftrace, alive, wait_for

TEXT = "tracepoint:a:b { @n = count(); @k[comm] = count(); }\n"
Make = Callable[[str], tuple[ScriptRun, FakeBpftrace]]


def script(text: str = TEXT, argv: tuple[str, ...] = ()) -> UserScript:
    return UserScript("tools/x.bt", text, "x.bt", maps_of(text), None, argv)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    monkeypatch.setattr(run_module, "_QUIET_S", 0.5)
    started: list[ScriptRun] = []

    def make(body: str) -> tuple[ScriptRun, FakeBpftrace]:
        fake = FakeBpftrace(tmp_path, body)
        program = ScriptRun(script(argv=("7", "-x")), source_for(script(argv=("7", "-x")), str(fake.path)), "0.17.0")
        program.start()
        started.append(program)
        return program, fake

    yield make
    for each in started:
        each.kill()


def at_end(program: ScriptRun) -> RunSnapshot:
    wait_for(lambda: program.wait(0.05), "it did not end")
    return program.snapshot()


def words(snapshot: RunSnapshot) -> list[str]:
    return [line.text for line in snapshot.log]


def test_a_run_that_ends_as_asked(made: Make) -> None:
    program, fake = made(
        "def end(number):\n    note(signal=number)\n    say(b'\\n\\n')\n    line('map', {'@k': {'a': 3, 'b': 4}})\n"
        "    os._exit(0)\non_signals(end)\nattached(3)\nprintf('one')\nline('printf', 'no end ')\n"
        "line('map', {'@n': 7})\nline('join', 'ls -l')\nforever()"
    )
    wait_for(lambda: program.snapshot().log_lines == 3)
    live = program.snapshot()
    assert (live.state, live.probes, live.over) == (RunState.LIVE, 3, False)
    assert words(live) == ["one", "no end @n: 7", "ls -l"]
    wait_for(lambda: (program.live_s or 0) > 0.4)
    program.end()
    program.end()
    last = at_end(program)
    assert (last.state, last.exit_code, last.detail) == (RunState.ENDED, 0, "ended as asked")
    assert last.unattached, "this bpftrace holds no perf event"
    assert {view.name: [row.value for row in view.rows] for view in last.maps} == {"@n": [7], "@k": [4, 3]}
    assert fake.signals == [signal.SIGINT]


def test_what_the_child_is_given(made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"BPFTRACE_STRLEN": "200", "BPFTRACE_BTF": "/bad", "LD_PRELOAD": "", "SECRET": "x"}.items():
        monkeypatch.setenv(name, value)
    program, fake = made("attached()\nprintf('x')")
    at_end(program)
    [run] = fake.runs
    assert run["text"] == TEXT, "the program is not altered"
    assert run["argv"][-3:] == ["--", "7", "-x"]
    assert "--unsafe" not in run["argv"]
    assert run["env"]["BPFTRACE_STRLEN"] == "200"
    assert not {"BPFTRACE_BTF", "SECRET", "LD_PRELOAD"} & set(run["env"])
    assert run["cwd"] == os.getcwd()
    assert run["group"] == run["pid"] != os.getpgid(0)


def test_a_signal_that_was_missed_is_sent_again(made: Make) -> None:
    program, fake = made(
        "seen = []\ndef second(number):\n    note(signal=number)\n    seen.append(number)\n"
        "    if len(seen) == 2:\n        line('map', {'@n': 2})\n        os._exit(0)\n"
        "on_signals(second)\nattached()\nforever()"
    )
    wait_for(lambda: program.snapshot().state is RunState.LIVE)
    program.end()
    assert at_end(program).state is RunState.ENDED
    assert fake.signals == [signal.SIGINT] * 2
    assert [view.name for view in program.snapshot().maps] == ["@n"]


def test_one_that_still_prints_is_not_hurried(made: Make) -> None:
    """Detaching hundreds of probes takes half a minute; its maps come after that."""
    program, fake = made(
        "def slow(number):\n    note(signal=number)\n"
        "    for i in range(15):\n        time.sleep(0.1)\n        printf('x')\n"
        "    line('map', {'@n': 9})\n    os._exit(0)\non_signals(slow)\nattached()\nforever()"
    )
    wait_for(lambda: program.snapshot().state is RunState.LIVE)
    program.end()
    wait_for(lambda: program.snapshot().log_lines > 2)
    assert program.snapshot().state is RunState.STOPPING
    assert [row.value for row in at_end(program).maps[0].rows] == [9]
    assert fake.signals == [signal.SIGINT]


def test_one_that_works_on_a_large_map_is_not_hurried(made: Make) -> None:
    program, fake = made(
        "def busy(number):\n    note(signal=number)\n    end = time.process_time() + 1.5\n"
        "    while time.process_time() < end:\n        pass\n"
        "    line('map', {'@n': 9})\n    os._exit(0)\non_signals(busy)\nattached()\nforever()"
    )
    wait_for(lambda: program.snapshot().state is RunState.LIVE)
    program.end()
    assert [row.value for row in at_end(program).maps[0].rows] == [9]
    assert fake.signals == [signal.SIGINT]


def test_one_that_ignores_everything_is_killed(made: Make) -> None:
    program, fake = made("ignores()\nattached()\nforever()")
    wait_for(lambda: program.snapshot().state is RunState.LIVE)
    program.end()
    last = at_end(program)
    assert (last.state, last.exit_code) == (RunState.ENDED, -signal.SIGKILL)
    assert "before all its maps had come" in last.detail
    assert fake.signals == [signal.SIGINT, signal.SIGINT, signal.SIGTERM]
    assert not alive(fake.runs[0]["pid"])


def test_one_that_closes_its_pipes_and_stays(made: Make) -> None:
    program, fake = made("attached()\nos.close(1)\nos.close(2)\nforever()")
    last = at_end(program)
    assert last.state is RunState.FAILED
    assert not alive(fake.runs[0]["pid"])


def test_a_flood_is_dropped_and_counted(made: Make) -> None:
    program, _ = made(
        'attached()\nsay(b\'\'.join(b\'{"type": "printf", "data": "%d\\\\n"}\\n\' % i for i in range(60000)))\n'
        "line('lost_events', dict(events=41))"
    )
    last = at_end(program)
    assert (last.log_lines, last.log_dropped, last.lost) == (60_000, 40_000, 41)
    assert words(last)[-1] == "59999"
    lines, dropped, total = program.new_lines(0)
    assert (lines[0].text, dropped, total) == ("40000", 40_000, 60_000)


def test_what_cannot_be_read_is_counted_and_shown(made: Make) -> None:
    program, _ = made("attached()\nsay(b'{broken\\nWARNING: plain words\\n')\nline('new', 1)")
    last = at_end(program)
    assert last.rejected == 2
    assert [(line.text, line.own) for line in last.log][:2] == [("{broken", False), ("WARNING: plain words", False)]


def test_the_descriptors_and_threads_are_gone_after_a_kill(made: Make) -> None:
    program, fake = made("attached()\nforever()")
    wait_for(lambda: program.snapshot().state is RunState.LIVE)
    began = time.monotonic()
    program.kill()
    assert program.wait(5)
    assert time.monotonic() - began < 20
    assert not alive(fake.runs[0]["pid"])


# --- why it ended ---


@pytest.mark.parametrize(
    ("said", "code", "host", "sentence", "line"),
    [
        (
            ["/proc/self/fd/5:2:14-20: ERROR: Unknown function: nosuch"],
            *(1, False, "tools/x.bt:2: Unknown function: nosuch", 2),
        ),
        (["stdin:4:3-4: ERROR: syntax error, unexpected }"], 1, False, "tools/x.bt:4: syntax error, unexpected }", 4),
        (
            ["/proc/self/fd/3:1:9-21: ERROR: system() is an unsafe function being used in safe mode"],
            *(1, False, "tools/x.bt:1: system() can change this host, and bpftop gives no program bpftrace's --unsafe"),
            1,
        ),
        (
            ["/proc/self/fd/5:1:1-37: ERROR: tracepoint not found: a:b"],
            *(1, True, "tools/x.bt:1: the kernel has no tracepoint a:b, or tracefs is not mounted", 1),
        ),
        (
            ["/proc/self/fd/5:1:1-16: ERROR: No matches for kprobe vfs_read."],
            *(1, True, "tools/x.bt:1: the kernel has no function vfs_read to trace, or no kprobes", 1),
        ),
        (
            [
                "create_probe_event: open(/sys/kernel/tracing/kprobe_events): No such file or directory",
                "ERROR: Error a",
            ],
            *(255, True, "tools/x.bt: the kernel has no kprobes (CONFIG_KPROBES)", None),
        ),
        (
            ["definitions.h:2:10: fatal error: 'net/sock.h' file not found"],
            *(1, True, "tools/x.bt: the script includes net/sock.h, and the kernel headers are not installed", None),
        ),
        ([], -11, True, "tools/x.bt: bpftrace crashed (segmentation fault)", None),
    ],
)
def test_why_it_failed(said: list[str], code: int, host: bool, sentence: str, line: int | None) -> None:
    ending = ending_of(script(), said, code, asked=False, was_live=False)
    assert (ending.good, ending.host, ending.sentence, ending.line) == (False, host, sentence, line)
    assert ending.hint


def test_other_ends() -> None:
    def end(code: int | None, **how: bool) -> tuple[bool, str]:
        found = ending_of(script(), [], code, **{"asked": False, "was_live": True, **how})
        return found.good, found.sentence

    assert end(0) == (True, "the program ended by itself")
    assert end(0, asked=True) == (True, "ended as asked")
    assert end(3) == (False, "the program ended itself with exit code 3")
    assert end(-2, asked=True, was_live=False) == (True, "ended before it was attached: bpftrace got signal 2")
    assert end(None)[0] is False


def test_what_a_process_holds() -> None:
    """This one holds no perf event; 0.17 would have one for each CPU without any probe."""
    mine = os.getpid()
    assert attached.held(mine) == 0
    assert attached.held(None) == -1
    assert procfs.cpu_ticks(mine) >= 1
    assert procfs.cpu_ticks(None) == 0
    assert attached.buffers("0.17.0") == os.cpu_count()
    assert attached.buffers("0.27.1") == 0
    assert attached.nothing(0, ("kprobe:x", "interval:s:1"), "0.27.1")
    assert attached.nothing(0, ("interval:s:1",), "0.27.1")
    assert not attached.nothing(0, (), "0.27.1")
    assert not attached.nothing(-1, ("kprobe:x",), "0.27.1")
