"""Headers: what is read, and complaints that name file, line and the nearest key."""

from __future__ import annotations

from pathlib import Path

import pytest

from bpftop.errors import ScriptError
from bpftop.model import EventStream, Measure
from bpftop.scripts import catalog, parse_script
from bpftop.scripts.catalog import load_script

GOOD = """// good.bt - What it is about.
//
// Words.
//
// /// bpftop
// title = "Good things"
// requires = ["tracepoint:a:b"]
//
// [measures.good_latency]
// title = "Good latency"
// start = "it starts"
// end = "it ends"
//
// [measures.bad_latency]
// title = "Bad latency"
// start = "it starts badly"
// end = "it ends badly"
// tells = "bad"
//
// [streams.good]
// measure = "good_latency"
// fields = ["timestamp_ns", "latency_ns", "pid"]
// ///

BEGIN { }
"""


def test_a_header_is_read_whole() -> None:
    script = parse_script(GOOD, "good", "bt/good.bt")
    assert (script.name, script.path, script.title) == ("good", "bt/good.bt", "Good things")
    assert script.summary == "What it is about."
    assert script.requires == ("tracepoint:a:b",)
    assert script.measures == (
        Measure("good_latency", "Good latency", "it starts", "it ends"),
        Measure("bad_latency", "Bad latency", "it starts badly", "it ends badly", "bad"),
    )
    assert script.streams == (EventStream("good", "good_latency", ("timestamp_ns", "latency_ns", "pid")),)
    assert script.body == GOOD


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ('// requires = ["', '// require = ["', 7, "unknown key 'require'; did you mean 'requires'?"),
        ("// title = \"Good things\"", "// zzz = 3", 6, "unknown key 'zzz'; known are title, default, pane, when"),
        ("// end = \"it ends badly\"", "// ends = \"x\"", 17, "did you mean 'end'?"),
        ("// start = \"it starts badly\"", "// star = \"x\"", 16, "did you mean 'start'?"),
        ("// tells = \"bad\"", "// fields = []", 18, "unknown key 'fields' in measure 'bad_latency'"),
        ('// fields = ["timestamp_ns"', '// title = "x"\n// fields = ["timestamp_ns"', 22, "key 'title' in stream"),
        ("// start = \"it starts badly\"\n", "", 14, "'bad_latency' lacks 'start'"),
        ("// measure = \"good_latency\"\n", "", 20, "'good' lacks 'measure'"),
        ("// title = \"Bad latency\"", "// title = 3", 15, "'title' must be a text"),
        ('"tracepoint:a:b"]', "3]", 7, "'requires' must be a list of texts"),
        ("measure = \"good_latency\"", "measure = \"best_latency\"", 21, "no measure 'best_latency' in this script"),
        ('["timestamp_ns", "latency_ns", "pid"]', '["latency_ns"]', 22, "begin with timestamp_ns, latency_ns"),
        ("[streams.good]", '[streams."go od"]', 20, "'go od' must be lower case"),
        ("// title = \"Good things\"", "// title =", 6, "not TOML"),
        ("// end = \"it ends badly\"", "// end = \"it", 17, "not TOML"),
        ("// [measures.bad_latency]", "// [measures.good_latency]", 14, "not TOML"),
    ],
)  # fmt: skip
def test_complaints_name_the_line_and_the_nearest_key(old: str, new: str, line: int, words: str) -> None:
    assert old in GOOD
    with pytest.raises(ScriptError) as caught:
        parse_script(GOOD.replace(old, new, 1), "good", "bt/good.bt")
    assert caught.value.message.startswith(f"bt/good.bt:{line}: "), caught.value.message
    assert words in caught.value.message


@pytest.mark.parametrize(("old", "new"), [("// ///\n\n", "\n"), ('// title = "Good', 'title = "Good')])
def test_a_header_that_does_not_end_is_a_mistake_not_a_comment(old: str, new: str) -> None:
    """Else its measures would silently be none."""
    with pytest.raises(ScriptError, match=r"bt/good.bt:5: .*// ///"):
        parse_script(GOOD.replace(old, new, 1), "good", "bt/good.bt")


@pytest.mark.parametrize("key", ["measures", "streams"])
def test_tables_must_be_tables(key: str) -> None:
    with pytest.raises(ScriptError, match=f"x.bt:2: '{key}' must hold tables"):
        parse_script(f"// /// bpftop\n// {key} = [1]\n// ///\n", "x", "x.bt")


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("BEGIN { }\n", ""),
        ("", ""),
        ("// biolatency.bt - Block I/O latency.\nBEGIN { }\n", "Block I/O latency."),
        ("#!/usr/bin/env bpftrace\n// What it does\n", "What it does"),
        ("#!/usr/bin/env bpftrace\nBEGIN { }\n", ""),
        ("//\nBEGIN { }\n", ""),
        ("//\n\nBEGIN { }\n", ""),
        ("// /// bpftop\n// title = 'x'\n// ///\n", ""),
        ("/*\n * opensnoop\n */\nBEGIN { }\n", ""),
    ],
)
def test_a_script_without_header_is_a_script_without_measures(text: str, summary: str) -> None:
    script = parse_script(text, "any_tool", "any_tool.bt")
    assert (script.measures, script.streams, script.requires) == ((), (), ())
    assert script.summary == summary
    assert script.title in ("Any tool", "x")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary.bt").write_bytes(b"\xff\xfe")
    for name in ("missing.bt", "binary.bt"):
        with pytest.raises(ScriptError, match=name):
            load_script(tmp_path / name)


def test_windows_line_ends_are_read(tmp_path: Path) -> None:
    (tmp_path / "good.bt").write_bytes(GOOD.replace("\n", "\r\n").encode())
    assert len(load_script(tmp_path / "good.bt").measures) == 2


def test_shipped_scripts_have_whole_headers() -> None:
    for name, script in catalog().items():
        assert script.name == name
        assert script.summary
        assert script.requires
        assert all(m.start and m.end and m.tells for m in script.measures)


KEYED = """// x.bt - Things.
//
// /// bpftop
// title = "Things"
// pane = "Things"
// cost = "9 % of a busy server"
//
// [measures.thing_latency]
// title = "Thing latency"
// start = "a"
// end = "b"
// key = "label"
// labels = ["one", "two"]
//
// [counters.failures]
// title = "Failures"
// key = "peer"
// ///

interval:s:1 { }
"""


def test_keys_and_counters_are_declared() -> None:
    script = parse_script(KEYED, "x", "x.bt")
    assert (script.pane, script.default, script.cost) == ("Things", False, "9 % of a busy server")
    assert (script.measures[0].key, script.measures[0].labels, script.measures[0].unit) == (
        "label",
        ("one", "two"),
        "ns",
    )
    assert (script.counters[0].name, script.counters[0].key, script.counters[0].unit) == ("failures", "peer", "count")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('key = "peer"', 'key = "pear"', "x.bt:17: there is no kind of key 'pear'; did you mean 'peer'?"),
        ('key = "label"', 'key = "peer"', 'x.bt:13: labels need key = "label"'),
        ('pane = "Things"', "default = 1", "x.bt:5: 'default' must be true or false"),
        ('key = "peer"', 'start = "now"', "x.bt:17: unknown key 'start' in counter 'failures'"),
    ],
)
def test_wrong_keys_are_said_with_their_line(old: str, new: str, words: str) -> None:
    with pytest.raises(ScriptError) as caught:
        parse_script(KEYED.replace(old, new), "x", "x.bt")
    assert words in caught.value.message
