"""Two processes: what one may ask of the other, who each of them is, and that both end together."""

from __future__ import annotations

import json
import os
import pwd
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bpftop import capabilities, people
from bpftop.errors import HostError, UsageError
from bpftop.model import Program
from bpftop.supervision.allowance import Allowance
from bpftop.supervision.apart import apart
from bpftop.supervision.drop import SUPERVISING
from bpftop.supervision.requests import LONGEST, WORDS, Argument, Refused, read, written
from bpftop.tracer.supervisor import BpftraceSource
from tests.fakes import FakeBpftrace, alive, wait_for
from tests.supervised import ROOT, run
from tests.ui.ptys import child_in_terminal

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
NOBODY = pwd.getpwnam("nobody")

# --- requests ---------------------------------------------------------------------------------------------------------


@given(
    st.binary(max_size=120) | st.from_regex(r"[0-9]{1,3} [a-z]{3,9}( [a-z0-9_-]{0,9})?", fullmatch=True).map(str.encode)
)
@example(b"1 start requests\n")
@example(b"1 start ../../etc/passwd")
@example(b"1 start BEGIN{system()}")
@example("1 start réquests".encode())
@example("１ open".encode())
def test_only_the_vocabulary_is_understood(packet: bytes) -> None:
    try:
        request = read(packet)
    except Refused:
        return
    assert request.word in WORDS
    assert re.fullmatch(r"([a-z][a-z0-9_-]{0,31})?", request.name)
    assert (request.run >= 0) == (WORDS[request.word] is Argument.RUN)
    assert bool(request.name) == (WORDS[request.word] is Argument.NAME)


@pytest.mark.parametrize("word", WORDS)
def test_what_is_written_is_what_is_read(word: str) -> None:
    arguments: dict[Argument, str | int] = {Argument.NOTHING: "", Argument.NAME: "requests", Argument.RUN: 7}
    argument = arguments[WORDS[word]]
    request = read(written(12, word, argument))
    assert (request.number, request.word, request.name or request.run) == (12, word, argument if argument != "" else -1)


@pytest.mark.parametrize(
    "packet",
    [b"", b"1", b"1 ", b"1 reboot", b"1 start", b"1 start 3", b"1 kill", b"1 kill x", b"1 open x", b"1 open ",
     b"-1 open", b"1  open", b"1 OPEN", b"1 start " + b"x" * 33, b"1 start x y", b"9" * 10 + b" open", b"1 open\0",
     b"1 start " + b"y" * LONGEST],
)  # fmt: skip
def test_everything_else_is_refused(packet: bytes) -> None:
    with pytest.raises(Refused):
        read(packet)


def test_work_apart_leaves_nothing_but_its_result() -> None:
    def heavy() -> list[str]:
        import wave

        return [wave.__name__, str(os.getppid())]

    assert apart(heavy) == ["wave", str(os.getpid())]
    assert "wave" not in sys.modules


def _refused() -> str:
    raise HostError("no bpftrace", "apt-get install bpftrace")


def _wrong() -> str:
    raise KeyError("a defect")


def _killed() -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


def test_what_goes_wrong_apart_is_told_here() -> None:
    with pytest.raises(HostError, match="no bpftrace") as told:
        apart(_refused)
    assert told.value.hint == "apt-get install bpftrace"
    with pytest.raises(RuntimeError, match="KeyError: 'a defect'"):
        apart(_wrong)
    with pytest.raises(RuntimeError, match="ended"):
        apart(_killed)


def test_an_allowance_is_so_many_at_once_and_then_so_many_a_second() -> None:
    now = [0.0]
    allowance = Allowance(2, 3, lambda: now[0])
    assert [allowance.take() for _ in range(4)] == [True, True, True, False]
    now[0] = 0.5
    assert [allowance.take() for _ in range(2)] == [True, False]
    now[0] = 1000.0
    assert sum(allowance.take() for _ in range(10)) == 3


# --- rights -----------------------------------------------------------------------------------------------------------

