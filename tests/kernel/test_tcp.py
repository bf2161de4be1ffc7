"""The network's share: the kernels' own counters, a link that loses known packets and both ends' clocks as truth."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bpftop.session import Session
from tests.kernel.watching import assert_between, assert_counts, settled, watching
from tests.load.ends import CLIENT, CLIENT6, SERVER, SERVER6, End, Packet, slow_link

DELAY_S = 0.01
DEAF_PORT = 1


def _spans(done: list[dict[str, Any]]) -> NDArray[np.int64]:
    """How long each system call took as the caller saw it, sorted."""
    return np.sort(np.array([call["after"] - call["before"] for call in done], np.int64))


def _counter(session: Session, name: str) -> tuple[int, dict[str, int]]:
    """The count of a counter and its table."""
    counter = session.snapshot(None).counters[name]
    return counter.count, {row.client: row.count for row in counter.rows}


def _accepted(server: End, client: End, host: str, **options: bool) -> tuple[int, int]:
    """A connection from the client's end to the server's: the numbers of its sockets there and here."""
    listener = server.do("listen", host=host)
    client.begin("connect", host=host, port=listener["port"])
    accepted = server.do("accept", listener=listener["id"], **options)
    return int(accepted["id"]), int(client.result()["id"])


def _exchange(server: End, client: End, at_server: int, at_client: int, times: int) -> tuple[list[Any], list[Any]]:
    """Requests and answers in turn; what the server's sends and the calls of its reads took."""
    sends, reads = [], []
    for _ in range(times):
        client.do("send", id=at_client, size=10)
        reads += [{"before": b, "after": a} for b, a in server.do("receive", id=at_server, size=10)["calls"]]
        sends.append(server.do("send", id=at_server, size=500))
        client.do("receive", id=at_client, size=500)
    return sends, reads


def _every(nth: int) -> Callable[[int, Packet], bool]:
    """Loses every n-th packet with data that the server's end sends, and all that is sent to the deaf port."""
    count = 0

    def loses(side: int, packet: Packet) -> bool:
        nonlocal count
        count += side == 0 and packet.data_bytes > 0
        lost = side == 0 and packet.data_bytes > 0 and count % nth == 0
        return lost or packet.to_port == DEAF_PORT

    return loses


def _first_syn(from_side: int) -> Callable[[int, Packet], bool]:
    """Loses the first SYN or SYN-ACK of one side."""
    lost: list[Packet] = []

    def loses(side: int, packet: Packet) -> bool:
        if side == from_side and packet.flags & 2 and not lost:
            lost.append(packet)
            return True
        return packet.to_port == DEAF_PORT

    return loses


def test_round_trips_and_lost_packets_are_those_of_the_kernel() -> None:
    round_trips_and_lost_packets()


def round_trips_and_lost_packets() -> None:
    """What the kernel counts itself, over a link that loses every sixth packet of the server's."""
    with slow_link(DELAY_S) as (server, client, link):
        before = _accepted(server, client, SERVER)  # opened before anybody looked
        with watching(str(server.pid), ("tcp",)) as session:
            old = server.network_count("RetransSegs")
            v4 = _accepted(server, client, SERVER, non_blocking=True)
            v6 = _accepted(server, client, SERVER6)
            link.loses = _every(6)
            sends, reads = _exchange(server, client, *v4, times=36)
            link.loses = _first_syn(0)
            syn_ack_lost = _accepted(server, client, SERVER)
            sends += _exchange(server, client, *v6, times=10)[0]
            sends += _exchange(server, client, *before, times=4)[0]
            sends += _exchange(server, client, *syn_ack_lost, times=1)[0]

            measures = settled(session).measures
            rtt = measures["smoothed_rtt"]
            rtts_ns = np.sort(np.array([send["rtts_us"] for send in sends], np.int64) * 1000)  # equal, nearly always
            assert_between(rtt.histogram, np.sort(rtts_ns[:, 0]), np.sort(rtts_ns[:, 1] + 999))
            assert_counts(rtt, {CLIENT: 41, CLIENT6: 10})
            assert_between(measures["send_latency"].histogram, np.zeros(51, np.int64), _spans(sends))
            received = measures["receive_latency"]  # those of blocking sockets are left out
            assert_between(received.histogram, np.zeros(36, np.int64), _spans(reads))
            truth = server.network_count("RetransSegs") - old
            assert truth >= link.lost > 6
            assert _counter(session, "retransmits") == (truth, {CLIENT: truth})
            assert server.do("info", id=v4[0])["retransmits"] <= truth
            assert _counter(session, "resets_sent") == _counter(session, "resets_received") == (0, {})


