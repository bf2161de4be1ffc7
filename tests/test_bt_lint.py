"""The dialect of ``bt/``: every rule bites, the shipped scripts pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from bpftop.scripts.lint import MAX_LINES, lint, lint_text, main

BT = Path(__file__).parents[1] / "bt"
FIRST = "// what it measures\n"


def findings(code: str, below: str = "a.bt") -> list[str]:
    return [str(finding) for finding in lint_text(FIRST + code, Path("bt") / below, Path(below))]


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("tracepoint:a:b { $x = args.ret; }", "args->x"),
        ("{ delete(@m, 1); }", "delete(@m[k])"),
        ("{ delete(@m[1], 2); }", "delete(@m[k])"),
        ("{ $r = delete(@m[1]); }", "0.24"),
        ("#include <net/sock.h>", "headers"),
        ("config = { stack_mode = perf }", "environment"),
        ("{ let $x = 1; }", "let"),
        ("{ for ($kv : @m) { } }", "unroll"),
        ("{ for $i : 0..3 { } }", "unroll"),
        ("{ while (1) { } }", "unroll"),
        ("{ if (has_key(@m, 1)) { } }", "has_key"),
        ('/strncmp(comm, "ng", 2) == 0/ { }', "strncmp"),
        ('{ printf("T %llu\\n", strftime("%H", nsecs)); }', "strftime"),
        ("{ @h = hist(nsecs); }", "log-linear"),
        ("{ @h = lhist(1, 0, 10, 1); }", "log-linear"),
        ("{ @h = avg(1); }", "subtracted"),
        ("{ @x++; }", "atomic"),
        ("{ ++@x; }", "atomic"),
        ("{ @x[tid]++; }", "atomic"),
        ("{ @x[1, 2] += 3; }", "atomic"),
        ("{ @x = @x + 1; }", "atomic"),
        ("{ @x[tid] = @x[tid] + 1; }", "atomic"),
        ("{ print(@x); clear(@x); }", "loses counts"),
        ("{ zero(@x); }", "loses counts"),
        ('{ system("id"); }', "--unsafe"),
        ('{ signal("KILL"); }', "--unsafe"),
        ("{ override(1); }", "--unsafe"),
        ('{ cat("/etc/passwd"); }', "none of our business"),
        ("fentry:vfs_read { }", "kfunc"),
        ("{ exit(3); }", "exit"),
        ("{ $t = nsecs(monotonic); }", "nsecs"),
        ('{ printf("E %d\\n", nsecs); }', "64-bit"),
        ('{ printf("E %u\\n", nsecs); }', "64-bit"),
        ('{ printf("E %x\\n", nsecs); }', "64-bit"),
        ('{ printf("E %s\\n", comm); }', "forged"),
    ],
)
def test_every_rule_bites_once_and_names_the_line(code: str, word: str) -> None:
    found = findings(code)
    assert found, code
    assert all(finding.startswith("bt/a.bt:2: ") for finding in found)
    assert any(word in finding for finding in found), found


@pytest.mark.parametrize(
    "code",
    [
        "// args.ret, @x++, hist(nsecs) and clear(@x) in a comment",
        "/* @x++;\n   while (1) */ BEGIN { }",
        '{ printf("E %llu %lld %llx\\n", nsecs, $a, $b); }',
        '{ printf("H %d\\n", cpu); }',
        "{ delete(@m[$k]); @n = count(); @s = sum($v); $x = $x + 1; @a[$k] = nsecs; }",
        "{ @a = @b + 1; }",
        "{ if (@x == @x) { exit(); } }",
        '{ printf("E it says // no comment %llu\\n", nsecs); }',
        "{ $letter = 1; $before = (uint64)0; }",
    ],
)
def test_the_portable_dialect_passes(code: str) -> None:
    assert findings(code) == []


def test_only_the_events_lane_counts_without_atomics_and_only_the_tick_clears() -> None:
    assert findings("{ @passed = @passed + 1; }", "lib/events.bt") == []
    assert findings("{ print(@a); clear(@a); }", "lib/tick.bt") == []
    assert findings("{ @passed = @passed + 1; }", "lib/tick.bt")
    assert findings("{ print(@a); clear(@a); }", "lib/events.bt")


def test_a_string_that_is_cut_by_an_escaped_quote_stays_a_string() -> None:
    assert findings(r'{ printf("a \" @x++ %llu", nsecs); }') == []


@pytest.mark.parametrize("first", ["", "BEGIN { }", "// /// bpftop\n// ///", "//", "\n// late"])
def test_the_first_line_says_what_the_script_is_for(first: str) -> None:
    found = [finding.why for finding in lint_text(first + "\nBEGIN { }\n", Path("a.bt"))]
    assert any("first line" in why for why in found)


def test_length_counts_code_not_header_comments_or_blanks() -> None:
    padding = "\n// words\n\n" * 100
    assert findings("BEGIN { }\n" * MAX_LINES + padding) == []
    assert "one subject" in findings("BEGIN { }\n" * (MAX_LINES + 1))[0]


def test_the_shipped_scripts_pass() -> None:
    assert lint(BT) == []


def test_the_program_prints_findings_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "good.bt").write_text(FIRST + "BEGIN { }\n")
    assert main([str(tmp_path)]) == 0
    (tmp_path / "lib" / "bad.bt").write_text(FIRST + "{ @x++; }\n")
    assert main([str(tmp_path)]) == 1
    assert f"{tmp_path}/lib/bad.bt:2: " in capsys.readouterr().out


def test_an_empty_folder_is_a_mistake(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 1