WITHOUT_SETPCAP = """
import os, sys
from bpftop import capabilities as c
c.keep_only(set(range(64)) - {c.CAP_SETPCAP})
c.no_new_privileges()
c.keep_only({c.CAP_BPF})
os.execv("/bin/cat", ["cat", "/proc/self/status"])
"""
SUPERVISES = """
import os, sys
from bpftop import capabilities as c
from bpftop.supervision import drop
drop.supervise()
print(sorted(c.rights_of("self").held), c.rights_of("self").no_new)
with drop.acting_as(drop.Person("nobody", 65534, 65534, "/")):
    print(os.geteuid())
drop.supervise_only()
print(sorted(c.rights_of("self").held), c.rights_of("self").no_new)
try:
    os.seteuid(65534)
except PermissionError:
    print("refused")
os.execv("/bin/cat", ["cat", "/proc/self/status"])
"""


def ran(program: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()


def sets(lines: list[str]) -> dict[str, set[int]]:
    """The capability sets in a text like /proc/PID/status."""
    words = dict(line.split(":\t", 1) for line in lines if line.startswith("Cap"))
    return {name: {n for n in range(64) if int(value, 16) >> n & 1} for name, value in words.items()}


@root
def test_where_the_bounding_set_cannot_shrink_a_program_gets_nothing_back_all_the_same() -> None:
    found = sets(ran(WITHOUT_SETPCAP))
    assert len(found["CapBnd"]) > 10
    assert found["CapEff"] | found["CapPrm"] | found["CapInh"] | found["CapAmb"] == {capabilities.CAP_BPF}


@root
def test_the_supervisor_keeps_what_it_needs_and_after_the_start_may_become_nobody_else() -> None:
    before, acting, after, refused, *status = ran(SUPERVISES)
    ours = capabilities.rights_of("self").held
    assert before == f"{sorted(ours & (SUPERVISING | {6, 7}))} True"
    assert (acting, refused) == ("65534", "refused")
    assert after == f"{sorted(ours & SUPERVISING)} True"
    found = sets(status)
    assert found["CapBnd"] == found["CapEff"] == ours & SUPERVISING
    assert not found["CapBnd"] & {0, 16, 17, 22, 23, 25, 27, 29}, "no chown, modules, raw devices, reboot, time, mknod"


@root
def test_a_bpftrace_with_more_rights_than_meant_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeBpftrace(tmp_path, "forever()")
    source = BpftraceSource(Program("", (), (), ()), str(fake.path))
    source.start()
    assert source.rights == ""
    source.kill()
    source.wait(10)
    monkeypatch.setattr(capabilities, "keep_only", lambda *_: None)
    source = BpftraceSource(Program("", (), (), ()), str(fake.path))
    source.start()
    assert re.fullmatch(r"bpftrace has \d+ capabilities more than it needs: this host .* away", source.rights)
    source.kill()
    source.wait(10)


@root
def test_a_bpftrace_whose_rights_cannot_be_taken_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(capabilities, "keep_only", refuse)
    fake = FakeBpftrace(tmp_path, "forever()")
    with pytest.raises(HostError, match="rights could not be taken away, so it was not started"):
        BpftraceSource(Program("", (), (), ()), str(fake.path)).start()
    assert not fake.runs


LATE = """
import asyncio, importlib.abc, sys
from tests.ui import builders, driving
from bpftop.supervision.drop import import_everything
import_everything()
late = []
class Late(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name not in ("_curses_panel",):
            late.append(name)
sys.meta_path.insert(0, Late())
async def steps(app, pilot):
    for key in [*"1234567890", "question_mark", "escape", "slash", "escape", "e", "b", "v", "c", "l", "s", "m", "t",
                "ctrl+p", "escape", "f", "enter", "escape", "plus", "p", "left_square_bracket", "end", "y"]:
        await pilot.press(key)
        await pilot.pause()
driving.drive(builders.live(), steps)
print(late)
"""


def test_all_imports_are_finished_before_the_rights_are_left() -> None:
    """Every pane, the help, the palette, a filter, a notification, a theme: nothing is imported any more."""
    assert ran(LATE) == ["[]"]


# --- who called -------------------------------------------------------------------------------------------------------


def test_the_caller_is_whom_the_system_knows() -> None:
    uid, gid = str(NOBODY.pw_uid), NOBODY.pw_gid
    for environment in (
        {"SUDO_UID": uid, "SUDO_GID": str(gid)},
        {"SUDO_UID": uid},
        {"SUDO_UID": uid, "SUDO_GID": "0"},  # a group that the user is not in
        {"SUDO_UID": uid, "SUDO_GID": "x"},
        {"PKEXEC_UID": uid},
        {"DOAS_USER": "nobody"},
    ):
        found = people.caller(environment)
        assert found is not None
        assert (found.name, found.uid, found.gid) == ("nobody", NOBODY.pw_uid, gid), environment


@pytest.mark.parametrize(
    "uid", ["", "0", "-1", "nobody", "65534 ", "６５５３４", "4294967295", "99999999999", "3999999999"]
)
def test_nobody_else_is(uid: str) -> None:
    assert people.caller({"SUDO_UID": uid, "SUDO_GID": "0"}) is None
    assert people.caller({"PKEXEC_UID": uid}) is None
    assert people.caller({}) is None


@pytest.mark.parametrize("name", ["root", "", "no such user", "a\0b"])
def test_a_user_who_is_none_is_said(name: str) -> None:
    with pytest.raises(UsageError, match="there is no user"):
        people.named(name)
    assert people.caller({"DOAS_USER": name}) is None


# --- the two together -------------------------------------------------------------------------------------------------

RIGHTS = """
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
say(**{name: status[name] for name in ("Uid", "Gid", "Groups", "CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb",
    "NoNewPrivs")})
import os, subprocess
for what in (lambda: os.setuid(0), lambda: os.setgroups([0]), lambda: os.kill(supervisor, 0),
             lambda: open("/proc/%d/mem" % supervisor, "rb"), lambda: open("/etc/shadow")):
    try:
        what()
        say(could=True)
    except OSError:
        pass
"""


@root
def test_the_other_process_has_no_rights_left_and_no_way_to_new_ones(tmp_path: Path) -> None:
    code, [rights], stderr = run(FakeBpftrace(tmp_path, "").path, RIGHTS)
    assert (code, stderr) == (0, "")
    assert rights.pop("Uid").split() == [str(NOBODY.pw_uid)] * 4
    assert rights.pop("Gid").split() == [str(NOBODY.pw_gid)] * 4
    assert "0" not in rights.pop("Groups").split()
    assert rights.pop("NoNewPrivs") == "1"
    assert {name: int(value, 16) for name, value in rights.items()} == dict.fromkeys(rights, 0)


@root
def test_a_run_is_read_through_its_pipes_and_ended_by_asking(tmp_path: Path) -> None:
    fake = FakeBpftrace(tmp_path, "ends_well(1)\nsay(b'hello')\nforever()")
    body = """
import os
facts, source = link.begin("open")
say(facts=facts, heard=os.read(source.stdout, 5).decode(), early=source.wait(0), held=link.held(source.pid),
    costs=link.costs(source.pid), seen=link.ask("look")[0])
source.stop()
say(code=source.wait(20), closed=[source.stdout, source.stderr])
again = source.anew()
again.start()
say(heard=os.read(again.stdout, 5).decode())
again.kill()
say(code=again.wait(20))
"""
    code, said, stderr = run(fake.path, body)
    assert (code, stderr) == (0, "")
    assert said == [
        {"facts": "main", "heard": "hello", "early": None, "held": 0, "costs": [0, 0, 0], "seen": ["target", "nobody"]},
        {"code": 0, "closed": [-1, -1]},
        {"heard": "hello"},
        {"code": -signal.SIGKILL},
    ]
    assert [each["text"] for each in fake.runs] == ["// main", "// main again"]
    assert fake.signals == [signal.SIGINT]


@root
def test_nothing_but_the_catalog_is_started_whatever_is_asked(tmp_path: Path) -> None:
    fake = FakeBpftrace(tmp_path, "say(b'x')\nforever()")
    body = """
from bpftop.errors import BpftopError
import os
for packet in (b"1 start BEGIN { system(1) }", b"1 run /tmp/x.bt", b"1 open -- x", b"\\xff" * 80, b"x" * 4000, b"\\0"):
    raw.send(packet)
for word, argument in (("start", "unknown"), ("kill", 77), ("again", 5), ("start", "known")):
    try:
        facts, source = link.begin(word, argument)
        say(started=facts, heard=os.read(source.stdout, 1).decode())
    except BpftopError as error:
        say(refused=error.message)
"""
    code, said, _ = run(fake.path, body)
    assert code == 0
    assert said == [
        {"refused": "there is no script unknown"},
        {"refused": "there is no run 77"},
        {"refused": "there is no run 5"},
        {"started": "known", "heard": "x"},
    ]
    assert [each["text"] for each in fake.runs] == ["// known"]


@root
def test_a_flood_of_requests_and_of_starts_is_bounded(tmp_path: Path) -> None:
    fake = FakeBpftrace(tmp_path, "forever()")
    body = """
import time
from bpftop.errors import BpftopError
why, pids = "", []
for _ in range(60):
    try:
        pids.append(link.begin("start", "known")[1].pid)
    except BpftopError as error:
        why = error.message
began, asked = time.monotonic(), 0
while time.monotonic() - began < 2:
    link.ask("look")
    asked += 1
say(started=len(pids), why=why, asked=asked, pids=pids)
"""
    code, [said], _ = run(fake.path, body)
    assert code == 0
    assert said["started"] == 16
    assert said["why"] == "16 bpftraces run already"
    assert 100 <= said["asked"] <= 400 + 2 * 200 + 50
    assert not any(alive(pid) for pid in said["pids"]), "what is left is ended"


@root
@pytest.mark.parametrize("ending", ["raw.close(); time.sleep(600)", "os.kill(os.getpid(), 9)", "os._exit(7)"])
def test_however_the_other_process_ends_its_runs_end_too(tmp_path: Path, ending: str) -> None:
    fake = FakeBpftrace(tmp_path, "ignores()\nforever()")
    body = f"import os, time\nsay(pid=link.begin('open')[1].pid)\n{ending}"
    code, said, _ = run(fake.path, body)
    assert not alive(said[0]["pid"])
    if "exit" in ending:
        assert (code, said[1:]) == (7, [])
    else:
        name = "SIGTERM" if "close" in ending else "SIGKILL"
        assert code == 128 + signal.Signals[name]
        assert said[1:] == [{"said": f"bpftop was ended by {name}; the probes are stopped"}]


@root
def test_when_the_supervisor_is_killed_both_others_end(tmp_path: Path) -> None:
    fake = FakeBpftrace(tmp_path, "ignores()\nforever()")
    body = "import os, time\nlink.begin('open')\nsay(pid=os.getpid())\ntime.sleep(600)"
    command = [sys.executable, "-m", "tests.supervised", str(fake.path), body]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        other = json.loads(process.stdout.readline())["pid"]
        wait_for(lambda: fake.runs)
        process.kill()
        wait_for(lambda: not alive(other) and not alive(fake.runs[0]["pid"]), "somebody lives on")


@root
def test_when_the_terminal_has_hung_up_the_probes_end_at_once(tmp_path: Path) -> None:
    """The other process is stubborn here: the supervisor does not wait for it, and asks nobody gently."""
    fake = FakeBpftrace(tmp_path, "ignores()\nsay(b'x')\nforever()")
    body = """
import os, signal, time
signal.signal(signal.SIGHUP, signal.SIG_IGN)
os.read(link.begin("open")[1].stdout, 1)
say(pid=os.getpid())
time.sleep(600)
"""
    with child_in_terminal(["-m", "tests.supervised", str(fake.path), body, "drawn"]) as terminal:
        terminal.until('"pid"')
        other = json.loads(terminal.text.strip().splitlines()[-1])["pid"]
        terminal.close_master()
        wait_for(lambda: not alive(fake.runs[0]["pid"]), "bpftrace lives on")
        assert fake.signals == []
        terminal.child.kill()
        wait_for(lambda: not alive(other), "the other one lives on")


@root
def test_who_has_closed_its_end_may_take_its_time_to_leave_unless_it_does_nothing(tmp_path: Path) -> None:
    """On a busy machine Python takes seconds to tidy up; that was once ended by SIGTERM, with a wrong exit code."""
    tidies = "import time\nraw.close()\nend = time.monotonic() + 2.9\nwhile time.monotonic() < end: sum(range(9999))"
    hangs = "import time\nraw.close()\ntime.sleep(600)"
    path = FakeBpftrace(tmp_path, "").path
    with ThreadPoolExecutor(2) as pool:
        codes = [code for code, _, _ in pool.map(lambda body: run(path, body), (tidies, hangs))]
    assert codes == [0, 128 + signal.SIGTERM]
