"""What a host lacks, on hosts made for the test and on this one."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bpftop.attach_points import lacking
from bpftop.errors import HostError
from bpftop.model import Script
from bpftop.preflight import (
    Check,
    Host,
    Problem,
    all_checks,
    bpftrace_path,
    bpftrace_version,
    checks,
    missing,
    mount_tracefs,
    problems,
    require,
    tracefs,
)

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
ALL_CAPABILITIES = "000001ffffffffff"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host that can trace: sys, proc, bin below one directory."""
    events = tmp_path / "sys/kernel/tracing/events"
    for event in ("sock/inet_sock_set_state", "syscalls/sys_enter_read", "syscalls/sys_exit_read"):
        (events / event).mkdir(parents=True)
        (events / event / "id").write_text("1\n")
    (tmp_path / "sys/kernel/btf").mkdir()
    (tmp_path / "sys/kernel/btf/vmlinux").touch()
    (tmp_path / "sys/kernel/security").mkdir()
    (tmp_path / "proc/self/ns").mkdir(parents=True)
    (tmp_path / "proc/self/status").write_text(f"Name:\tx\nCapEff:\t{ALL_CAPABILITIES}\n")
    (tmp_path / "proc/self/ns/pid").symlink_to("pid:[4026531836]")
    program(tmp_path / "bin/bpftrace", "bpftrace v0.23.2")
    monkeypatch.setenv("PATH", "")
    return tmp_path


