"""What is sent to clients again, because nobody said that it had come: by the kernel's counts of each connection."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from bpftop.model import Resender, Resent
from bpftop.sockdiag import LISTEN
from bpftop.standstill.sockets import Socket

SPAN_S = 10.0
NO_ROOM = 0.1
"""A connection whose other side had no room for so much of the time: it takes things in slowly and throws away what
comes meanwhile, which is no loss of the network. Of a new one any time is enough: nobody knows how long it has been."""
SECOND_US = 1e6
"""Between two looks that are further apart it may have begun just before the second."""
TOP = 8
CALM_LOOKS = 40
"""What is usual is learnt from so many looks."""
CALM = 0.5
"""A look is calm when not even so much of what is unusual was seen."""
NEW_LEVEL_S = 600.0
"""What has lasted so long is usual from then on."""


class Resends:
    """Of one target, look after look. A connection that ends between two looks keeps its last second to itself."""

    def __init__(self) -> None:
        self._last: dict[tuple[int, str, int], tuple[int, int, int]] | None = None
        self._looks: deque[tuple[float, Counter[str], Counter[str], int, int]] = deque()
        """(when, segments sent again by client, all segments of these clients, both of all clients)."""
        self._calm: deque[tuple[float, int, int]] = deque(maxlen=CALM_LOOKS)
        """(when, segments sent again, all segments) of looks in which nothing was unusual."""
        self._calm_s = 0.0

    def look(self, found: Iterable[Socket], ports: Iterable[int], now_s: float) -> Resent:
        """The last SPAN_S; empty while nothing is sent again."""
        ours = set(ports)
        again, sent, known = Counter[str](), Counter[str](), {}
        before, span_us = self._last, (now_s - self._looks[-1][0]) * 1e6 if self._looks else 0.0
        for each in found:
            if each.port in ours and each.state != LISTEN:
                key = each.port, each.peer, each.peer_port
                known[key] = (each.resent, each.segments, each.no_room_us)
                # What is new since the last look began at 0; before the first look nothing is known.
                then = known[key] if before is None else before.get(key, (0, 0, 0))
                new = before is not None and key not in before
                enough_us = 1 if new else NO_ROOM * min(span_us, SECOND_US)
                if each.no_room_us - then[2] >= enough_us:
                    continue
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
        self._calm_s = self._calm_s or now_s
        if not segments:
            self._learn(now_s, calm=True)
            return Resent()
        clients = tuple(Resender(name, n, theirs[name]) for name, n in again.most_common(TOP))
        found = Resent(segments, all_sent, self._usual(), clients, round(now_s - self._looks[0][0], 1))
        self._learn(now_s, not found.unusual(CALM))
        return found

    def _usual(self) -> float | None:
        """Of calm looks that are no longer in what is told of now."""
        old = [each for each in self._calm if each[0] < self._looks[0][0]]
        sent = sum(each[2] for each in old)
        return round(sum(each[1] for each in old) / sent, 5) if sent else None

    def _learn(self, now_s: float, calm: bool) -> None:
        """What is unusual never becomes usual, until it has lasted for ten minutes."""
        if not calm and now_s - self._calm_s < NEW_LEVEL_S:
            return
        if not calm:
            self._calm.clear()
        self._calm_s = now_s
        _, _, _, again, sent = self._looks[-1]
        self._calm.append((now_s, again, sent))
