"""What stood out so far: beginnings, ends, breaks, and what is kept of what was said."""

from __future__ import annotations

from dataclasses import replace

from bpftop.model import History, Snapshot
from bpftop.stats.clause import Clause, Place, clause
from bpftop.stats.episodes import KEPT, Episodes
from bpftop.stats.findings import Verdict
from bpftop.stats.stages import REQUEST
from tests.snapshots import UNIX_NS, snapshot
from tests.test_stats_findings import scene, worse

S = 1_000_000_000
CALM = Verdict((clause("calm", "", [("nothing stands out", False)], "", Place("latency")),))


def said(*texts: str) -> tuple[Clause, ...]:
    """A clause for each; its kind is the first word."""
    return tuple(clause(text.partition(" ")[0], text, [(text, True)], "", Place("latency")) for text in texts)


def at(second: float, of: Snapshot | None = None) -> Snapshot:
    return replace(of or snapshot(), unix_ns=UNIX_NS + int(second * S))


def taken(*moments: tuple[float, tuple[str, ...]]) -> Episodes:
    """Verdicts at these seconds; no words: all is calm."""
    log = Episodes()
    for second, texts in moments:
        log.take(at(second), Verdict(said(*texts), trouble=True) if texts else CALM)
    return log


def test_an_episode_has_a_beginning_an_end_and_what_was_said_in_it() -> None:
    slow = ("slow request p99 400 ms", "client 10.0.0.9 is it", "offer upstream more")
    log = taken((0, ()), *((1 + second, slow) for second in range(5)), *((6 + second, ()) for second in range(12)))
    (one,) = log.episodes
    assert (one.began_ns, one.ended_ns, one.over) == (UNIX_NS + 1 * S, UNIX_NS + 5 * S, True)
    assert one.length_s == 4
    assert one.text == "slow request p99 400 ms · client 10.0.0.9 is it"


def test_it_goes_on_over_a_short_break_and_not_over_a_long_one() -> None:
    slow = ("slow request",)
    short = taken((0, slow), (1, slow), (2, ()), (5, ()), (6, slow), (7, slow))
    assert [(each.length_s, each.over) for each in short.episodes] == [(7.0, False)]
    long = taken((0, slow), (1, slow), *((2 + n, ()) for n in range(9)), (11, slow), (12, slow))
    assert [(each.length_s, each.over) for each in long.episodes] == [(1.0, False), (1.0, True)]
    unseen = taken((0, slow), (1, slow), (300, slow))
    assert len(unseen.episodes) == 2


def test_when_something_else_is_behind_it_another_episode_begins() -> None:
    one, two = ("slow request", "upstream a"), ("slow request", "client b")
    log = taken(*((n, one) for n in range(5)), *((5 + n, two) for n in range(6)))
    assert [each.text for each in log.episodes] == ["slow request · client b", "slow request · upstream a"]
    assert [(each.began_ns - UNIX_NS) // S for each in log.episodes] == [4, 0]
    assert [each.over for each in log.episodes] == [False, True]
    more = ("slow request", "upstream a", "client b")
    both = taken(*((n, one) for n in range(5)), *((5 + n, more) for n in range(5)), *((10 + n, two) for n in range(5)))
    assert [each.text for each in both.episodes] == ["slow request · upstream a · client b"]
    passing = taken(*((n, one) for n in range(5)), (5, two), *((6 + n, one) for n in range(5)))
    assert [each.text for each in passing.episodes] == ["slow request · upstream a"]


def test_a_word_said_once_in_passing_is_not_kept_but_a_short_episode_keeps_its_words() -> None:
    slow, passing = ("slow request",), ("slow request", "client 10.0.0.9")
    log = taken((0, slow), (1, passing), (2, slow), (3, slow), (4, slow))
    assert log.episodes[0].text == "slow request"
    assert taken((0, passing)).episodes[0].text == "slow request · client 10.0.0.9"


def test_the_words_are_those_of_the_worst_moment_and_the_beginning_that_of_the_state() -> None:
    log, mild, bad = Episodes(), scene({REQUEST: worse(100.0)}), scene({REQUEST: worse(100.0)})
    high = replace(bad.recent[REQUEST], now=replace(bad.recent[REQUEST].now, p99_ns=900_000_000))
    bad = replace(bad, recent={**bad.recent, REQUEST: high})
    for second, each in enumerate((mild, mild, bad, bad, mild, mild)):
        log.look(at(second, each))
    (one,) = log.episodes
    assert "request latency p99 900 ms" in one.text
    assert one.worst_ns == UNIX_NS + 2 * S
    assert one.began_ns == UNIX_NS - 6 * S
    assert not any(each.key.startswith("offer") for each in one.clauses)


def test_a_moment_seen_again_is_no_news_and_old_episodes_are_forgotten() -> None:
    log = taken((5, ("slow request",)), (1, ("busier request",)), (5, ("busier request",)))
    assert log.episodes[0].text == "slow request"
    many = taken(
        *((40 * n + second, ("slow request",) if second < 2 else ()) for n in range(KEPT + 5) for second in (0, 1, 20))
    )
    assert len(many.episodes) == KEPT
    assert many.episodes[0].began_ns > many.episodes[-1].began_ns > UNIX_NS


def test_a_clock_that_is_set_moves_what_was_and_neither_ends_nor_hides_anything() -> None:
    slow = ("slow request",)
    seconds = ((0, slow), (1, slow), *((2 + n, ()) for n in range(9)), (11, slow), (12, slow), (13, slow), (14, slow))
    true = taken(*seconds).episodes
    for by_s in (3600, -3600, 1, -1):
        log = Episodes()
        for second, texts in seconds:
            moved = by_s * S if second > 12 else 0
            shown = at(second)
            history = History(unix_offset_ns=10**18 + moved)
            shown = replace(shown, unix_ns=shown.unix_ns + moved, histories=(history,))
            log.take(shown, Verdict(said(*texts), trouble=True) if texts else CALM)
        found = log.episodes
        assert [each.length_s for each in found] == [each.length_s for each in true] == [3.0, 1.0]
        assert [each.began_ns - by_s * S for each in found] == [each.began_ns for each in true]
