"""Lines of any program, from the recorded output of six versions: every map with its true values, no word lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpftop.anyscript.decode import RunMessage, decode
from bpftop.anyscript.model import Bucket, Complaint, Histogram, Printed, Said, Stats
from bpftop.model import Attached, Lost, Rejected
from tests.recordings import CAPTURES, VERSIONS, capture


def messages(version: str, name: str) -> list[RunMessage]:
    twice = version.startswith("0.23")
    return [m for line in capture(version, name).split(b"\n") for m in decode(line, escaped_twice=twice)]


def maps(version: str, name: str) -> dict[str, Any]:
    return {m.name: m.rows if m.keyed else m.rows[""] for m in messages(version, name) if isinstance(m, Printed)}


def said(version: str, name: str) -> str:
    return "".join(m.text for m in messages(version, name) if isinstance(m, Said))


@pytest.mark.parametrize("version", VERSIONS)
def test_maps_of_every_kind(version: str) -> None:
    assert maps(version, "maps") == {"@s": 5, "@k": {"a": 1, "b": 2}, "@m": {"1,x": 3}, "@t": "(1, q, 2)", "@st": "str"}
    assert said(version, "maps") == "7\nlit\n(1, z, (2, 3))\n"
    found = maps(version, "hist-all")
    assert found["@h"].buckets[0] == Bucket(None, -1, 1)
    assert found["@h"].buckets[-1] == Bucket(512, 1023, 1)
    assert found["@h"].count == 5
    assert found["@hk"] == {"a": Histogram((Bucket(2, 3, 1),)), "b": Histogram((Bucket(64, 127, 1),))}
    assert found["@l"].buckets[-1] == Bucket(100, None, 1)
    assert found["@sta"] == Stats(2, 15, 30)
    assert found["@stk"] == {"z": Stats(1, 7, 7)}
    assert (found["@av"], found["@avk"], found["@c"], found["@ck"]) == (3, {"q": 9}, 1, {"c": 1})
    assert (found["@mi"], found["@ma"], found["@su"]) == (4, 9, 5)


@pytest.mark.parametrize("version", VERSIONS)
def test_foreign_letters_and_quotes_in_words_and_keys(version: str) -> None:
    assert said(version, "strings") == 'q"b\\ t\t r\r e\x1b ué\n'
    assert maps(version, "strings")["@"] == {'ké"x\t': 1}


@pytest.mark.parametrize("version", VERSIONS)
def test_words_are_whole(version: str) -> None:
    assert said(version, "printf") == "a=1 b=x\nno newlinetwo\nlines\n"
    assert said(version, "cat-system").startswith("sys\n")
    times = said(version, "time-strftime").split("\n")
    assert len(times) == 3, "time() and a printed strftime(), also where its JSON has no quotes"
    assert all(len(each) == 8 for each in times[:2])
    assert len(maps(version, "time-strftime")["@ts"]) == 8


@pytest.mark.parametrize("version", VERSIONS)
def test_numbers_of_64_bits(version: str) -> None:
    assert maps(version, "big-ints")["@a"] == 9007199254740993
    assert maps(version, "types")["@u64"] == (1 << 64) - 1
    assert maps(version, "types")["@neg"] == -5


@pytest.mark.parametrize("version", VERSIONS)
def test_observations_above_2_to_the_31(version: str) -> None:
    histogram = maps(version, "hist-over-2g")["@h"]
    low = histogram.quantile(1.0).low
    assert histogram.count == 4
    assert low == (1 << 31 if version == "0.17.0" else 1 << 33), "0.17 knows no more than that it is at least 2^31"
    assert histogram.buckets[-1].high is None or version != "0.17.0"


@pytest.mark.parametrize("version", VERSIONS)
def test_losses_troubles_and_attaching(version: str) -> None:
    assert Attached(1) in messages(version, "printf")
    assert version == "0.17.0" or any(isinstance(m, Lost) and m.events for m in messages(version, "lost-events"))
    found = maps(version, "zeroed-maps")
    assert (found["@h"], found["@hk"], found["@ck"]) == (Histogram(), {"1": Histogram()}, {"a": 0})
    if version not in ("0.17.0", "0.20.2"):
        troubles = [m.text for m in messages(version, "map-full") if isinstance(m, Complaint)]
        assert any("map_update_elem" in text and "(line 1)" in text for text in troubles)


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_nothing_recorded_is_unreadable(path: Path) -> None:
    for line in path.read_bytes().split(b"\n"):
        assert not any(isinstance(m, Rejected) for m in decode(line)), line


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"type": "printf", "data": "T 12\\n"}', Said("T 12\n")),
        (b'{"type": "join", "data": "ls -l"}', Said("ls -l\n")),
        (b"Attaching 3 probes...", Complaint("Attaching 3 probes...")),
        (b'{"type": "map", "data": {"@a": 0x12ab}}', Printed("@a", False, {"": "0x12ab"})),
        (b'{"type": "map", "data": {"@a": {"x": 12:00, "y": 7}}}', Printed("@a", True, {"x": "12:00", "y": 7})),
        (b'{"type": "map", "data": {"@a": "007"}}', Printed("@a", False, {"": "007"})),
        (b'{"type": "map", "data": {"@a": true}}', Printed("@a", False, {"": "true"})),
        (b'{"type": "hist", "data": {"@a": {}}}', Printed("@a", True, {})),
        (
            b'{"type": "tseries", "data": {"@a": [{"interval_start": "12:00", "value": 3}]}}',
            Printed("@a", True, {"12:00": 3}),
        ),
        (b'{"type": "new", "data": 1}', Rejected('{"type": "new", "data": 1}')),
        (b"{", Rejected("{")),
    ],
)
def test_single_lines(line: bytes, message: RunMessage) -> None:
    assert list(decode(line)) == [message]


@given(st.text(st.sampled_from(["a", '"', "\\", ",", "é", "\n", "\t"]), min_size=1))
def test_keys_escaped_twice_come_back(key: str) -> None:
    """As 0.22 and 0.23 write them: escaped, and the result escaped again."""
    once = json.dumps("".join(chr(b) if b < 0x80 else f"\uffffff{b:02x}" for b in key.encode()))[1:-1]
    line = json.dumps({"type": "map", "data": {"@a": {once: 1}}}).encode()
    assert list(decode(line, escaped_twice=True)) == [Printed("@a", True, {key: 1})]


@given(st.binary(max_size=60), st.booleans())
def test_no_bytes_raise(junk: bytes, twice: bool) -> None:
    for start in (b"", b"{", b'{"type": "hist", "data": {"@a": ', b'{"type": "map", "data": {"@a": {"x": '):
        for message in decode(start + junk.replace(b"\n", b""), escaped_twice=twice):
            assert message is not None
