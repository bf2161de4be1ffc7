"""One observation as the kernel would count it, as a row of numbers; and the names of all figures there are."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FIGURES = (
    *("read_queue_latency", "request_latency", "response_time"),
    *("accept_queue_latency", "connection_duration"),
    *("syscall_latency", "waiting_latency"),
    *("connect_latency", "send_latency", "receive_latency", "smoothed_rtt"),
    *("retransmits", "resets_sent", "resets_received", "failed_connects"),
    *("upstream_latency", "upstream_response_time"),
    *("loop_stall", "loop_wait"),
    *("run_queue_latency", "preempted_time", "blocked_time"),
    *("disk_latency", "disk_queue_latency"),
    *("route_latency", "route_errors_4xx", "route_errors_5xx", "route_unanswered"),
    *("client_errors_4xx", "client_errors_5xx", "http_unseen"),
)
"""What a simulation can tell; rows carry positions in this tuple."""
POSITIONS = {name: at for at, name in enumerate(FIGURES)}

FIELDS = (
    *("client", "client_port_be", "read_queue_ns", "pid", "tid", "peer", "route", "status"),
    *("syscall", "in_syscall_ns", "device", "sectors"),
)
"""Of single events."""
OBSERVATION = np.dtype(
    [
        ("at_s", np.float64),  # story time at which the kernel would count it
        ("figure", np.int64),  # position in FIGURES
        ("key", np.uint64),  # what it stands for follows from the figure
        ("value_ns", np.int64),  # 0 for what is only counted
        *((name, np.int64) for name in FIELDS),
    ]
)
Rows = NDArray[np.void]


def none() -> Rows:
    """No rows."""
    return np.zeros(0, OBSERVATION)


def rows(figure: str, at_s: NDArray[np.float64], key: ArrayLike, value_s: ArrayLike = 0.0, **fields: ArrayLike) -> Rows:
    """One row for each moment of ``at_s`` (rows,); the others have this shape or are one value for all."""
    out = np.zeros(len(at_s), OBSERVATION)
    out["at_s"], out["figure"], out["key"] = at_s, POSITIONS[figure], key
    out["value_ns"] = np.maximum(np.rint(np.asarray(value_s, np.float64) * 1e9), 0)
    for name, values in fields.items():
        out[name] = values
    return out
