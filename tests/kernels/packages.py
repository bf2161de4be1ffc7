"""Debian's kernels: found, downloaded and unpacked through apt, without touching the host's own package lists."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

SUITES = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie", "newest": "sid"}
"""Kernel, as the tables call it, and the suite of Debian that has it."""
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_CONTENT = re.compile(r"linux-(?:image|binary|modules)-\d\S*")
"""Up to Debian 13 one package has image and modules; later ones split them."""
_FOLDERS = "fs/9p|fs/overlayfs|fs/netfs|fs/fscache|fs/ext4|fs/jbd2|fs|net/9p|drivers/(virtio|block|net)|crypto|lib"
_WANTED = re.compile(rf".*/(vmlinuz[^/]*|kernel/({_FOLDERS})/[^/]+)")
"""Of some 4,000 modules those that find a root file system over 9p, a disk, and a network device of a program."""


class KernelUnavailable(Exception):
    """A kernel could not be fetched: no network, no apt, no mirror that has it. The reason is one sentence."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """An unpacked kernel package."""

    label: str
    """``5.10``, as in SUITES."""
    release: str
    """``5.10.0-32-amd64``: what ``uname -r`` says when it runs."""
    image: Path
    modules: Path
    """The folder of its modules, ``…/lib/modules/RELEASE``."""


def cache_folder() -> Path:
    """Where kernels are kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bpftop-kernels"


def kernel(label: str) -> Kernel:
    """The kernel of a label of SUITES, from the cache or the mirror. Raises KernelUnavailable.

    A cached one is used for good: delete the cache folder for the newest of the suite.
    """
    folder = cache_folder() / f"{label}-{zlib.crc32(_WANTED.pattern.encode()):08x}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Unpacked beside it and renamed, so that an interrupted download is never taken for a kernel.
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            unpacked = Path(scratch) / "root"
            _download(SUITES[label], Path(scratch), unpacked)
            try:
                unpacked.rename(folder)
            except OSError as error:
                if not folder.is_dir():  # another run was faster
                    raise KernelUnavailable(f"{folder} cannot be written: {error.strerror}") from error
    return _unpacked(label, folder)


def _unpacked(label: str, folder: Path) -> Kernel:
    images = list(folder.glob("boot/vmlinuz-*")) + list(folder.glob("usr/lib/modules/*/vmlinuz"))
    for image in images:
        release = image.name.removeprefix("vmlinuz-") if image.parent.name == "boot" else image.parent.name
        for modules in (folder / "lib/modules" / release, folder / "usr/lib/modules" / release):
            if modules.is_dir():
                return Kernel(label, release, image, modules)
    raise KernelUnavailable(f"there is no kernel in {folder}: delete it and try again")


def _download(suite: str, scratch: Path, unpacked: Path) -> None:
    """The packages of the suite's kernel, unpacked into one folder."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise KernelUnavailable("apt-get and dpkg-deb are needed to fetch Debian's kernels")
    apt = _Apt(suite, scratch)
    apt.run("apt-get", "update", "-qq")
    # The meta package names the image; since Debian 14 the image names packages of its content.
    names = {name for name in apt.depends("linux-image-amd64") if _CONTENT.fullmatch(name)}
    names |= {name for image in names for name in apt.depends(image) if _CONTENT.fullmatch(name)}
    if not names:
        raise KernelUnavailable(f"{suite} has no linux-image-amd64")
    apt.run("apt-get", "download", "-qq", *sorted(names))
    for package in scratch.glob("linux-*.deb"):
        _unpack(package, unpacked)


def _unpack(package: Path, folder: Path) -> None:
    """The image and the few modules that a guest needs."""
    with (
        subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as archive,
    ):
        for member in archive:
            if member.isfile() and _WANTED.fullmatch(member.name):
                archive.extract(member, folder, set_attrs=False)
    if process.returncode:
        raise KernelUnavailable(f"{package.name} cannot be unpacked")


class _Apt:
    """apt with lists of its own for one suite, from the mirror that this host uses."""

    def __init__(self, suite: str, scratch: Path) -> None:
        self._scratch = scratch
        for name in ("lists/partial", "cache/archives/partial"):
            (scratch / name).mkdir(parents=True)
        signed = f"signed-by={_KEYRING} " if _KEYRING.exists() else ""
        (scratch / "sources.list").write_text(f"deb [{signed}arch=amd64] {_mirror()} {suite} main\n")
        settings = {
            "Dir::State": scratch,
            "Dir::State::lists": scratch / "lists",
            "Dir::State::status": "/dev/null",
            "Dir::Cache": scratch / "cache",
            "Dir::Etc::sourcelist": scratch / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "APT::Architecture": "amd64",
            "APT::Sandbox::User": "root",  # its own user may not write into our folder
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Acquire::http::Timeout": "30",
        }
        self._options = [f"-o{key}={value}" for key, value in settings.items()]

    def run(self, program: str, *words: str) -> str:
        """What apt says on stdout. Raises KernelUnavailable with its last complaint."""
        done = subprocess.run(
            [program, *self._options, *words],
            cwd=self._scratch,
            env={**os.environ, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or "W: Failed to fetch" in done.stderr:
            lines = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:"))]
            raise KernelUnavailable(f"{program} {words[0]}: {lines[-1][3:] if lines else 'failed'}")
        return done.stdout

    def depends(self, package: str) -> list[str]:
        """The packages it depends on."""
        return re.findall(r"^  Depends: (\S+)$", self.run("apt-cache", "depends", package), re.MULTILINE)


def _mirror() -> str:
    """The address of the host's own Debian mirror. Raises KernelUnavailable when apt knows none."""
    command = ["apt-get", "indextargets", "--no-release-info", "--format", "$(REPO_URI)"]
    done = subprocess.run([*command, "Created-By: Packages"], capture_output=True, text=True, check=False)
    for address in done.stdout.splitlines():
        if address.rstrip("/").endswith("/debian"):  # as on every mirror of Debian
            return address
    raise KernelUnavailable("apt knows no mirror of Debian here: run apt-get update on a Debian host")
