"""A program of this checkout inside a virtual machine with another kernel and, read-only, this host's files.

No KVM is needed and no root: QEMU translates the instructions, so everything takes five to ten times as long as here.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.kernels.archives import hot_files, initramfs
from tests.kernels.packages import Kernel, KernelUnavailable

REPOSITORY = Path(__file__).resolve().parents[2]
_CONSOLE = "console=ttyS0 quiet panic=-1 random.trust_cpu=on mitigations=off"
_INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for module in {modules}; do insmod /modules/$module.ko || echo "no module $module"; done
share=trans=virtio,version=9p2000.L,msize=512000
mount -t 9p -o $share,ro,cache=loose host /host || echo "no root file system"
mount -t tmpfs rw /rw
mkdir /rw/upper /rw/work
mount -t ext4 -o ro /dev/vda /hot || echo "no hot files"
mount -t overlay -o lowerdir=/hot:/host,upperdir=/rw/upper,workdir=/rw/work overlay /root || echo "no overlay"
mount -t proc proc /root/proc
mount -t sysfs sys /root/sys
mount -t devtmpfs dev /root/dev
mkdir -p /root/dev/shm /root/dev/pts
mount -t tmpfs shm /root/dev/shm
mount -t tmpfs run /root/run
mount -t debugfs debug /root/sys/kernel/debug
mount -t tracefs trace /root/sys/kernel/tracing
mount -t bpf bpf /root/sys/fs/bpf
mkdir -p /root/mnt
mount -t 9p -o $share results /root/mnt || echo "no place for results"
hostname guest
ip link set lo up
cat /proc/uptime > /root/mnt/booted
chroot /root /bin/sh /mnt/run > /root/mnt/stdout 2> /root/mnt/stderr
echo $? > /root/mnt/code
sync
poweroff -f
"""


@dataclass(frozen=True, slots=True)
class GuestRun:
    """What a program in the guest left."""

    code: int
    stdout: str
    stderr: str
    boot_s: float
    """From the start of the kernel to the start of the program, by the guest's clock."""
    total_s: float
    """Of QEMU, by ours."""


def run_in_guest(kernel: Kernel, command: Sequence[str], *, timeout_s: float = 600, memory_mb: int = 2048) -> GuestRun:
    """Boot the kernel, run ``command`` as root in the folder of this checkout, power off.

    Raises KernelUnavailable when QEMU or busybox is not installed, RuntimeError with the console's end when the
    guest does not come to an end.
    """
    qemu = shutil.which("qemu-system-x86_64")
    if qemu is None:
        raise KernelUnavailable("QEMU is not installed: apt-get install qemu-system-x86")
    with tempfile.TemporaryDirectory(prefix="bpftop-guest-") as folder:
        scratch, results = Path(folder), Path(folder) / "results"
        results.mkdir()
        (results / "run").write_text(_script(command))
        (scratch / "initramfs").write_bytes(initramfs(kernel, _INIT))
        hot_files(scratch / "hot", REPOSITORY)
        with (scratch / "disk").open("wb") as disk:
            disk.truncate(64 << 20)
        began = time.monotonic()
        try:
            done = subprocess.run(
                [qemu, *_machine(kernel, scratch, results, memory_mb)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_s,
                check=False,
            )
            console, said = done.stdout, done.stderr
        except subprocess.TimeoutExpired as error:
            console, said = (error.stdout or b"").decode(errors="replace"), f"no end after {timeout_s:.0f} s"
        total_s = time.monotonic() - began
        if not (results / "code").exists():
            left = "".join(_read(results / name) for name in ("stdout", "stderr"))
            raise RuntimeError(f"{kernel.release}: {said}\n{console[-3000:]}\n{left[-3000:]}")
        return GuestRun(
            int(_read(results / "code")),
            _read(results / "stdout"),
            _read(results / "stderr"),
            float(_read(results / "booted").split()[0]),
            total_s,
        )


def _read(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _machine(kernel: Kernel, scratch: Path, results: Path, memory_mb: int) -> list[str]:
    """QEMU's words. Nothing of the guest reaches a network: it has no card."""
    share = "security_model=none,multidevs=remap"
    words = f"-nodefaults -no-user-config -no-reboot -nographic -serial stdio -smp 2 -m {memory_mb}".split()
    words += ["-machine", "q35,accel=tcg", "-cpu", "max,-erms,-fsrm,-avx,-avx2,-f16c,-fma"]
    words += ["-kernel", str(kernel.image), "-initrd", str(scratch / "initramfs"), "-append", _CONSOLE]
    words += ["-virtfs", f"local,path=/,mount_tag=host,readonly=on,{share}"]
    words += ["-virtfs", f"local,path={results},mount_tag=results,{share}"]
    words += ["-drive", f"file={scratch / 'hot'},if=virtio,format=raw,readonly=on"]
    words += ["-drive", f"file={scratch / 'disk'},if=virtio,format=raw"]
    return words


def _script(command: Sequence[str]) -> str:
    """What the shell in the guest runs. Python's caches stay out: the root file system is an overlay in memory."""
    words = " ".join("'" + word.replace("'", "'\\''") + "'" for word in command)
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return (
        f"export PATH={path} HOME=/root LANG=C.UTF-8 TERM=dumb PYTHONDONTWRITEBYTECODE=1\n"
        f"cd '{REPOSITORY}' && exec {words}\n"
    )


def python(module: str, *words: str) -> list[str]:
    """The command for a module of this checkout, with the interpreter of this run."""
    return [sys.executable, "-m", module, *words]
