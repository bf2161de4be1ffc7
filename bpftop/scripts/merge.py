"""Probes on the same attach points become one: bpftrace reads the list of all events again for every probe, and each
attached probe costs an entry per hit and about 72 ms when it is detached."""

from __future__ import annotations

import re

from bpftop.scripts.macros import closing

_HEAD = re.compile(
    r"(?m)^(?P<head>(?:BEGIN|END)\s*|(?:tracepoint|kprobe|kretprobe|uprobe|uretprobe|usdt|interval|profile):[^{]*)\{"
)
_CLOCK = re.compile(r"\bnsecs\b")
_RETURN = re.compile(r"(?m)^(?:(?!//).)*\breturn\b")


def merge_probes(text: str) -> str:
    """``text`` with the bodies of probes of equal head (attach points and filter) put behind each other.

    The bodies share their ``$variables``: each must set what it reads, which bpftrace demands anyway. They also share
    one look at the clock, so that an event that the first one prints is not in what the second one measures. A body
    that may return early stays a probe of its own.
    """
    bodies: dict[str, list[str]] = {}
    out, at = [], 0
    while match := _HEAD.search(text, at):
        close = closing(text, match.end() - 1)
        key = " ".join(match["head"].split())
        body = re.sub(r"\A[^\S\n]*(//[^\n]*)?\n", "", text[match.end() : close])
        if _RETURN.search(body):
            out.append(text[at : close + 1])
        elif key in bodies:
            bodies[key].append(body)
            out.append(text[at : match.start()])
        else:
            bodies[key] = [text[match.end() : close]]
            out.append(text[at : match.end()] + f"\0{key}\0" + "}")
        at = close + 1
    merged = "".join(out) + text[at:]
    return re.sub("\0([^\0]*)\0", lambda found: _joined(bodies[found[1]]), merged)


def _joined(bodies: list[str]) -> str:
    if sum(bool(_CLOCK.search(re.sub(r"//[^\n]*", "", body))) for body in bodies) > 1:
        first, *others = (_CLOCK.sub("$fired", body) for body in bodies)
        bodies = ["\n  $fired = nsecs;" + first, *others]
    return "\n".join(body.rstrip() for body in bodies[:-1]) + ("\n" if len(bodies) > 1 else "") + bodies[-1]
