"""Who stands still, as JSON in a recording: left out while nobody does, and in recordings from before it was known."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bpftop.model import Backlog, CpuWait, Held, Neighbour, Resender, Resent, Scarce, Standstill, Waiting
from bpftop.recording.asked import Told

_MANY = 1_000_000_000
_LONG_S = 1e9


def standstill_to(known: Standstill) -> dict[str, Any] | None:
    """For ``dump``; None when there is nothing to say."""
    return asdict(known) if known != Standstill() else None


def standstill_of(told: Told) -> Standstill:
    """The same again. Raises Damaged."""
    return told.maybe(_standstill) or Standstill()


def _standstill(told: Told) -> Standstill:
    def number(name: str) -> int:
        return told[name].whole(0, _MANY)

    return Standstill(
        held=tuple(map(_held, told["held"].each()[:1000])),
        open=number("open"),
        unread=number("unread"),
        oldest_s=_seconds(told["oldest_s"]),
        given_up=number("given_up"),
        connections=number("connections"),
        clients=tuple(map(_waiting, told["clients"].each()[:100])),
        workers=tuple(map(_waiting, told["workers"].each()[:100])),
        upstreams=tuple(map(_waiting, told["upstreams"].each()[:100])),
        usual=told["usual"].maybe(lambda each: each.whole(0, _MANY)),
        usual_unread=number("usual_unread"),
        backlogs=tuple(map(_backlog, told["backlogs"].each()[:100])),
        scarce=told["scarce"].maybe(_scarce) or Scarce(),
        resent=told["resent"].maybe(_resent) or Resent(),
    )


def _scarce(told: Told) -> Scarce:
    return Scarce(
        _cpu(told["cpu"]),
        told["pressure_s"].maybe(_seconds),
        tuple(Neighbour(each["name"].text(), _cpu(each["cpu"])) for each in told["neighbours"].each()[:100]),
        _seconds(told["span_s"]),
    )


def _resent(told: Told) -> Resent:
    return Resent(
        told["segments"].whole(0, _MANY),
        told["sent"].whole(0, _MANY),
        told["usual"].maybe(_seconds),
        tuple(map(_resender, told["clients"].each()[:100])),
        _seconds(told["span_s"]),
    )


def _resender(told: Told) -> Resender:
    return Resender(told["name"].text(), told["segments"].whole(0, _MANY), told["sent"].whole(0, _MANY))


def _cpu(told: Told) -> CpuWait:
    wait_s, longest_s, throttled_s = (_seconds(told[name]) for name in ("wait_s", "longest_s", "throttled_s"))
    return CpuWait(wait_s, longest_s, throttled_s, told["group"].text())


def _held(told: Told) -> Held:
    pid, comm, state = told["pid"].whole(0, _MANY), told["comm"].text(), told["state"].words(40)
    return Held(pid, comm, state, _seconds(told["for_s"]), told["inside"].text())


def _waiting(told: Told) -> Waiting:
    count, connections = (told[name].whole(0, _MANY) for name in ("count", "connections"))
    return Waiting(told["name"].text(), count, _seconds(told["oldest_s"]), connections)


def _backlog(told: Told) -> Backlog:
    return Backlog(told["port"].whole(0, 65535), told["length"].whole(0, _MANY), told["limit"].whole(0, _MANY))


def _seconds(told: Told) -> float:
    return min(max(told.real(), 0.0), _LONG_S)
