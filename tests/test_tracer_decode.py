"""Bytes to messages: any chunks, six versions of bpftrace. Mutated lines are in test_fuzz.py."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpftop.model import Attached, Heartbeat, Lost, MapPrint, Message, Record, Rejected, Text, Tick, TickEnd
from bpftop.tracer.decode import LineSplitter, decode_line, number, repair, unsigned_items
from tests.recordings import CAPTURES, VERSIONS, capture, line

KINDS = (Attached, Tick, TickEnd, Heartbeat, MapPrint, Record, Lost, Text, Rejected)


def decode(text: bytes) -> list[Message]:
    return [message for part in text.split(b"\n") for message in decode_line(part)]


def maps(version: str, name: str) -> dict[str, Any]:
    return {m.name: m.values for m in decode(capture(version, name)) if isinstance(m, MapPrint)}


@given(st.lists(st.integers(-(10**21), 10**21), min_size=1, max_size=9), st.sampled_from(["", "\\n", "\\n\\n", " "]))
def test_an_event_is_the_same_with_and_without_json(numbers: list[int], end: str) -> None:
    data = f"E {' '.join(map(str, numbers))}{end}"
    quick = f'{{"type": "printf", "data": "{data}"}}'.encode()
    slow = f'{{ "type": "printf", "data": "{data}"}}'.encode()
    assert list(decode_line(quick)) == list(decode_line(slow))


# --- lines ---


def chunked(text: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[a:b] for a, b in pairwise(edges)]


@given(
    st.lists(st.binary(max_size=14).map(lambda b: b.replace(b"\n", b"x"))), st.lists(st.integers(0, 999)), st.booleans()
)
def test_any_chunks_give_the_same_lines_and_what_is_too_long_is_counted(
    lines: list[bytes], cuts: list[int], ends: bool
) -> None:
    text = b"\n".join(lines) + (b"\n" if ends and lines else b"")
    splitter = LineSplitter(limit=8)
    found = [found for chunk in chunked(text, cuts) for found in splitter.feed(chunk)]
    whole, rest = (lines, b"") if ends else (lines[:-1], lines[-1] if lines else b"")
    assert found == [one for one in whole if len(one) <= 8]
    assert splitter.rest() == (rest if len(rest) <= 8 else b"")
    assert splitter.oversize == sum(len(one) > 8 for one in [*whole, rest])


def test_a_line_that_never_ends_is_not_kept() -> None:
    splitter = LineSplitter(limit=1000)
    for _ in range(10_000):
        assert splitter.feed(b"x" * 100) == []
    assert splitter.oversize == 1
    assert not splitter.rest()
    assert splitter.feed(b"\nnext\n") == [b"next"]


# --- six versions ---


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_captured_line_is_understood(path: Path) -> None:
    """What is no JSON is either plain text (warnings, text mode) or the invalid JSON of strftime before 0.22."""
    for one in path.read_bytes().split(b"\n"):
        messages = list(decode_line(one))
        assert bool(messages) == bool(one.strip())
        for message in messages:
            assert isinstance(message, KINDS)
            if isinstance(message, Rejected):
                ours_with_words = one.startswith(b'{"type": "printf", "data": "E ')  # of the lost-events sample: comm
                bare = b"18:37:4" in one or b':"' not in one
                assert ours_with_words or (b"time" in str(path).encode() and bare), one
            if isinstance(message, Text):
                assert not one.startswith((b'{"type": "map', b'{"type": "hist', b'{"type": "stats', b'{"type": "att'))


@pytest.mark.parametrize("version", VERSIONS)
def test_what_each_version_says(version: str) -> None:
    assert decode(capture(version, "printf"))[0] == Attached(1)
    found = maps(version, "maps")
    assert found["@s"] == {"": 5}
    assert found["@k"] == {"a": 1, "b": 2}
    assert found["@m"] == {"1,x": 3}
    assert found["@t"] == {"": [1, "q", 2]}
    lost = [m.events for m in decode(capture(version, "lost-events")) if isinstance(m, Lost)]
    assert all(events > 0 for events in lost)
    assert lost or version == "0.17.0"
    texts = [m.line for m in decode(capture(version, "strings")) if isinstance(m, Text)]
    assert texts == ['q"b\\ t\t r\r e\x1b ué\n']
    safe = Counter(type(m).__name__ for m in decode(capture(version, "safe-subset")))
    assert safe["Tick"] in (1, 2)
    assert safe["MapPrint"] >= 6
    assert safe["Rejected"] == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_big_numbers_are_whole_whether_they_come_as_numbers_or_text(version: str) -> None:
    found = maps(version, "big-ints")
    assert list(unsigned_items({"7": found["@a"][""]})) == [(7, 9007199254740993)]
    pair = found["@t"][""]
    assert [number(part) for part in pair] == [9007199254740993, 9007199254740994]


@pytest.mark.parametrize("version", VERSIONS)
def test_histograms_and_statistics_are_maps(version: str) -> None:
    found = maps(version, "hist-all")
    assert {"@h", "@hk", "@l", "@lk", "@sta", "@stk", "@av", "@c"} <= set(found)
    [buckets] = found["@h"].values()
    assert sum(bucket["count"] for bucket in buckets) > 0
    assert set(found["@hk"]) == {"a", "b"}
    assert dict(unsigned_items(found["@hk"])) == {}


# --- single rules ---


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("T 12\n", Tick(12)),
        ("t 12\n", TickEnd(12)),
        ("H 3\n", Heartbeat(3)),
        ("E 2 10 -5 18446744073709551615\n", Record(2, (10, -5, 18446744073709551615))),
        ("E 1\n", Record(1, ())),
        ("E one\n", Rejected("E one\n")),
        ("E 1 2 x\n", Rejected("E 1 2 x\n")),
        ("E 1  2\n", Rejected("E 1  2\n")),
        ("E 123456789012345678901\n", Rejected("E 123456789012345678901\n")),
        ("E 1 2\nE 1 2\n", Rejected("E 1 2\nE 1 2\n")),
        ("T \n", Rejected("T \n")),
        ("T 1 2\n", Rejected("T 1 2\n")),
        ("T -1\n", Rejected("T -1\n")),
        ("T 9999999999999999999\n", Rejected("T 9999999999999999999\n")),
        ("E ١\n", Rejected("E ١\n")),
        ("Every request\n", Text("Every request\n")),
        ("E", Text("E")),
    ],
)
def test_a_printf_of_ours_is_a_tag_and_whole_numbers(data: str, message: Message) -> None:
    assert list(decode_line(line("printf", data))) == [message]


@pytest.mark.parametrize(
    "broken",
    [
        *(b"{", b'{"type": "printf"}', b'{"type": "map", "data": 3}', b'{"type": 3}', b"{}"),
        *(b'{"type": "printf", "data": 1}', b'{"type": "new", "data": {}}'),
        *(b'{"type": "map", "data": {"@a": ' + b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}"),
    ],
)
def test_what_is_neither_is_rejected_and_short(broken: bytes) -> None:
    [message] = decode_line(broken)
    assert isinstance(message, Rejected)
    assert len(message.line) <= 200


def test_blank_lines_say_nothing_and_plain_text_is_text() -> None:
    assert decode(b"\n \t\n\r\n") == []
    assert decode(b"Attaching 3 probes...") == [Text("Attaching 3 probes...")]
    assert decode(b'["a", 1]') == [Text('["a", 1]')]


def test_keys_are_unsigned_and_what_is_no_number_is_left_out() -> None:
    values = {"-1": 3, "2": 1 << 63, "5": "7", "x": 1, "1,2": 1, "8": [1], "9": True, "10": 2.5, str(1 << 64): 4, "": 1}
    assert list(unsigned_items(values)) == [((1 << 64) - 1, 3), (5, 7)]
    assert list(unsigned_items([1])) == []


@given(st.text().filter(lambda text: "\uffff" not in text))
def test_repair_gives_back_what_bpftrace_mangled(text: str) -> None:
    mangled = "".join(chr(b) if b < 0x80 else f"\uffffff{b:02x}" for b in text.encode("utf-8", "replace"))
    assert repair(mangled) == text.encode("utf-8", "replace").decode()


@given(st.text(st.sampled_from(["\uffff", "f", "F", "4", "c", "3", "a", "\ud800", "\udc80", "\udcff", "é", "x"])))
def test_repair_never_fails(text: str) -> None:
    repaired = repair(text)
    assert repaired == text or repaired.encode()
