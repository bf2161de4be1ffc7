"""Templates filled: the words that become program text, and the many that may not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpftop.errors import ScriptError
from bpftop.model import Script, Target, TargetKind
from bpftop.scripts import catalog, compose
from bpftop.scripts.attach import MAX_FUNCTIONS, Function, function_script, usdt_script
from bpftop.scripts.catalog import templates
from bpftop.scripts.lint import lint_text

NOBODY = Target("", TargetKind.PID, "x")
WORDS = ("PATH", "SYMBOL", "LABEL", "PROVIDER", "START", "END", "REQUEST_KEY", "RETURN_POP")


def code_of(script: Script) -> str:
    text = compose([script], NOBODY).text
    return re.sub(r"//[^\n]*", "", text)


def heads(script: Script) -> list[str]:
    return [line for line in code_of(script).splitlines() if line.startswith(("usdt:", "uprobe:", "uretprobe:"))]


def test_templates_are_no_scripts_of_the_catalog() -> None:
    assert set(templates()) == {"usdt", "function"}
    assert not set(templates()) & set(catalog())
    for template in templates().values():
        assert template.needs.startswith("--")
        assert lint_text(template.body, Path(template.path), Path(f"{template.name}.bt")) == []


def test_markers_are_filled_in_and_the_end_comes_first() -> None:
    script = usdt_script("/opt/app", "web", "request_start", "request_end")
    assert heads(script) == [
        "usdt:/opt/app:web:request_end /@target_pids[(uint64)pid]/ {",
        "usdt:/opt/app:web:request_start /@target_pids[(uint64)pid]/ {",
    ]
    assert code_of(script).count("$key = (uint64)arg0;") == 2
    assert script.requires == ("usdt:/opt/app:web:request_end", "usdt:/opt/app:web:request_start")
    assert script.needs == ""
    other = usdt_script("/opt/app", "web", "a", "b", key="tid", start_provider="core", everyone=True)
    assert heads(other) == ["usdt:/opt/app:web:b {", "usdt:/opt/app:core:a {"]
    assert code_of(other).count("$key = (uint64)tid;") == 2


def test_functions_are_repeated_with_labels_from_1_and_the_returns_first() -> None:
    script = function_script([Function("/opt/app", "_Z1fi", "f"), Function("/lib/x.so.1", "a$b.part.0", "ab")])
    assert [head.split(" ")[0] for head in heads(script)] == [
        'uretprobe:/opt/app:"_Z1fi"',
        'uretprobe:/lib/x.so.1:"a$b.part.0"',
        'uprobe:/opt/app:"_Z1fi"',
        'uprobe:/lib/x.so.1:"a$b.part.0"',
    ]
    assert all(head.endswith("/@target_pids[(uint64)pid]/ {") for head in heads(script))
    assert all(measure.labels == ("f", "ab") for measure in (*script.measures, *script.counters))
    assert 'reg("sp") - 8;' in code_of(script)
    everyone = function_script([Function("/opt/app", "f", "f", return_pop=0)], everyone=True)
    assert heads(everyone) == ['uretprobe:/opt/app:"f" {', 'uprobe:/opt/app:"f" {']
    assert 'reg("sp") - 0;' in code_of(everyone)


def test_nothing_of_the_template_is_left() -> None:
    for script in (usdt_script("/a", "p", "s", "e"), function_script([Function("/a", "f", "f")])):
        assert not re.search(rf"\b(?:{'|'.join(WORDS)})\b", re.sub(r"^END\b", "", code_of(script), flags=re.MULTILINE))


HOSTILE = [
    *(
        "",
        " ",
        "/a b",
        "/a\n",
        '/a"',
        "/a'",
        "/a{",
        "/a}",
        "/a*",
        "/a?",
        "/a[1]",
        "/a;b",
        "/a:b",
        "/a,b",
        "/a@b",
        "/a=b",
    ),
    *("/a$1", "/a//\\", "/ä", "relative", "/a%s", "/a/*x*/", "/a`id`", "/a\0", "/a#"),
]


@pytest.mark.parametrize("path", HOSTILE)
def test_paths_that_bpftrace_would_misread_are_refused(path: str) -> None:
    with pytest.raises(ScriptError, match="cannot be in a bpftrace program"):
        usdt_script(path, "p", "s", "e")
    with pytest.raises(ScriptError, match="cannot be in a bpftrace program"):
        function_script([Function(path, "f", "f")])


@given(st.text(max_size=20))
def test_whatever_the_words_no_other_character_passes(word: str) -> None:
    for names in ((word, "s", "e", ""), ("p", word, "e", ""), ("p", "s", word, ""), ("p", "s", "e", word or "*")):
        provider, start, end, start_provider = names
        try:
            usdt_script("/a", provider, start, end, start_provider=start_provider)
        except ScriptError:
            continue
        assert re.fullmatch(r"[A-Za-z0-9_]+", word)
    try:
        function_script([Function("/a", word, "f")])
    except ScriptError:
        return
    assert re.fullmatch(r"[A-Za-z0-9_.$@]+", word)


def test_a_label_is_data() -> None:
    script = function_script([Function("/a", "f", 'x" } BEGIN { exit() } //')])
    assert "exit()" not in compose([script], NOBODY).text


def test_impossible_numbers_and_keys() -> None:
    with pytest.raises(ScriptError, match="arg0, tid"):
        usdt_script("/a", "p", "s", "e", key="arg1")
    with pytest.raises(ScriptError, match="1 to 20 functions"):
        function_script([])
    with pytest.raises(ScriptError, match="1 to 20 functions"):
        function_script([Function("/a", f"f{i}", "f") for i in range(MAX_FUNCTIONS + 1)])
    with pytest.raises(ScriptError, match="different machines"):
        function_script([Function("/a", "f", "f"), Function("/b", "f", "f", return_pop=4)])
