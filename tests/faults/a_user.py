"""``python -m tests.faults.a_user``: a user without rights who may use sudo (and doas, where it is installed) watches.

Makes a user, a home and a rule, and takes them away again: for ``make faults`` as root, not for every test run.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.kernel.test_division import children, named, rights, status
from tests.kernel.watching import Nginx, running_nginx
from tests.load import run_load
from tests.ui.ptys import ROOT, Terminal, child_in_terminal, restored, save_record_quit

AS_USER = """
import os, pwd, sys
user = pwd.getpwnam(sys.argv[1])
os.initgroups(user.pw_name, user.pw_gid)
os.setgid(user.pw_gid)
os.setuid(user.pw_uid)
os.chdir(user.pw_dir)
os.environ.update(HOME=user.pw_dir, USER=user.pw_name, LOGNAME=user.pw_name)
os.execv(sys.argv[2], sys.argv[2:])  # execvp imports something, and the user may not read Python
"""
DOAS_CONF = Path("/etc/doas.conf")


@contextmanager
def throw_away_user() -> Iterator[pwd.struct_passwd]:
    """A user with a home, for whom sudo and doas ask nothing."""
    name = f"bpftop-trial-{os.getpid()}"
    rule = Path(f"/etc/sudoers.d/{name}")
    doas = DOAS_CONF.read_text() if DOAS_CONF.exists() else None
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", name], check=True)
    try:
        rule.write_text(f"{name} ALL=(root) NOPASSWD: ALL\n")
        rule.chmod(0o440)
        subprocess.run(["visudo", "--check", "--quiet"], check=True)
        if shutil.which("doas"):
            DOAS_CONF.write_text(f"{doas or ''}permit nopass {name} as root\n")
            DOAS_CONF.chmod(0o400)
        yield pwd.getpwnam(name)
    finally:
        rule.unlink(missing_ok=True)
        if shutil.which("doas"):
            DOAS_CONF.unlink(missing_ok=True)
            if doas is not None:
                DOAS_CONF.write_text(doas)
        subprocess.run(["userdel", "--remove", name], check=True, capture_output=True)


def command(person: pwd.struct_passwd, way: Sequence[str], words: Sequence[str]) -> list[str]:
    """The words for a child that becomes the user, who then asks to be root for bpftop."""
    program = ["env", f"PYTHONPATH={ROOT}", "TERM=xterm-256color", sys.executable, "-P", "-m", "bpftop", *words]
    return ["-c", AS_USER, person.pw_name, shutil.which(way[0]) or way[0], *way[1:], *program]


def supervisor_of(pid: int, way: str) -> int:
    """The first process behind sudo, its monitor or doas."""
    while status(pid)["Name"] == way:
        (pid,) = children(pid)
    return pid


def config(person: pwd.struct_passwd, owner: int) -> Path:
    """A configuration in the user's home that ``owner`` owns."""
    path = Path(person.pw_dir) / ".config/bpftop/config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('window = "all"\nsave = "~/saved"\n')
    for each in (path, path.parent, path.parent.parent):
        os.chown(each, person.pw_uid, person.pw_gid)
    os.chown(path, owner, owner)
    return path


def watched(nginx: Nginx, person: pwd.struct_passwd, way: Sequence[str]) -> None:
    """A watch behind ``way``: who runs as whom, and whose the files are."""
    saved = Path(person.pw_dir) / "saved"
    saved.mkdir(exist_ok=True)
    os.chown(saved, person.pw_uid, person.pw_gid)
    saved.chmod(0o700)
    with child_in_terminal(command(person, way, ["watch", f":{nginx.port}"]), (110, 40)) as terminal:
        terminal.until("LIVE")
        terminal.until("window all")  # the user's own settings
        _rights(terminal, person, way[0])
        assert run_load(nginx.port, 50, connections=2, paths=["/fixed"]).complete
        terminal.until("all 50 ")
        save_record_quit(terminal)
        assert restored(terminal, terminal.before) == []
    files = sorted(saved.iterdir())
    assert len(files) >= 6, files
    for each in files:
        found = each.stat()
        assert (found.st_uid, found.st_gid) == (person.pw_uid, person.pw_gid), each
        assert stat.S_IMODE(found.st_mode) == (0o600 if each.suffix == ".bpftop" else 0o644), (each, oct(found.st_mode))
    modes = {each.suffix: oct(stat.S_IMODE(each.stat().st_mode)) for each in files}
    print(f"{way[0]}: the screen as user {person.pw_uid} without a capability, {len(files)} files of that user {modes}")
    shutil.rmtree(saved)


def _rights(terminal: Terminal, person: pwd.struct_passwd, way: str) -> None:
    supervisor = supervisor_of(terminal.child.pid, way)
    (tracer,) = named(supervisor, "bpftrace")
    (screen,) = [pid for pid in children(supervisor) if pid != tracer]
    uid, gid = str(person.pw_uid), str(person.pw_gid)
    assert rights(screen) == ({uid, gid}, 0, "1"), rights(screen)
    assert status(screen)["Groups"].split() == [gid], "no group of root's"
    assert rights(supervisor)[0] == {"0"}
    assert rights(tracer)[0] == {"0"}


def refused(nginx: Nginx, person: pwd.struct_passwd, way: Sequence[str], path: Path) -> None:
    """Settings that somebody else has written are not read, by nobody behind root's rights."""
    words = [sys.executable, *command(person, way, ["watch", f":{nginx.port}"])]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done
    assert f"{path} is not read: it must belong to you" in done.stderr, done.stderr
    print(f"{way[0]}: settings of somebody else: {done.stderr.splitlines()[0]}")


def main() -> None:
    """Both ways, as far as they are there."""
    if os.geteuid() != 0:
        sys.exit("this needs root")
    with throw_away_user() as person, TemporaryDirectory() as name, running_nginx(Path(name)) as nginx:
        for way in (["sudo", "-n"], ["doas", "-n"]):
            if shutil.which(way[0]) is None:
                print(f"{way[0]}: not installed here")
                continue
            config(person, person.pw_uid)
            watched(nginx, person, way)
            refused(nginx, person, way, config(person, 65534))


if __name__ == "__main__":
    main()
