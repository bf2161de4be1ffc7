"""What the two ends of a test's traffic recorded, as numpy rows, and what follows from it for each measure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REQUESTS = np.dtype(
    [
        (name, np.int64)
        for name in (
            "client",  # IPv4 in host order, 0 for ::1
            "port",
            "read_start_ns",
            "read_end_ns",
            "first_send_start_ns",
            "first_send_end_ns",
            "last_send_start_ns",
            "last_send_end_ns",
            "delay_ns",  # as drawn: what was asked for
        )
    ]
)
CONNECTIONS = np.dtype(
    [
        (name, np.int64)
        for name in (
            "client",
            "port",
            "readable_ns",  # when epoll told the server of its listener: not before the connection was established
            "accept_start_ns",
            "accepted_ns",
            "closed_ns",  # just before close(); close_end_ns just after
            "close_end_ns",
        )
    ]
)
"""All times CLOCK_BOOTTIME, as bpftrace's ``nsecs``."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What the server itself saw: one row per answered request and per ended connection, in no order."""

    requests: NDArray[np.void]
    connections: NDArray[np.void]

    @property
    def request_latency_ns(self) -> NDArray[np.int64]:
        """Request read to first byte sent, sorted; both ends just after the system call, where the kernel's are."""
        return _sorted(self.requests["first_send_end_ns"] - self.requests["read_end_ns"])

    @property
    def response_time_ns(self) -> NDArray[np.int64]:
        """Request read to last byte sent, sorted."""
        return _sorted(self.requests["last_send_end_ns"] - self.requests["read_end_ns"])

    @property
    def connection_duration_ns(self) -> NDArray[np.int64]:
        """Accepted to closed, sorted."""
        return _sorted(self.connections["closed_ns"] - self.connections["accepted_ns"])

    def bounds_ns(self, measure: str, trace: NDArray[np.void]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """What the kernel must have seen for a measure, whatever the scheduler did: two sorted arrays, low and high.

        Each kernel moment lies inside a system call whose start and end were recorded, here or by the generator
        (``trace``), so the k-th smallest latency lies between ``low[k]`` and ``high[k]``. Two moments can lie
        behind the generator's call when the kernel is busy - data arrived, connection established - so the low
        bounds of the queues are the softer ones.
        """
        (start, started), (end, ended) = _MOMENTS[measure]
        if measure in ("accept_queue_latency", "connection_duration"):
            first = trace[np.unique(trace[["client", "port", "connect_start_ns"]], return_index=True)[1]]
            begun, over = _joined(first, self.connections, "connect_start_ns", "accepted_ns")
        else:
            begun, over = _joined(trace, self.requests, "send_start_ns", "read_end_ns")
            begun = begun if measure == "read_queue_latency" else over
        return _sorted(np.maximum(over[end] - begun[started], 0)), _sorted(over[ended] - begun[start])

    def read_queue_ns(self, trace: NDArray[np.void]) -> NDArray[np.int64]:
        """Arrived (the client's send returned) to read, sorted, by joining the generator's TRACE rows."""
        sent, read = _joined(trace, self.requests, "send_start_ns", "read_end_ns")
        return _sorted(read["read_end_ns"] - sent["send_end_ns"])

    def accept_queue_ns(self, trace: NDArray[np.void]) -> NDArray[np.int64]:
        """Established (the client's connect was done) to accepted, sorted, for connections with a request."""
        first = trace[np.unique(trace[["client", "port", "connect_start_ns"]], return_index=True)[1]]
        began, accepted = _joined(first, self.connections, "connect_start_ns", "accepted_ns")
        return _sorted(accepted["accepted_ns"] - began["connect_end_ns"])


_MOMENTS = {
    "read_queue_latency": (("send_start_ns", "send_end_ns"), ("read_start_ns", "read_end_ns")),
    "request_latency": (("read_start_ns", "read_end_ns"), ("first_send_start_ns", "first_send_end_ns")),
    "response_time": (("read_start_ns", "read_end_ns"), ("last_send_start_ns", "last_send_end_ns")),
    "accept_queue_latency": (("connect_start_ns", "connect_end_ns"), ("accept_start_ns", "accepted_ns")),
    "connection_duration": (("connect_start_ns", "connect_end_ns"), ("closed_ns", "close_end_ns")),
}
"""The system calls, start and end, in which a measure's clock starts and stops."""


def _sorted(values: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.sort(values)


def _joined(
    left: NDArray[np.void], right: NDArray[np.void], left_time: str, right_time: str
) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Rows of the same connection and turn: both sides ordered by client, port and time are then in step."""
    if len(left) != len(right):
        raise ValueError(f"{len(left)} rows cannot be joined with {len(right)}")
    a = left[np.lexsort((left[left_time], left["port"], left["client"]))]
    b = right[np.lexsort((right[right_time], right["port"], right["client"]))]
    if not (np.array_equal(a["client"], b["client"]) and np.array_equal(a["port"], b["port"])):
        raise ValueError("the two sides saw different connections")
    return a, b
