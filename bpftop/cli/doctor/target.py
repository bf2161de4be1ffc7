"""The target under the doctor's eyes: does it run, where, how does it talk, and what is not seen of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bpftop.cli.doctor.findings import TargetFinding
from bpftop.model import Script, Target, TargetKind
from bpftop.preflight import Check, Problem
from bpftop.target import elsewhere, explain, hidden, resolve
from bpftop.target.look import Look, look, speaks_tls

_SERVING = ("requests", "connections", "http")


def examine(spec: str, scripts: Iterable[Script]) -> TargetFinding:
    """The target, as it is now. Raises TargetError for an impossible word."""
    target = resolve(spec)
    if not target.processes:
        return TargetFinding(target, None, explain(target))
    seen = look(target)
    remarks = tuple(filter(None, (hidden(target), elsewhere(target), *_unseen(seen))))
    unfit = tuple((script.name, why) for script in scripts if (why := _why_unfit(script.name, target, seen)))
    return TargetFinding(target, seen, "", remarks, unfit)


def _unseen(seen: Look) -> Iterator[str]:
    """What to know before believing that the figures are everything."""
    if seen.io_uring:
        yield "it uses io_uring: what it reads and writes there is no system call, so syscalls and eventloop miss it"
    if seen.udp:
        ports = ", ".join(map(str, seen.udp[:5]))
        yield f"it receives UDP on port {ports}: QUIC, DNS and other UDP is not measured"
    if seen.unix:
        yield f"it listens on the unix socket {seen.unix[0]}: requests and connections measure TCP only"
    if speaks_tls(seen):
        yield (
            "a library for TLS is loaded: latencies of TLS connections are right, but http cannot read what is "
            "encrypted, and requests that overlap on one HTTP/2 connection count as one"
        )


def _why_unfit(name: str, target: Target, seen: Look) -> str:
    """Why the script would find nothing to measure now; empty when it makes sense, or when we may not look."""
    if seen.unreadable:
        return ""
    if name in _SERVING and not target.ports:
        return "it listens on no TCP port"
    if name == "upstream" and not seen.outgoing:
        return "it has no connection of its own open now"
    if name == "eventloop" and not seen.epoll:
        return "it does not wait with epoll"
    return ""


def checks(found: TargetFinding) -> list[Check]:
    """As lines of the table."""
    target = found.target
    if found.look is None:
        fatal = target.kind is TargetKind.PID
        hint = "ps -e" if fatal else "sudo bpftop"  # alone it lists what listens here
        wait = "" if fatal else "; bpftop waits for it"
        return [Check("running", "no", Problem(f"{found.absent}{wait}", hint, fatal=False))]
    seen = found.look
    count = len(target.processes)
    pids = ", ".join(map(str, target.pids[:8])) + (", …" if count > 8 else "")
    lines = [
        Check(
            "running", f"{count} {_plural('process', count)} ({pids}), {seen.threads} {_plural('thread', seen.threads)}"
        ),
        Check("ports", _ports(target, seen), known=not seen.unreadable),
        Check("where", _where(seen)),
    ]
    lines += [Check("remark", remark, Problem(remark, fatal=False)) for remark in found.remarks]
    return lines


def _ports(target: Target, seen: Look) -> str:
    shown = ", ".join(map(str, target.ports[:12])) + (", …" if len(target.ports) > 12 else "")
    return shown or ("only root can see" if seen.unreadable else "it listens on no TCP port")


def _where(seen: Look) -> str:
    parts = [f"container {name[:12]}" for name in seen.containers]
    parts += [f"unit {name}" for name in seen.units]
    names = {"pid": "processes", "net": "network", "mnt": "files", "user": "users"}
    if seen.foreign:
        kinds = ", ".join(names[kind] for kind in seen.foreign)
        parts.append(f"its own namespace for {kinds}")
    if seen.inner_pids:
        parts.append(f"process {', '.join(map(str, seen.inner_pids[:4]))} inside")
    return ", ".join(parts) or "in the namespaces of this host"


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}es" if word.endswith("s") else f"{word}s"
