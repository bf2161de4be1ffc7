"""What a guest gets besides the host's files: the initial file system, and the hot files of the host in one piece."""

from __future__ import annotations

import lzma
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.kernels.packages import Kernel, KernelUnavailable

_MODULES = ("virtio_pci", "virtio_blk", "9pnet_virtio", "9p", "ext4", "crc32c_generic", "overlay", "tun")
_PROGRAMS = ("bpftrace", "nginx", "ip", "nsenter", "unshare")
_COLD = {"test", "tests", "site-packages", "dist-packages", "idlelib", "ensurepip", "lib2to3", "turtledemo"}


def hot_files(image: Path, repository: Path) -> None:
    """Write a disk image of what every run reads: bpftrace with its libraries, Python, numpy, this checkout.

    A page fault on 9p asks the host for one page: bpftrace --version takes 16 s from there, 1 s from a disk.
    """
    python = Path(sys.executable).resolve()
    programs = [python, *(Path(found) for name in _PROGRAMS if (found := shutil.which(name)))]
    roots = [Path(sysconfig.get_path("stdlib")), *Path(sysconfig.get_path("platlib")).glob("numpy*")]
    roots += [repository / name for name in ("bpftop", "bt", "tests")]
    files = dict.fromkeys([*programs, *_libraries(programs), *(file for root in roots for file in _tree(root))])
    with tempfile.TemporaryDirectory(dir=image.parent) as folder:
        for one in files:
            place = Path(folder) / one.relative_to("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(one, place)
        size_kb = sum(one.stat().st_size // 1024 + 5 for one in files) * 5 // 4 + 8192
        make = ["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d", folder]
        subprocess.run([*make, image, f"{size_kb}k"], check=True, env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"})


def _libraries(programs: Sequence[Path]) -> list[Path]:
    """The shared libraries, by their real names."""
    done = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False)
    return [Path(name).resolve() for name in re.findall(r"(/\S+\.so\S*)", done.stdout)]


def _tree(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and not _COLD & set(path.relative_to(folder).parts[:-1]):
            yield path


def initramfs(kernel: Kernel, init: str) -> bytes:
    """busybox, the modules and ``init`` (``{modules}`` are their names in order) as a cpio archive."""
    busybox = shutil.which("busybox")
    if busybox is None or b"/ld-linux" in Path(busybox).read_bytes():  # without libraries only a static one runs
        raise KernelUnavailable("busybox is not installed: apt-get install busybox-static")
    modules = _load_order(kernel.modules)
    files = {f"modules/{name}.ko": content for name, content in modules.items()}
    files["bin/busybox"] = Path(busybox).read_bytes()
    files["init"] = init.replace("{modules}", " ".join(modules)).encode()
    folders = ("bin", "modules", "proc", "dev", "host", "hot", "rw", "root")
    entries = [entry(name, 0o040755) for name in folders]
    entries += [entry(name, 0o100755, content) for name, content in files.items()]
    return b"".join([*entries, entry("TRAILER!!!", 0)])


def entry(name: str, mode: int, content: bytes = b"") -> bytes:
    """One file in cpio's "newc" format (cpio(5)): 13 hexadecimal numbers, the name, the content, on 4 bytes each."""
    word = name.encode() + b"\0"
    numbers = (_entry_number(name), mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(word), 0)
    head = b"070701" + b"".join(b"%08x" % number for number in numbers) + word
    return head + b"\0" * (-len(head) % 4) + content + b"\0" * (-len(content) % 4)


def _entry_number(name: str) -> int:
    """An inode number: different for different names."""
    return int.from_bytes(name.encode()[-3:], "big") + len(name)


def _load_order(folder: Path) -> dict[str, bytes]:
    """The modules wanted and what they depend on, dependencies first. What is built in has no file."""
    available = {path.name.split(".")[0].replace("-", "_"): path for path in folder.rglob("*.ko*")}
    loaded: dict[str, bytes] = {}

    def load(name: str) -> None:
        if name in loaded or name not in available:
            return
        path = available[name]
        content = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
        depends = re.search(rb"\0depends=([^\0]*)\0", content)
        for dependency in depends[1].decode().split(",") if depends else ():
            load(dependency.replace("-", "_"))
        loaded[name] = content

    for name in _MODULES:
        load(name)
    return loaded
