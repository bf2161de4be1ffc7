"""Numbers and names of system calls and disks: against the headers of this machine's compiler and its /sys."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from bpftop.errors import ScriptError
from bpftop.scripts.numbers import partitions, place_disks, place_syscalls
from bpftop.stats.devices import device_name
from bpftop.stats.keys import KeyNames
from bpftop.syscalls import NO_SYSCALL, syscall_name, syscall_number, syscalls
from tests.load import compiler


@pytest.mark.skipif(compiler() is None, reason="no C compiler: install gcc")
def test_the_table_is_that_of_the_headers() -> None:
    listing = subprocess.run(
        [str(compiler()), "-E", "-dM", "-x", "c", "-"],
        input="#include <asm/unistd.h>\n", capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = {int(n): name for name, n in re.findall(r"(?m)^#define __NR_(\w+) (\d+)$", listing)}
    assert len(found) > 250
    assert {number: syscall_name(number) for number in found} == found


def test_both_machines() -> None:
    assert (syscall_name(232, "x86_64"), syscall_name(22, "aarch64")) == ("epoll_wait", "epoll_pwait")
    assert (syscall_number("openat", "x86_64"), syscall_number("openat", "aarch64")) == (257, 56)
    assert (syscall_number("wait4", "aarch64"), syscall_number("kexec_file_load", "aarch64")) == (260, 294)
    for machine in ("x86_64", "aarch64"):
        table = syscalls(machine)
        assert len(set(table.values())) == len(table)
        assert (table[424], table[441], table[449]) == ("pidfd_send_signal", "epoll_pwait2", "futex_waitv")


def test_numbers_without_a_name() -> None:
    assert syscall_name(9999) == "syscall 9999"
    assert syscall_name(425, "riscv64") == "io_uring_setup"  # the common part
    assert syscall_name(63, "riscv64") == "syscall 63"  # no guess where no table is


def test_a_key_is_the_number_and_one() -> None:
    names = KeyNames()
    assert [names.of_kind("syscall", code) for code in (0, syscall_number("read") + 1)] == ["none", "read"]


def test_numbers_in_scripts() -> None:
    text = "if ($id == nr(epoll_wait) || $id == nr(read)) { @snr(1); }"
    assert place_syscalls(text, "x86_64") == "if ($id == 232 || $id == 0) { @snr(1); }"
    assert place_syscalls(text, "aarch64") == f"if ($id == {NO_SYSCALL} || $id == 63) {{ @snr(1); }}"
    with pytest.raises(ScriptError, match="epoll_wiat"):
        place_syscalls("nr(epoll_wiat)")


def test_disks_by_their_number(tmp_path: Path) -> None:
    os.symlink("../../devices/virtual/block/vda", tmp_path / "254:0")
    vda = 254 << 20
    assert device_name(vda, tmp_path) == "vda"
    assert [device_name((work << 32) + vda, tmp_path) for work in (1, 2, 3, 4)] == [
        "vda read", "vda write", "vda flush", "vda discard",
    ]  # fmt: skip
    assert device_name((1 << 32) + (259 << 20) + 70_000, tmp_path) == "259:70000 read"


def test_the_disk_of_a_partition(tmp_path: Path) -> None:
    disk, classes = tmp_path / "devices" / "sda", tmp_path / "class"
    (disk / "sda1").mkdir(parents=True)
    (disk / "dev").write_text("8:16\n")
    (disk / "sda1" / "dev").write_text("8:17\n")
    (disk / "sda1" / "partition").write_text("1\n")
    classes.mkdir()
    (classes / "sda").symlink_to(disk)
    (classes / "sda1").symlink_to(disk / "sda1")
    assert partitions(classes) == {(8 << 20) + 17: (8 << 20) + 16}
    text = place_disks("BEGIN {\n  @x = 1;\n}\nprobe { $disk = @disk_of[(uint64)args->dev]; }", classes)
    assert "  @disk_of[(uint64)0] = (uint64)0;\n  @disk_of[(uint64)8388625] = (uint64)8388624;\n  @x = 1;" in text
    assert place_disks("BEGIN {\n}", classes) == "BEGIN {\n}"
