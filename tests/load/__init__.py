"""Load and servers of known truth for the kernel tests: what bpftop reports is compared with what these recorded.

Everything here speaks to loopback addresses only, is bounded in count and time, and ends with its parent.
"""

from __future__ import annotations

from tests.load.build import compiler, program
from tests.load.client import TRACE, Load, LoadResult, SourceCount, load_in_background, loopback_addresses, run_load
from tests.load.server import DelayServer, SocketLoop, delay_server, socket_loop
from tests.load.truth import CONNECTIONS, REQUESTS, Truth

__all__ = [
    "CONNECTIONS",
    "REQUESTS",
    "TRACE",
    "DelayServer",
    "Load",
    "LoadResult",
    "SocketLoop",
    "SourceCount",
    "Truth",
    "compiler",
    "delay_server",
    "load_in_background",
    "loopback_addresses",
    "program",
    "run_load",
    "socket_loop",
]
