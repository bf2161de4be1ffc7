"""PostgreSQL: one process for each connection, forked after it was accepted."""

from __future__ import annotations

import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.case import Case, Phase, Server, Work, more_per_connection
from tests.servers.children import free_port, serving, tool, version
from tests.servers.clients import pgbench


def _user() -> str | None:
    """PostgreSQL refuses to be root."""
    if os.geteuid():
        return None
    return "postgres" if "postgres" in {one.pw_name for one in pwd.getpwall()} else "nobody"


@contextmanager
def _postgres(folder: Path) -> Iterator[Server]:
    initdb = tool("initdb", "postgresql", "/usr/lib/postgresql/*/bin/initdb")
    binary = tool("postgres", "postgresql", "/usr/lib/postgresql/*/bin/postgres")
    user, port = _user(), free_port()
    home = folder / "postgres"
    home.mkdir()
    if user:
        os.chown(home, pwd.getpwnam(user).pw_uid, -1)
    command = [initdb, "-D", str(home / "data"), "-A", "trust", "-U", "bpftop", "--no-sync", "--locale=C"]
    subprocess.run(command, user=user, cwd=home, check=True, capture_output=True)
    options = [f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={home}", "fsync=off"]
    command = [binary, "-D", str(home / "data"), *(word for option in options for word in ("-c", option))]
    with serving(command, folder, port, user=user) as process:
        yield Server(port, version(binary, "--version"), watch=f":{port}", pid=process.pid)


def _pgbench(server: Server, sslmode: str) -> Work:
    with tempfile.TemporaryDirectory() as name:
        return pgbench(server.port, 300, sslmode=sslmode, folder=Path(name))


_STARTUP = "the startup packet is read and answered before the first query"
_SSL = "the startup packet, and the question whether TLS is spoken, which libpq asks unless sslmode is disable"
_BYE = "what is answered besides the queries, and the client's last message, which is not"

CASES = (
    Case(
        "postgresql",
        "PostgreSQL",
        _postgres,
        (
            Phase(
                "pgbench, sslmode=disable",
                lambda server: _pgbench(server, "disable"),
                {
                    "request_latency": more_per_connection(1, _STARTUP),
                    "response_time": more_per_connection(1, _STARTUP),
                    "read_queue_latency": more_per_connection(2, _BYE),
                },
            ),
            Phase(
                "pgbench, sslmode=prefer",
                lambda server: _pgbench(server, "prefer"),
                {
                    "request_latency": more_per_connection(2, _SSL),
                    "response_time": more_per_connection(2, _SSL),
                    "read_queue_latency": more_per_connection(3, _BYE),
                },
            ),
        ),
        quick=True,
    ),
)
