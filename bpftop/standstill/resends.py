"""What is sent to clients again, because nobody said that it had come: by the kernel's counts of each connection."""

from __future__ import annotations

import statistics
from collections import Counter, deque
from collections.abc import Iterable

from bpftop.model import Resender, Resent
from bpftop.standstill.sockets import LISTEN, Socket

SPAN_S, USUAL_S = 10.0, 60.0
TOP = 8


class Resends:
    """Of one target, look after look. A connection that ends between two looks keeps its last second to itself."""

    def __init__(self) -> None:
        self._last: dict[tuple[int, str, int], tuple[int, int]] | None = None
        self._looks: deque[tuple[float, Counter[str], Counter[str], int, int]] = deque()
        """(when, segments sent again by client, all segments of these clients, both of all clients)."""
        self._shares: deque[tuple[float, float]] = deque()

    def look(self, found: Iterable[Socket], ports: Iterable[int], now_s: float) -> Resent:
        """The last SPAN_S; empty while nothing is sent again."""
        ours = set(ports)
        again, sent, known = Counter[str](), Counter[str](), {}
        before = self._last
        for each in found:
            if each.port in ours and each.state != LISTEN:
                key = each.port, each.peer, each.peer_port
                known[key] = (each.resent, each.segments)
                # What is new since the last look began at 0; before the first look nothing is known.
                then = known[key] if before is None else before.get(key, (0, 0))
                again[each.peer] += max(each.resent - then[0], 0)
                sent[each.peer] += max(each.segments - then[1], 0)
        self._last = known
        self._keep(now_s, again, sent)
        return self._resent(now_s)

    def _keep(self, now_s: float, again: Counter[str], sent: Counter[str]) -> None:
        some = Counter({name: n for name, n in again.items() if n})
        theirs = Counter({name: sent[name] for name in some})
        self._looks.append((now_s, some, theirs, some.total(), sent.total()))
        while len(self._looks) > 1 and now_s - self._looks[0][0] >= SPAN_S:
            self._looks.popleft()

    def _resent(self, now_s: float) -> Resent:
        again, theirs = Counter[str](), Counter[str]()
        segments = all_sent = 0
        for _, some, sent, n_again, n_sent in self._looks:
            again.update(some)
            theirs.update(sent)
            segments, all_sent = segments + n_again, all_sent + n_sent
        while self._shares and self._shares[0][0] < now_s - USUAL_S:
            self._shares.popleft()
        earlier = [share for when, share in self._shares if when <= now_s - SPAN_S]
        self._shares.append((now_s, segments / all_sent if all_sent else 0.0))
        if not segments:
            return Resent()
        usual = round(statistics.median_high(earlier), 5) if earlier else None
        clients = tuple(Resender(name, n, theirs[name]) for name, n in again.most_common(TOP))
        return Resent(segments, all_sent, usual, clients, round(now_s - self._looks[0][0], 1))
