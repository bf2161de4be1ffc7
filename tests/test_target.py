"""From a word to processes and ports: against real processes, and a /proc of our own where those cannot be had."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpftop import procfs, sockdiag
from bpftop.errors import TargetError
from bpftop.interpreters import script, title
from bpftop.model import Process, TargetKind
from bpftop.target import cut, explain, hidden, listeners, parse, resolve, same, similar
from bpftop.target.known import Known
from tests.processes import SERVER, FakeProc, as_nobody, running, server

LOCAL = {"host": "127.0.0.1"}
HOSTILE = [
    '"',
    '"; {',
    "{ }",
    "a\nb",
    "it's $1",
    "*) (",
    "x\\",
    "名前名前名前名前",
    "a" * 30,
    "\x1b[31m",
    "[b]",
    "%s%n",
]
root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def fake(tmp_path: Path) -> FakeProc:
    return FakeProc(tmp_path / "proc")


@pytest.fixture
def sleeper(tmp_path: Path) -> Path:
    """A program with a name of more than 15 bytes."""
    path = tmp_path / "a-server-with-a-long-name"
    shutil.copy2(os.path.realpath(shutil.which("sleep") or "/bin/sleep"), path)
    return path


# --- the word ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "kind", "name", "comm", "ports"),
    [
        ("nginx", TargetKind.NAME, "nginx", "nginx", ()),
        ("a" * 30, TargetKind.NAME, "a" * 30, "a" * 15, ()),
        ("0x10", TargetKind.NAME, "0x10", "0x10", ()),
        ("1234", TargetKind.PID, "pid 1234", "", ()),
        (":8080", TargetKind.PORT, "port 8080", "", (8080,)),
        ("/usr/sbin/nginx", TargetKind.PATH, "nginx", "nginx", ()),
        ("./bin/a-server-with-a-long-name", TargetKind.PATH, "a-server-with-a-long-name", "a-server-with-a", ()),
    ],
)
def test_the_word_tells_its_kind(spec: str, kind: TargetKind, name: str, comm: str, ports: tuple[int, ...]) -> None:
    target = parse(spec)
    assert (target.spec, target.kind, target.name, target.comm, target.ports) == (spec, kind, name, comm, ports)


@pytest.mark.parametrize(
    "spec",
    [
        *("", "  ", "\n", "a\0b", "x" * 256, "-x", "--unsafe", "-", ":", ":0", ":65536", ":http", ":-1", ":１２", "0"),
        *("4194305", "99999999999999999999", "/tmp", "/" + "x" * 5000, "a\ud800b"),
    ],
)
def test_an_impossible_word_is_refused_in_one_sentence(spec: str) -> None:
    with pytest.raises(TargetError) as caught:
        parse(spec)
    assert caught.value.message
    assert "\n" not in caught.value.message.removeprefix(spec)


@given(st.text(max_size=60))
def test_no_word_does_anything_but_name_a_target_or_be_refused(spec: str) -> None:
    try:
        target = parse(spec)
    except TargetError:
        return
    assert target.spec == spec
    assert len(os.fsencode(target.comm)) <= 15
    assert not spec.startswith("-")


def test_a_name_is_cut_in_bytes_even_inside_a_character() -> None:
    assert os.fsencode(cut("名前名前名前名前")) == "名前名前名前名前".encode()[:15]


# --- by name ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_data(name: str) -> None:
    with server(comm=name, listen=[LOCAL]) as one:
        target = resolve(name)
        assert target.pids == (one.pid,)
        assert target.ports == one.ports
        assert os.fsencode(target.processes[0].comm) == os.fsencode(name)[:15]


def test_a_server_with_renamed_threads_is_found_by_its_leader() -> None:
    with server(comm="orders-main", thread=["http-worker-1", "http-worker-2"]) as one:
        assert resolve("orders-main").pids == (one.pid,)
        assert resolve("http-worker-1").pids == ()


def test_a_long_program_name_is_matched_whole_not_by_its_first_15_bytes(sleeper: Path) -> None:
    with running([sleeper, "60"]) as one:
        _wait_for_exec(one.pid, sleeper)
        assert resolve("a-server-with-a-long-name").pids == (one.pid,)
        assert resolve("a-server-with-another-name").pids == ()
        assert resolve("a-server-with-a").pids == (one.pid,)


def test_the_script_behind_an_interpreter_has_a_name(tmp_path: Path) -> None:
    path = tmp_path / "zz_orders.py"
    path.write_text(SERVER)
    with server(command=[sys.executable, "-X", "dev", "-W", "ignore", path], listen=[LOCAL]) as one:
        assert resolve("zz_orders.py").pids == (one.pid,)
        assert resolve("zz_orders").pids == (one.pid,)
        assert resolve(str(path)).pids == (one.pid,)
        assert resolve("zz_orders").ports == one.ports


def test_workers_forked_under_another_name_belong_to_it() -> None:
    with server(comm="zz-parent", fork=["zz-worker-1", "zz-worker-2"], listen=[LOCAL]) as one:
        assert resolve("zz-parent").pids == tuple(sorted((one.pid, *one.children)))


def test_titles_and_login_shells(fake: FakeProc) -> None:
    fake.add(10, "nginx", ["nginx: master process /usr/sbin/nginx -g daemon off;"], exe="/usr/sbin/nginx")
    fake.add(11, "nginx", ["nginx: worker process"], exe="/usr/sbin/nginx (deleted)", parent=10)
    fake.add(12, "php-fpm8.2", ["php-fpm: pool www"], exe="/usr/sbin/php-fpm8.2")
    fake.add(13, "sudo", ["sudo", "bpftop", "nginx"], exe="/usr/bin/sudo")
    fake.add(14, "make", ["make", "run", "TARGET=nginx"], exe="/usr/bin/make")
    fake.add(15, "bpftrace", ["bpftrace", "-e", "…", "--", "nginx"], exe="/usr/bin/bpftrace")
    fake.add(16, "python3", ["/usr/bin/python3", "/usr/local/bin/bpftop", "nginx"], exe="/usr/bin/python3.11")
    fake.add(17, "bash", ["-bash"], exe="/usr/bin/bash")
    assert resolve("nginx", fake.root).pids == (10, 11)
    assert resolve("php-fpm", fake.root).pids == (12,)
    assert resolve("php-fpm8.2", fake.root).pids == (12,)
    assert resolve("/usr/sbin/nginx", fake.root).pids == (10, 11)
    assert resolve("bash", fake.root).pids == (17,)
    assert resolve("bpftrace", fake.root).pids == ()
    assert resolve("bpftop", fake.root).pids == ()
    assert resolve("python3", fake.root).pids == ()


def test_zombies_and_kernel_threads_are_no_targets(fake: FakeProc) -> None:
    fake.add(10, "nginx", state="Z")
    fake.add(11, "nginx", flags=0x00200040)
    fake.add(12, "a) b (c", ["x"])
    assert resolve("nginx", fake.root).pids == ()
    assert resolve("a) b (c", fake.root).pids == (12,)


def test_never_itself() -> None:
    own = procfs.read(os.getpid())
    assert own is not None
    assert os.getpid() not in resolve(own.comm).pids
    assert resolve(str(os.getpid())).processes == ()
    assert os.getpid() not in resolve(own.exe).pids


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("python3 app.py --port 80", "app.py"),
        ("/usr/bin/python3.11 -P -X dev -W error /srv/app.py", "/srv/app.py"),
        ("python3 -m gunicorn app:main", "gunicorn"),
        ("python3 -c pass app.py", ""),
        ("python3", ""),
        ("pypy3 -m x", "x"),
        ("java -Xmx1g -cp a:b --add-opens java.base/x=y com.example.Main", "com.example.Main"),
        ("java -XX:+UseG1GC -jar /opt/shop.jar --server", "/opt/shop.jar"),
        ("node --inspect -r dotenv/config server.js", "server.js"),
        ("nodejs -e 1", ""),
        ("ruby3.1 -I lib bin/rails s", "bin/rails"),
        ("php8.2 -d x=1 -f worker.php", "worker.php"),
        ("nginx -c python3", ""),
        ("", ""),
    ],
)
def test_the_program_of_an_interpreter(line: str, name: str) -> None:
    assert script(tuple(line.split())) == name


def test_the_name_in_the_first_word() -> None:
    assert title(()) == ""
    assert title(("-bash",)) == "bash"
    assert title(("postgres: checkpointer",)) == "postgres"
    assert title(("/usr/sbin/nginx", "-g", "daemon: off")) == "nginx"


# --- by id, port and path ---------------------------------------------------------------------------------------------


def test_a_process_id_means_the_process_and_its_descendants() -> None:
    with server(fork=["zz-a", "zz-b"], listen=[LOCAL], thread=["zz-t"]) as one:
        family = tuple(sorted((one.pid, *one.children)))
        assert resolve(str(one.pid)).pids == family
        assert resolve(str(one.threads[0])).pids == family, "the number of a thread means its process"
        assert resolve(str(one.pid)).ports == one.ports
    assert resolve(str(one.pid)).processes == ()
    assert explain(resolve(str(one.pid))) == f"no process has the id {one.pid}"


def test_a_port_means_all_that_hold_it_v4_v6_and_inherited(tmp_path: Path) -> None:
    listen = [LOCAL, {"host": "::1"}] if socket.has_ipv6 else [LOCAL]
    with server(listen=listen, fork=["zz-worker"], unix=str(tmp_path / "s")) as one:
        everyone = tuple(sorted((one.pid, *one.children)))
        for port in one.ports:
            target = resolve(f":{port}")
            assert target.pids == everyone
            assert target.ports == (port,), "the other ports of the server were not asked for"


def test_two_servers_may_share_a_port() -> None:
    shared = {**LOCAL, "reuse": True}
    with server(listen=[shared]) as one, server(listen=[{**shared, "port": one.ports[0]}]) as two:
        assert resolve(f":{one.ports[0]}").pids == tuple(sorted((one.pid, two.pid)))


def test_a_unix_socket_is_no_port(tmp_path: Path) -> None:
    with server(comm="zz-unix", unix=str(tmp_path / "socket")) as one:
        assert resolve("zz-unix").pids == (one.pid,)
        assert resolve("zz-unix").ports == ()


@root
def test_a_port_in_another_network_namespace_is_found() -> None:
    inside = "ip link set lo up 2>/dev/null; exec "
    command = ["unshare", "--net", "sh", "-c", f'{inside} "$0" "$@"', sys.executable, "-c", SERVER]
    with server(command=command, listen=[{"host": "0.0.0.0", "port": 1234}]) as one:
        assert one.pid in resolve(":1234").pids
        assert resolve(str(one.pid)).ports == (1234,)
        net = os.stat(f"/proc/{one.pid}/ns/net").st_ino
        assert resolve(str(one.pid)).places == ((net, 1234),)
        assert net != os.stat("/proc/self/ns/net").st_ino


def test_only_the_listening_part_of_the_table_is_read(fake: FakeProc) -> None:
    base = fake.add(10, "web", exe="/bin/web", sockets=[501, 502, 503])
    (base / "net").mkdir()
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    row = (
        "   0: 0100007F:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0    0 {inode} 1\n"
    )
    table = head + row.format(port=80, state="0A", inode=501) + row.format(port=81, state="01", inode=502)
    (base / "net" / "tcp").write_text(table + "garbage\n" * 3)
    (base / "net" / "tcp6").write_text(head + row.format(port=443, state="0A", inode=503).replace("0100007F", "0" * 32))
    assert resolve("web", fake.root).ports == (80, 443)
    assert resolve(":81", fake.root).pids == ()


def test_a_path_follows_links_and_an_upgrade(sleeper: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(sleeper)
    with running([sleeper, "60"]) as one:
        _wait_for_exec(one.pid, sleeper)
        assert resolve(str(sleeper)).pids == (one.pid,)
        assert resolve(str(link)).pids == (one.pid,)
        assert resolve(str(sleeper)).comm == "a-server-with-a"
        new = sleeper.with_name("new")
        shutil.copy2(sleeper, new)
        new.replace(sleeper)
        assert os.readlink(f"/proc/{one.pid}/exe").endswith(" (deleted)")
        assert resolve(str(sleeper)).pids == (one.pid,)


# --- what changes while one looks -------------------------------------------------------------------------------------


def test_a_new_process_has_the_newest_id() -> None:
    before = procfs.newest()
    with running(["sleep", "60"]) as one:
        assert procfs.newest() not in (0, before), one.pid
    assert procfs.newest(Path("/missing")) == 0


def test_processes_that_vanish_never_raise() -> None:
    script_text = "for i in $(seq 400); do (true &); done"
    with running(["sh", "-c", script_text]) as shell:
        while shell.poll() is None:
            resolve("zz-nothing")
            resolve(":1")
            similar("zz")


def test_garbage_in_proc_never_raises(fake: FakeProc) -> None:
    for pid, broken in enumerate((b"", b"12 (x", b"12 (x) S", b"12 (x) S one two", b"\xff" * 100), 10):
        (fake.add(pid, "nginx") / "stat").write_bytes(broken)
    (fake.add(20, "nginx") / "cmdline").unlink()
    (fake.root / "30").mkdir()
    (fake.root / "31").touch()
    assert resolve("nginx", fake.root).processes == ()
    assert resolve("nginx", fake.root / "missing").processes == ()
    assert listeners(fake.root) == {}


def rename(fake: FakeProc, pid: int, comm: str) -> None:
    stat = fake.root / str(pid) / "stat"
    stat.write_text(re.sub(r"\(.*\)", f"({comm})", stat.read_text()))


def test_looking_again_reads_what_is_new_and_all_of_it_after_ten_seconds(fake: FakeProc) -> None:
    now = 100.0
    known = Known(fake.root, lambda: now)

    def pids(spec: str) -> tuple[int, ...]:
        return resolve(spec, fake.root, known).pids

    fake.add(10, "nginx")
    fake.add(11, "other")
    assert pids("nginx") == (10,)
    fake.add(12, "nginx")
    rename(fake, 11, "nginx")
    assert pids("nginx") == (10, 12), "what was there before is as it was"
    rename(fake, 12, "sh")
    shutil.rmtree(fake.root / "10")
    assert pids("nginx") == (), "what has come since is read every time, and what is gone is gone"
    now += Known.STALE_S
    assert pids("nginx") == (11,)


def test_a_port_is_found_again_by_whoever_holds_it(fake: FakeProc) -> None:
    now = 100.0
    known = Known(fake.root, lambda: now)
    for pid, inodes in ((10, [7]), (11, [])):
        (fake.add(pid, "x", sockets=inodes) / "net").mkdir()
        table = "  sl  local_address\n   0: 0100007F:1F90 00000000:0000 0A 0 0 0 0 0 7 1\n"
        (fake.root / f"{pid}/net/tcp").write_text(table)
    assert resolve(":8080", fake.root, known).pids == (10,)
    (fake.root / "11/fd/3").symlink_to("socket:[7]")
    assert resolve(":8080", fake.root, known).pids == (10,)
    (fake.add(12, "x", sockets=[7]) / "net").symlink_to(fake.root / "10/net")
    assert resolve(":8080", fake.root, known).pids == (10, 12)
    now += Known.STALE_S
    found = resolve(":8080", fake.root, known)
    assert (found.pids, found.ports) == ((10, 11, 12), (8080,))


def test_the_kernel_tells_over_netlink_what_proc_tells() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("::1", 0), family=socket.AF_INET6) as two:
        ours = {os.fstat(each.fileno()).st_ino: each.getsockname()[1] for each in (one, two)}
        assert ours.items() <= sockdiag.listening(os.getpid()).items()
        assert ours.items() <= procfs.listening(os.getpid()).items()


def test_the_same_process_is_known_by_its_start() -> None:
    with server(comm="zz-same") as one:
        process = resolve("zz-same").processes[0]
        assert process.pid == one.pid
        assert same(process)
        assert not same(Process(process.pid, process.start_ticks + 1, process.comm))
    assert not same(process)


# --- words about it ---------------------------------------------------------------------------------------------------


def test_similar_names_are_offered(fake: FakeProc) -> None:
    fake.add(10, "nginx-debug", ["nginx-debug"], exe="/usr/sbin/nginx-debug")
    fake.add(11, "redis-server", ["redis-server *:6379"], exe="/usr/bin/redis-check-rdb")
    fake.add(12, "python3", ["python3", "/srv/orders.py"], exe="/usr/bin/python3.11")
    assert similar("ngnix-debug", fake.root)[0] == "nginx-debug"
    assert "nginx-debug" in similar("nginx", fake.root)
    assert "redis-server" in similar("Redis", fake.root)
    assert "orders.py" in similar("order.py", fake.root)
    assert similar("completely else", fake.root) == ()
    assert "similar: nginx-debug" in explain(resolve("nginx", fake.root), fake.root)


def test_listeners_are_named_for_who_has_no_target_yet() -> None:
    with server(comm="zz-list", listen=[LOCAL]) as one:
        assert any(one.ports[0] in ports for ports in listeners().values())


@root
def test_another_user_is_told_what_cannot_be_seen() -> None:
    with server(comm="zz-root", listen=[LOCAL]) as one:
        port = one.ports[0]
        blind = as_nobody(lambda: hidden(resolve("zz-root")))
        assert blind == "the ports of 1 of 1 processes cannot be seen without root"
        told = as_nobody(lambda: explain(resolve(f":{port}")))
        assert told == f"port {port} is open, but the process behind it belongs to another user"
    assert hidden(resolve(str(os.getppid()))) == ""


def _wait_for_exec(pid: int, program: Path) -> None:
    for _ in range(500):
        if procfs.exe(pid) == str(program):
            return
        time.sleep(0.01)
    raise AssertionError(subprocess.run(["ps", "-p", str(pid), "-f"], capture_output=True, text=True).stdout)