def program(path: Path, says: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def host(world: Path, euid: int = 0, bpftrace: Path | None = None) -> Host:
    return Host(world / "sys", world / "proc", (world / "bin",), euid, "/opt/bpftop nginx", bpftrace)


def fatal(world: Path, euid: int = 0) -> list[Problem]:
    return [problem for problem in problems(host(world, euid)) if problem.fatal]


def script(*requires: str) -> Script:
    return Script("x", "x.bt", "X", "", (), (), requires, "")


def test_a_host_that_can_trace_has_no_problem(world: Path) -> None:
    assert problems(host(world)) == []
    details = {check.name: check.detail for check in checks(host(world))}
    assert details["bpftrace"] == f"{world}/bin/bpftrace 0.23.2"
    assert details["tracefs"] == f"{world}/sys/kernel/tracing"


def test_without_root_the_next_command_is_sudo_with_the_whole_path(world: Path) -> None:
    (world / "proc/self/status").write_text("CapEff:\t0\n")
    assert fatal(world, 1000) == [Problem("tracing needs root", "sudo /opt/bpftop nginx")]


def test_from_bpftrace_0_25_on_four_capabilities_do(world: Path) -> None:
    mask = 1 << 39 | 1 << 38 | 1 << 19 | 1 << 2 | 1 << 1
    (world / "proc/self/status").write_text(f"CapEff:\t{mask:016x}\n")
    assert [p.message for p in fatal(world, 1000)] == ["tracing needs root"]
    program(world / "bin/bpftrace", "bpftrace v0.25.0")
    os.utime(world / "bin/bpftrace", ns=(1, 1))  # another file for the memory of versions
    assert fatal(world, 1000) == []


def test_root_in_a_confined_container(world: Path) -> None:
    (world / "proc/self/status").write_text("CapEff:\t00000000a80425fb\n")
    assert "root without CAP_BPF and CAP_PERFMON" in fatal(world)[0].message
    (world / "proc/self/status").write_text(f"CapEff:\t{1 << 21:016x}\n")
    assert fatal(world) == [], "CAP_SYS_ADMIN holds both"


def test_capabilities_that_the_kernels_of_distributions_do_not_take(world: Path) -> None:
    """Seen on Debian's kernels: with perf_event_paranoid 3 perf_event_open wants CAP_SYS_ADMIN."""
    (world / "proc/self/status").write_text(f"CapEff:\t{1 << 39 | 1 << 38 | 1 << 19:016x}\n")
    setting = world / "proc/sys/kernel/perf_event_paranoid"
    setting.parent.mkdir(parents=True, exist_ok=True)
    setting.write_text("2\n")
    assert problems(host(world)) == []
    setting.write_text("3\n")
    (found,) = problems(host(world))
    assert (found.fatal, found.hint) == (False, "sudo sysctl -w kernel.perf_event_paranoid=2")
    (world / "proc/self/status").write_text(f"CapEff:\t{1 << 21 | 1 << 19:016x}\n")
    assert problems(host(world)) == []
    (world / "proc/self/status").write_text(f"CapEff:\t{1 << 21:016x}\n")
    (found,) = problems(host(world))
    assert found.message.startswith("without CAP_SYS_PTRACE the ports")
    assert not found.fatal


def test_no_bpftrace(world: Path) -> None:
    (world / "bin/bpftrace").unlink()
    assert fatal(world) == [Problem("bpftrace is not installed", "sudo apt-get install -y bpftrace")]
    with pytest.raises(HostError):
        bpftrace_path(host(world))


@root
@pytest.mark.parametrize("spoil", ["owner", "writable", "folder", "folder above"])
def test_root_does_not_run_what_others_can_change(world: Path, spoil: str) -> None:
    path = world / "bin/bpftrace"
    if spoil == "owner":
        os.chown(path, 1000, 1000)
    else:
        {"writable": path, "folder": path.parent, "folder above": world}[spoil].chmod(0o777)
    said = f"{path} can be changed by others than root, so root does not run it"
    assert fatal(world) == [Problem(said, f"sudo install -m 755 {path} /usr/local/bin/bpftrace")]
    with pytest.raises(HostError, match="can be changed by others than root"):
        bpftrace_path(host(world, bpftrace=path))
    assert bpftrace_path(host(world, euid=1000)) == path


def test_a_named_bpftrace_must_be_there(world: Path) -> None:
    with pytest.raises(HostError, match="there is no program"):
        bpftrace_path(host(world, bpftrace=world / "none"))


def test_the_path_of_the_caller_is_searched_last(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = program(world / "other/bpftrace", "bpftrace v0.20.0")
    monkeypatch.setenv("PATH", f"relative:{other.parent}")
    assert bpftrace_path(host(world)) == world / "bin/bpftrace"
    (world / "bin/bpftrace").unlink()
    assert bpftrace_path(host(world)) == other


@pytest.mark.parametrize(
    ("says", "version", "message", "is_fatal"),
    [
        ("bpftrace v0.17.0", "0.17.0", "", False),
        ("bpftrace v0.27.1", "0.27.1", "", False),
        ("bpftrace v0.23.2-dirty", "0.23.2", "", False),
        ("bpftrace v0.16.0", "0.16.0", "0.16.0 is too old: the scripts need 0.17 or newer", True),
        ("bpftrace v0.24.2", "0.24.2", "sign of numbers", False),
        ("bpftrace v0.27.0", "0.27.0", "that call strncmp", False),
        ("what?", "", "does not tell its version", True),
        ("false (GNU coreutils) 9.1", "", "does not tell its version", True),
    ],
)
def test_versions_and_their_troubles(world: Path, says: str, version: str, message: str, is_fatal: bool) -> None:
    path = program(world / "bin" / "bpftrace", says)
    os.utime(path, ns=(hash(says) % 10**9, hash(says) % 10**9))
    assert bpftrace_version(path) == version
    found = problems(host(world))
    assert [problem.fatal for problem in found] == ([is_fatal] if message else [])
    assert all(message in problem.message for problem in found)


def test_a_bpftrace_that_does_not_start(world: Path) -> None:
    path = world / "bin/bpftrace"
    path.write_text("#!/no/such/interpreter\n")
    assert bpftrace_version(path) == ""
    assert bpftrace_version(world / "none") == ""


def test_tracefs_at_its_old_place(world: Path) -> None:
    (world / "sys/kernel/debug").mkdir()
    (world / "sys/kernel/tracing").rename(world / "sys/kernel/debug/tracing")
    assert tracefs(host(world)) == world / "sys/kernel/debug/tracing"
    assert fatal(world) == []


def test_tracefs_not_mounted(world: Path) -> None:
    (world / "sys/kernel/tracing").rename(world / "elsewhere")
    where = world / "sys/kernel/tracing"
    assert fatal(world) == [Problem("tracefs is not mounted", f"mount -t tracefs tracefs {where}")]
    assert "tracefs is not mounted" not in [problem.message for problem in fatal(world, 1000)], "only root can see"
    assert mount_tracefs(host(world, euid=1000)) == ""
    with pytest.raises(HostError, match="tracefs cannot be mounted") as caught:
        mount_tracefs(host(world))
    assert caught.value.hint == f"mount -t tracefs tracefs {where}"


def test_where_nothing_may_be_mounted_the_container_is_named(world: Path) -> None:
    """Seen in a container of Podman without --privileged: mount's own words ended with dmesg."""
    (world / "sys/kernel/tracing").rename(world / "elsewhere")
    (world / "proc/self/status").write_text("CapEff:\t00000000800405fb\n")
    assert mount_tracefs(host(world)) == "", "not even tried"
    assert {problem.hint for problem in fatal(world)} == {"docker run --privileged --pid=host …"}
    with pytest.raises(HostError, match=r"confined; tracefs is not mounted"):
        require(host(world))


def test_nothing_to_mount(world: Path) -> None:
    assert mount_tracefs(host(world)) == ""


@root
def test_tracefs_is_mounted_when_only_that_is_missing() -> None:
    """In a mount namespace of its own, so that the host keeps its tracefs."""
    code = (
        "from bpftop.preflight import *; assert tracefs() is None, tracefs(); print(mount_tracefs());"
        "assert tracefs() is not None; print(repr(mount_tracefs()))"
    )
    inside = 'umount -l /sys/kernel/debug 2>/dev/null; umount -l /sys/kernel/tracing; exec "$0" -c "$1"'
    run = subprocess.run(
        ["unshare", "--mount", "sh", "-c", inside, sys.executable, code], capture_output=True, text=True, check=False
    )
    if "umount" in run.stderr:
        pytest.skip("tracefs is not mounted here")
    assert run.stdout.splitlines() == ["mounted tracefs on /sys/kernel/tracing", "''"], run.stderr


def test_no_kernel_types(world: Path) -> None:
    (world / "sys/kernel/btf/vmlinux").unlink()
    assert "CONFIG_DEBUG_INFO_BTF" in fatal(world)[0].message


def test_a_process_namespace_of_its_own(world: Path) -> None:
    (world / "proc/self/ns/pid").unlink()
    (world / "proc/self/ns/pid").symlink_to("pid:[4026532999]")
    assert "numbers processes its own way" in fatal(world)[0].message
    assert "--pid=host" in fatal(world)[0].hint


@pytest.mark.parametrize(("text", "found"), [("none [integrity] confidentiality", 0), ("none [confidentiality]", 1)])
def test_lockdown(world: Path, text: str, found: int) -> None:
    (world / "sys/kernel/security/lockdown").write_text(text)
    assert len(fatal(world)) == found


def test_root_of_a_user_namespace_is_an_ordinary_user(world: Path) -> None:
    (world / "proc/self/uid_map").write_text("         0          0 4294967295\n")
    assert fatal(world) == []
    (world / "proc/self/uid_map").write_text("         0       1000          1\n")
    assert "root of a user namespace cannot trace" in fatal(world)[0].message
    assert "--userns=host" in fatal(world)[0].hint


# --- what only the doctor looks at ---


def doctors(world: Path, **changes: Any) -> dict[str, Check]:
    before, after = all_checks(replace(host(world), **changes))
    return {check.name: check for check in (*before, *after)}


def test_the_doctor_looks_at_all_that_a_watch_looks_at(world: Path) -> None:
    assert {check.name for check in checks(host(world))} < set(doctors(world))


def test_kprobes_and_uprobes(world: Path) -> None:
    found = doctors(world)
    for kind in ("kprobes", "uprobes"):
        problem = found[kind].problem
        assert problem is not None
        assert not problem.fatal
        assert f"CONFIG_{kind.upper()}" in problem.message
        (world / f"sys/kernel/tracing/{kind[:-1]}_events").touch()
        assert doctors(world)[kind].problem is None
    (world / "sys/kernel/debug/kprobes").mkdir(parents=True)
    (world / "sys/kernel/debug/kprobes/enabled").write_text("0\n")
    problem = doctors(world)["kprobes"].problem
    assert problem is not None
    assert problem.hint == f"echo 1 | sudo tee {world}/sys/kernel/debug/kprobes/enabled"
    (world / "sys/kernel/tracing/events").rename(world / "away")
    assert doctors(world)["uprobes"] == Check("uprobes", "unknown without tracefs", known=False)


@pytest.mark.parametrize(
    ("release", "memlock", "capabilities", "cure"),
    [
        ("5.11.0-1-amd64", 65536, 0, ""),
        ("6.1", 65536, 0, ""),
        ("5.10.0-28-amd64", 8 << 20, 0, "ulimit -l unlimited"),
        ("5.10.0-28-amd64", 8 << 20, 1 << 24, ""),
        ("5.10.0-28-amd64", -1, 0, ""),
        ("5.10.0-28-amd64", 1 << 30, 0, ""),
    ],
)
def test_locked_memory(world: Path, release: str, memlock: int, capabilities: int, cure: str) -> None:
    (world / "proc/self/status").write_text(f"CapEff:\t{capabilities:016x}\n")
    problem = doctors(world, release=release, memlock=memlock)["locked memory"].problem
    assert (problem.hint if problem else "") == cure


@pytest.mark.parametrize(
    ("version", "limit", "paranoid", "capabilities", "ok"),
    [
        ("0.17.0", 516, 2, 0, True),
        ("0.17.0", 128, 2, 0, False),
        ("0.17.0", 128, -1, 0, True),
        ("0.17.0", 128, 2, 1 << 14, True),
        ("0.23.2", 128, 2, 0, True),
    ],
)
def test_event_buffers(world: Path, version: str, limit: int, paranoid: int, capabilities: int, ok: bool) -> None:
    path = program(world / "bin/bpftrace", f"bpftrace v{version}")
    os.utime(path, ns=(hash((version, limit)) % 10**9,) * 2)
    (world / "proc/sys/kernel").mkdir(parents=True)
    (world / "proc/sys/kernel/perf_event_mlock_kb").write_text(f"{limit}\n")
    (world / "proc/sys/kernel/perf_event_paranoid").write_text(f"{paranoid}\n")
    (world / "proc/self/status").write_text(f"CapEff:\t{capabilities:016x}\n")
    problem = doctors(world)["event buffers"].problem
    assert (problem is None) == ok
    assert problem is None or problem.hint.startswith("sudo sysctl -w kernel.perf_event_mlock_kb=")


def test_a_bare_world_is_told_without_an_exception(tmp_path: Path) -> None:
    found = problems(Host(tmp_path, tmp_path, (tmp_path,), 0))
    assert found
    assert all(problem.message and "\n" not in problem.message for problem in found)
    assert [problem.fatal for problem in found] == sorted((problem.fatal for problem in found), reverse=True)


@pytest.mark.parametrize(
    ("point", "why"),
    [
        ("tracepoint:sock:inet_sock_set_state", None),
        ("tracepoint:syscalls:sys_enter_*", None),
        ("tracepoint:sock:sock_recv_length", "it came with Linux 6.3, this is "),
        ("tracepoint:sock:nosuch", "the kernel has no tracepoint sock:nosuch"),
        ("tracepoint:nosuch:*", "the kernel has no tracepoint nosuch:*"),
        ("kprobe:tcp_sendmsg", "no kprobes (CONFIG_KPROBES)"),
        ("kretprobe:inet_csk_accept", "no kprobes"),
        ("uprobe:/no/such/program:main", "there is no program /no/such/program"),
        (f"uprobe:{sys.executable}:main", None),
        (f"machine:{os.uname().machine}", None),
        ("machine:z80", f"it knows the registers of z80 only, and this machine is {os.uname().machine}"),
        (f"usdt:{sys.executable}:python:line", None),
        ("kfunc:tcp_sendmsg", None),
        ("interval:s:1", None),
        ("BEGIN", None),
    ],
)
def test_attach_points(world: Path, point: str, why: str | None) -> None:
    found = missing(script("interval:s:1", point), host(world))
    assert (found is None) == (why is None)
    assert (why or "") in (found or "")


def test_kprobes_where_there_are(world: Path) -> None:
    (world / "sys/kernel/tracing/kprobe_events").touch()
    assert missing(script("kprobe:tcp_sendmsg"), host(world)) is None


def test_what_only_root_can_see_is_not_called_missing(world: Path) -> None:
    assert lacking(["tracepoint:sock:nosuch", "kprobe:x"], None, world / "sys") is None


@pytest.mark.kernel
def test_this_host_can_trace_and_runs_the_shipped_scripts() -> None:
    from bpftop.scripts import catalog

    assert [problem for problem in problems() if problem.fatal] == []
    assert {name: missing(one) for name, one in catalog().items()} == dict.fromkeys(catalog())


def test_the_preflight_does_not_need_numpy() -> None:
    code = "import sys, bpftop.preflight as p; p.problems(); print('numpy' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


@pytest.mark.parametrize(
    ("held", "absent"),
    [
        (ALL_CAPABILITIES, ""),
        ("000001ffffffff7f", "CAP_SETUID"),
        ("000001ffffffff3f", "CAP_SETUID and CAP_SETGID"),
    ],
)
def test_root_that_cannot_divide_itself_is_told(world: Path, held: str, absent: str) -> None:
    (world / "proc/self/status").write_text(f"CapEff:\t{held}\n")
    (found,) = [check for check in all_checks(host(world))[1] if check.name == "separation"]
    assert (found.problem is not None) == bool(absent)
    if found.problem:
        assert f"without {absent} the screen" in found.problem.message
        assert not found.problem.fatal
        assert found.problem.hint.endswith("--user root")
