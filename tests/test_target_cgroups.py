"""Targets by cgroup, systemd unit and container; programs by path in other mount namespaces."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from bpftop import procfs
from bpftop.errors import TargetError
from bpftop.model import Target, TargetKind
from bpftop.target import elsewhere, explain, parse, resolve, similar
from bpftop.target.cgroups import containers, is_member, unit_of
from tests.fakes import wait_for
from tests.processes import FakeProc, running

A, B = "ab12" + "0" * 60, "ab34" + "f" * 60
POD = "kubepods-burstable-pod0a1b2c3d_4e5f_6789_abcd_ef0123456789"
SYSTEM = "/system.slice/nginx.service"
root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def fake(tmp_path: Path) -> FakeProc:
    """An nginx unit, three containers of different runtimes, a shell."""
    proc = FakeProc(tmp_path / "proc")
    for pid, comm, path in (
        (10, "nginx", f"0::{SYSTEM}"),
        (11, "nginx", f"0::{SYSTEM}"),
        (20, "web", f"0::/system.slice/docker-{A}.scope"),
        (30, "web", f"12:pids:/docker/{B}\n1:name=systemd:/docker/{B}\n0::/"),
        (31, "db", f"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{'c' * 64}.scope/init.scope"),
        (40, "bash", "0::/user.slice/user-0.slice/session-1.scope"),
    ):
        (proc.add(pid, comm, exe=f"/bin/{comm}") / "cgroup").write_text(path + "\n")
    proc.add(50, "gone")
    return proc


@pytest.mark.parametrize(
    ("spec", "pids", "name"),
    [
        ("nginx.service", (10, 11), "unit nginx.service"),
        (f"cgroup:{SYSTEM}", (10, 11), f"cgroup {SYSTEM}"),
        ("cgroup:system.slice/nginx.service/", (10, 11), f"cgroup {SYSTEM}"),
        (f"cgroup:/sys/fs/cgroup{SYSTEM}", (10, 11), f"cgroup {SYSTEM}"),
        (f"cgroup:/sys/fs/cgroup/pids/docker/{B}", (30,), f"cgroup /docker/{B}"),
        ("cgroup:/system.slice", (10, 11, 20), "cgroup /system.slice"),
        ("cgroup:/system.slice/ngin", (), "cgroup /system.slice/ngin"),
        ("container:ab12", (20,), "container ab12"),
        (f"container:{B}", (30,), "container ab34ffffffff"),
        ("container:cccc", (31,), "container cccc"),
        ("session-1.scope", (40,), "unit session-1.scope"),
        ("kubepods.slice", (31,), "unit kubepods.slice"),
        ("nothing.service", (), "unit nothing.service"),
    ],
)
def test_who_is_in_it(fake: FakeProc, spec: str, pids: tuple[int, ...], name: str) -> None:
    target = resolve(spec, fake.root)
    assert (target.kind, target.pids, target.name, target.comm) == (TargetKind.CGROUP, pids, name, "")


@pytest.mark.parametrize("spec", ["cgroup:/", "cgroup:", "cgroup://", "container:", "container:a b", "container:/x"])
def test_what_names_no_cgroup_is_refused(spec: str) -> None:
    with pytest.raises(TargetError) as caught:
        parse(spec)
    assert caught.value.hint


def test_several_containers_that_begin_alike_are_not_guessed(fake: FakeProc) -> None:
    with pytest.raises(TargetError, match="2 containers begin with ab: ab12000000000000, ab34ffff") as caught:
        resolve("container:ab", fake.root)
    assert caught.value.hint == "bpftop container:ab12000000000000"


def test_an_empty_one_says_what_there_is(fake: FakeProc) -> None:
    sentence = explain(parse("container:77"), fake.root)
    assert sentence.startswith("no process is in the container 77; similar: container:ab12")
    assert explain(parse("ngins.service"), fake.root).endswith("; similar: nginx.service")
    assert similar("cgroup:/system.slice/nginx.servic", fake.root)[0] == f"cgroup:{SYSTEM}"


@pytest.mark.parametrize(
    ("path", "names"),
    [
        (f"/system.slice/docker-{A}.scope", {A}),
        (f"/docker/{A}/docker/{B}", {A, B}),
        (f"/machine.slice/libpod-{A}.scope/container", {A}),
        (f"/machine.slice/libpod-conmon-{A}.scope", set()),
        (f"/kubepods/besteffort/pod1/crio-{A}", {A}),
        (f"/libpod_parent/libpod-{A}", {A}),  # Podman without systemd, seen with 4.3
        (f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope/container", {A}),
        (f"/user.slice/user-1000.slice/user@1000.service/app.slice/docker-{A}.scope", {A}),
        (f"/kubepods.slice/kubepods-besteffort.slice/{POD}.slice/cri-containerd-{A}.scope", {A}),
        (f"/kubepods.slice/kubepods-burstable.slice/{POD}.slice/crio-{A}.scope/container", {A}),
        (f"/kubepods.slice/{POD}.slice/docker-{A}.scope", {A}),
        (f"/kubelet.slice/kubelet-kubepods.slice/{POD}.slice/cri-containerd-{A}.scope", {A}),  # kind
        (f"/kubepods/burstable/pod1234/{A}", {A}),
        (f"/system.slice/containerd.service/kubepods-burstable-pod1_2.slice:cri-containerd:{A}", {A}),  # mixed drivers
        (f"/../../kubepods-burstable-pod1_2.slice/cri-containerd-{A}.scope", {A}),  # seen from another cgroup namespace
        (f"/machine.slice/libpod-{A}.scope/libpod-payload-{A}", {A}),
        ("/lxc/web1/init", {"web1"}),
        ("/lxc.payload.web1/init.scope", {"web1"}),
        ("/machine.slice/systemd-nspawn@web1.service", {"web1"}),
        ("/machine.slice/machine-web1.scope", {"web1"}),
        ("/default/web1", {"web1"}),
        (SYSTEM, set()),
        ("/", set()),
        ("", set()),
    ],
)
def test_containers_by_the_paths_of_their_runtimes(path: str, names: set[str]) -> None:
    assert containers([path]) == names
    assert all(is_member(f"container:{name[:6]}", [path]) for name in names)


def test_the_unit_of_a_process() -> None:
    assert unit_of(["/", SYSTEM]) == "nginx.service"
    assert unit_of([f"/system.slice/docker-{A}.scope"]) == ""
    assert unit_of(["/user.slice/user-0.slice"]) == ""


def test_the_lines_of_a_cgroup_file(fake: FakeProc) -> None:
    assert procfs.cgroups(30, fake.root) == (f"/docker/{B}", "/")
    (fake.root / "10" / "cgroup").write_text("3:a,b:/x:y\n0::/x:y\nodd\n")
    assert procfs.cgroups(10, fake.root) == ("/x:y",)
    assert procfs.cgroups(50, fake.root) == procfs.cgroups(999, fake.root) == ()


def test_a_port_in_several_networks_is_said() -> None:
    here = Target(":80", TargetKind.PORT, "port 80", ports=(80,), places=((1, 80),))
    assert elsewhere(here) == ""
    both = Target(":80", TargetKind.PORT, "port 80", ports=(80,), places=((1, 80), (2, 80)))
    assert elsewhere(both).startswith("port 80 is open in 2 network namespaces")
    assert elsewhere(Target("x", TargetKind.NAME, "x", places=both.places)) == ""


@root
def test_the_same_path_in_another_mount_namespace_is_another_program(tmp_path: Path) -> None:
    """A file system mounted over the folder hides our program, and has one of the same name."""
    folder = tmp_path / "bin"
    folder.mkdir()
    sleep = os.path.realpath(shutil.which("sleep") or "/bin/sleep")
    program, kept = folder / "our-sleep", tmp_path / "other-sleep"
    shutil.copy2(sleep, program)
    os.link(program, kept)  # the same file by another path
    inside = f"mount -t tmpfs none {folder}; cp {sleep} {program}; {program} 60 & {kept} 60 & "
    inside += f'echo "$!" > {tmp_path}/pid; wait'
    with (
        running([program, "60"]) as ours,
        running(["unshare", "--mount", "sh", "-c", inside]) as boxed,
    ):
        wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
        same_file = int((tmp_path / "pid").read_text())
        wait_for(lambda: procfs.exe(same_file) == str(kept))
        wait_for(lambda: len(resolve(f"/proc/{same_file}/root{program}").pids) == 1)
        assert boxed.poll() is None
        assert set(resolve(str(program)).pids) == {ours.pid, same_file}
        theirs = resolve(f"/proc/{same_file}/root{program}")
        assert not set(theirs.pids) & {ours.pid, same_file}
