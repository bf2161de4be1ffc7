"""Records what the pictures show, as root: ``unshare --net --mount python screenshots/record.py STORY FILE.bpftop``.

Real nginx, real bpftrace, in a network namespace of their own, so nothing else is in it. For 45 seconds all is well.
Then, in the story ``incident``, one of three upstreams answers after 300 ms, and one client asks for much more than the
others; in ``machine`` the disk gives 16 reads a second, and the network loses a tenth of the packets of one client.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.incidents.backends import running_backends  # noqa: E402
from tests.incidents.slow_disk import slow_disk  # noqa: E402
from tests.kernel.watching import running_nginx  # noqa: E402
from tests.load import Load, load_in_background  # noqa: E402

HEALTHY_S, INCIDENT_S = 45, 30
SLOW_S = 0.3
NOISY = "127.0.66.6"
CLIENTS = [f"127.0.{net}.{host}" for net, host in ((10, 4), (10, 17), (10, 30), (21, 8), (21, 9), (34, 2), (34, 120))]
PATHS = ["/", "/api/cart", "/img/logo", "/", "/api/items/17", "/img/teaser", "/", "/api/search?q=shoes"]
SCRIPTS = {"incident": "upstream,http,syscalls,eventloop", "machine": "tcp,scheduler,disk"}
READS_PER_S = 16
_SHOP = """
  upstream shop {{ {shop} keepalive 32; }}
  server {{
    listen 127.0.0.1:80;
    location / {{ return 200 "ok\\n"; }}
    location /api/ {{ proxy_pass http://shop; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}"""
_FILES = """
  server {{
    listen 127.0.0.1:80 sndbuf=64k;
    location / {{ return 200 "ok\\n"; }}
    location /photos/ {{ alias {some}/; }}
    location /archive/ {{ alias {disk}/; directio 512; output_buffers 2 4k; }}
  }}"""


def main() -> None:
    """Build it, load it, record it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("story", choices=SCRIPTS)
    parser.add_argument("out", type=Path)
    told = parser.parse_args()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(prefix="bpftop-shop-") as hidden, ExitStack() as stack:
        place = Path("/srv")  # the command line of nginx is in the recording
        subprocess.run(["mount", "--bind", hidden, str(place)], check=True)
        stack.callback(subprocess.run, ["umount", "--lazy", str(place)], check=True)
        begin = (_shop if told.story == "incident" else _files)(stack, place)
        length = HEALTHY_S + INCIDENT_S
        command = [sys.executable, "-m", "bpftop", "record", ":80", str(length), "--with", SCRIPTS[told.story], "-o"]
        recording = subprocess.Popen([*command, str(told.out.resolve())], cwd=ROOT)
        time.sleep(HEALTHY_S)
        begin()
        recording.wait(INCIDENT_S + 60)


def _shop(stack: ExitStack, place: Path) -> Callable[[], None]:
    """Pages from three upstreams; what is returned makes one of them slow."""
    backends = stack.enter_context(running_backends(0.002, 0.003, 0.002))
    servers = _SHOP.format(shop=" ".join(f"server 127.0.0.1:{each.port};" for each in backends))
    stack.enter_context(running_nginx(place, more=servers))
    _usual(stack, PATHS)

    def begin() -> None:
        backends[2].delay_s = SLOW_S
        stack.enter_context(_load([NOISY], 60, INCIDENT_S + 20, ["/api/report", "/api/search?q=x", "/api/report"]))

    return begin


def _files(stack: ExitStack, place: Path) -> Callable[[], None]:
    """Files from a disk; what is returned makes the disk slow, and the network lossy for one client."""
    disk = stack.enter_context(slow_disk(place))
    photos = place / "photos"
    photos.mkdir(mode=0o755)
    (photos / "cat.jpg").write_bytes(b"x" * 20_000)
    stack.enter_context(running_nginx(place, more=_FILES.format(some=photos, disk=disk.place)))
    _usual(stack, ["/", "/archive/data", "/", "/photos/cat.jpg", "/", "/"])
    stack.enter_context(_load([NOISY], 20, HEALTHY_S + INCIDENT_S + 30, ["/photos/cat.jpg"]))

    def begin() -> None:
        disk.limit(READS_PER_S)
        lost = ["-m", "statistic", "--mode", "random", "--probability", "0.1", "-j", "DROP"]
        for way in ("--source", "--destination"):
            subprocess.run(["iptables", "--append", "INPUT", way, NOISY, "-p", "tcp", *lost], check=True)

    return begin


def _usual(stack: ExitStack, paths: list[str]) -> None:
    """What seven clients ask for all the time."""
    for sources, rate in ((CLIENTS[:4], 90), (CLIENTS[4:], 40)):
        stack.enter_context(_load(sources, rate, HEALTHY_S + INCIDENT_S + 30, paths))


def _load(sources: list[str], rate: int, seconds: int, paths: list[str]) -> AbstractContextManager[Load]:
    return load_in_background(
        80, rate * seconds, connections=len(sources) * 6 + 18, sources=sources, rate_per_s=rate, paths=paths,
        time_limit_s=seconds + 30,
    )  # fmt: skip


if __name__ == "__main__":
    main()