def test_connects_resets_and_slow_receivers() -> None:
    connects_resets_and_slow_receivers()


def connects_resets_and_slow_receivers() -> None:
    """Each once for a peer that answers, refuses, does not hear, or breaks the connection."""
    with slow_link(DELAY_S) as (server, client, link), watching(str(server.pid), ("tcp",)) as session:
        target = client.do("listen", host=CLIENT)
        target6 = client.do("listen", host=CLIENT6)
        closed = client.do("close", id=(nobody := client.do("listen", host=CLIENT))["id"]) and nobody["port"]
        link.loses = _first_syn(0)
        connects = [server.do("connect", host=CLIENT, port=target["port"]) for _ in range(4)]
        connects += [server.do("connect", host=CLIENT6, port=target6["port"]) for _ in range(2)]
        refused = [server.do("connect", host=CLIENT, port=closed) for _ in range(3)]
        server.do("give_up", host=CLIENT, port=DEAF_PORT)
        broken_by_client = [_accepted(server, client, SERVER)[1] for _ in range(3)]
        broken_by_server = [_accepted(server, client, SERVER6)[0] for _ in range(2)]
        for socket in broken_by_client:
            client.do("close", id=socket, reset=True)
        for socket in [*broken_by_server, connects[1]["id"]]:
            server.do("close", id=socket, reset=True)
        slow = _slow_receiver(server, client)
        _sent_after_close(server, client)

        measures = settled(session).measures
        latency = measures["connect_latency"]
        assert all(connect["error"] for connect in refused)
        low = np.full(6, 2 * DELAY_S * 1e9, np.int64)
        assert_between(latency.histogram, low, _spans(connects))
        peers = {f"{CLIENT}:{target['port']}": 4, f"[{CLIENT6}]:{target6['port']}": 2}
        assert_counts(latency, peers)
        assert latency.summary.max_ns is not None
        assert latency.summary.max_ns > 0.9 * _spans(connects)[-1] > 10 * low[0]  # the lost SYN
        assert _counter(session, "failed_connects") == (4, {f"{CLIENT}:{closed}": 3, f"{CLIENT}:{DEAF_PORT}": 1})
        assert _counter(session, "resets_received") == (3, {CLIENT: 3})
        assert link.seen[1, "RST"] == 3 + len(refused)
        assert _counter(session, "resets_sent") == (4, {CLIENT: 2, CLIENT6: 2})
        assert link.seen[0, "RST"] == 4
        send = measures["send_latency"]
        assert send.summary.count == 1
        assert send.summary.max_ns is not None
        assert 0.8 * slow <= send.summary.max_ns <= 1.02 * slow
        # A train of segments that is sent again counts once.
        assert 1 <= _counter(session, "retransmits")[0] <= server.network_count("RetransSegs")


def _sent_after_close(server: End, client: End) -> None:
    """The server closes; what the client sends then is answered with a reset, by the kernel alone."""
    at_server, at_client = _accepted(server, client, SERVER)
    server.do("close", id=at_server)
    client.do("receive", id=at_client, size=1)
    client.do("send", id=at_client, size=10)
    client.do("receive", id=at_client, size=1)


def _slow_receiver(server: End, client: End) -> int:
    """A blocking send of more than the buffers hold, to a client that begins to read late; how long it took."""
    at_server, at_client = _accepted(server, client, SERVER)
    size = 4_000_000
    late = threading.Timer(0.3, client.begin, ("receive",), {"id": at_client, "size": size})
    late.start()
    sent = server.do("send", id=at_server, size=size)
    late.join()
    client.result()
    return int(sent["after"] - sent["before"])
