"""What a scraper gets from ``bpftop serve`` on real nginx: every request, once."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from functools import partial

from tests.kernel.watching import Nginx, wait_for
from tests.load import run_load

REQUESTS = 3000


def scraped(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return str(answer.read().decode())


def healthy(url: str) -> bool:
    try:
        return scraped(url) == "ok\n"
    except urllib.error.HTTPError:  # 503
        return False


def count(page: str) -> int:
    found = re.search(r"^bpftop_request_latency_seconds_count\{.*\} (\d+)$", page, re.MULTILINE)
    return int(found[1]) if found else 0


def has(url: str, wanted: int) -> bool:
    return count(scraped(url)) >= wanted


def test_a_scraper_gets_every_request_once(nginx: Nginx) -> None:
    command = [sys.executable, "-P", "-m", "bpftop", "serve", f":{nginx.port}", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = (re.search(r"serving (\S+)/metrics", line) for line in process.stderr)
            match = next(filter(None, said), None)
            assert match
            wait_for(lambda: healthy(f"{match[1]}/healthz"), "it does not get healthy")
            for wanted in (REQUESTS, 2 * REQUESTS):
                assert run_load(nginx.port, REQUESTS, connections=20, paths=["/fixed"]).complete
                wait_for(partial(has, f"{match[1]}/metrics", wanted), "requests are missing")
                page = scraped(f"{match[1]}/metrics")
                assert count(page) == wanted
                assert re.search(rf'request_latency_seconds_bucket\{{.*le="\+Inf"\}} {wanted}$', page, re.MULTILINE)
                assert re.search(r"^bpftop_tracing\{.*\} 1$", page, re.MULTILINE)
            assert "127.0.0.1" not in page, "clients are not in it"
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130
        finally:
            process.kill()
