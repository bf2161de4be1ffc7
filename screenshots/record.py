"""Records the incident of the pictures, as root: ``unshare --net --mount python screenshots/record.py FILE.bpftop``.

Real nginx, real bpftrace. For 45 seconds all is well; then one of three upstreams answers after 300 ms, and one client
asks for much more than the others. In a network namespace of its own, so nothing else is in it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.incidents.backends import running_backends  # noqa: E402
from tests.kernel.watching import running_nginx  # noqa: E402
from tests.load import Load, load_in_background  # noqa: E402

HEALTHY_S, INCIDENT_S = 45, 30
SLOW_S = 0.3
NOISY = "127.0.66.6"
CLIENTS = [f"127.0.{net}.{host}" for net, host in ((10, 4), (10, 17), (10, 30), (21, 8), (21, 9), (34, 2), (34, 120))]
PATHS = ["/", "/api/cart", "/img/logo", "/", "/api/items/17", "/img/teaser", "/", "/api/search?q=shoes"]
SCRIPTS = "upstream,http,syscalls,eventloop"
_SERVERS = """
  upstream shop {{ {shop} keepalive 32; }}
  server {{
    listen 127.0.0.1:80;
    location / {{ return 200 "ok\\n"; }}
    location /api/ {{ proxy_pass http://shop; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}"""


def main() -> None:
    """Build it, load it, record it."""
    out = Path(sys.argv[1]).resolve()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(prefix="bpftop-shop-") as hidden, ExitStack() as stack:
        place = Path("/srv")  # the command line of nginx is in the recording
        subprocess.run(["mount", "--bind", hidden, str(place)], check=True)
        stack.callback(subprocess.run, ["umount", str(place)], check=True)
        backends = stack.enter_context(running_backends(0.002, 0.003, 0.002))
        servers = _SERVERS.format(shop=" ".join(f"server 127.0.0.1:{each.port};" for each in backends))
        stack.enter_context(running_nginx(place, more=servers))
        seconds = HEALTHY_S + INCIDENT_S + 30
        for sources, rate in ((CLIENTS[:4], 90), (CLIENTS[4:], 40)):
            stack.enter_context(_load(sources, rate, seconds, PATHS))
        length = HEALTHY_S + INCIDENT_S
        command = [sys.executable, "-m", "bpftop", "record", ":80", str(length), "--with", SCRIPTS, "-o"]
        recording = subprocess.Popen([*command, str(out)], cwd=ROOT)
        time.sleep(HEALTHY_S)
        backends[2].delay_s = SLOW_S
        with _load([NOISY], 60, INCIDENT_S + 20, ["/api/report", "/api/search?q=x", "/api/report"]):
            recording.wait(INCIDENT_S + 60)


def _load(sources: list[str], rate: int, seconds: int, paths: list[str]) -> AbstractContextManager[Load]:
    return load_in_background(
        80, rate * seconds, connections=len(sources) * 6 + 18, sources=sources, rate_per_s=rate, paths=paths,
        time_limit_s=seconds + 30,
    )  # fmt: skip


if __name__ == "__main__":
    main()
