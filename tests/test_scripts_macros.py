"""Macros and the merging of probes: text in, text out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpftop.errors import ScriptError
from bpftop.scripts.macros import closing, expand, extract
from bpftop.scripts.merge import merge_probes


def expanded(text: str, **names: int) -> str:
    rest, macros = extract(text)
    return expand(rest, macros, names).strip()


def test_a_statement_moves_to_the_column_of_its_call() -> None:
    text = "macro m($a) {\n  $x = $a;\n  if ($x) {\n    @n = count();\n  }\n}\nBEGIN {\n    m(5);\n}\n"
    assert expanded(text) == "BEGIN {\n    $x = 5;\n    if ($x) {\n      @n = count();\n    }\n}"


def test_a_statement_inside_a_line_stays_a_line_without_its_comments() -> None:
    macro = 'macro m($a) {\n  // words\n  $x = $a;  // why\n  printf("// no comment %d", $x);\n}\n'
    assert (
        expanded(macro + "BEGIN { if (1) { m(5); } }\n")
        == 'BEGIN { if (1) { $x = 5; printf("// no comment %d", $x);} }'
    )


def test_an_expression_keeps_its_precedence() -> None:
    text = "macro sum($a, $b) ($a + $b)\nBEGIN { @x = sum(1, 2) * sum($y, 3 - 4); }\n"
    assert expanded(text) == "BEGIN { @x = (1 + 2) * ($y + (3 - 4)); }"


def test_nested_macros_and_arguments_that_are_calls() -> None:
    text = "macro inner($a) ($a + 1)\nmacro outer($a) {\n  @x = inner($a);\n}\nBEGIN {\n  outer(inner(2));\n}\n"
    assert eval(re.sub(r".*@x = (.*);.*", r"\1", expanded(text), flags=re.DOTALL)) == 4


def test_any_number_of_arguments_in_the_format_and_behind_it() -> None:
    macro = 'macro e($stream, $t, ...) {\n  printf("E $stream %llu ...\\n", $t, ...);\n}\n'
    assert expanded(macro + "BEGIN {\n  e(go, 1, $a, f(2, 3));\n}", go=7) == (
        'BEGIN {\n  printf("E 7 %llu %llu %llu\\n", 1, $a, f(2, 3));\n}'
    )
    assert expanded(macro + "BEGIN {\n  e(go, 1);\n}", go=7) == 'BEGIN {\n  printf("E 7 %llu\\n", 1);\n}'


def test_commas_and_brackets_in_strings_and_calls_are_no_separators() -> None:
    text = 'macro m($a, $b) {\n  f($a, $b);\n}\nBEGIN {\n  m(")},(", @x[1, 2]);\n}\n'
    assert expanded(text) == 'BEGIN {\n  f((")},("), (@x[1, 2]));\n}'


def test_brackets_in_comments_and_strings_of_a_body_do_not_end_it() -> None:
    body = '  // one } here\n  /* and } here */\n  printf("} \\" }");\n  @x = 1;'
    rest, macros = extract(f"macro m() {{\n{body}\n}}\nBEGIN {{ }}\n")
    assert macros["m"].body == body
    assert rest.strip() == "BEGIN { }"


def test_words_that_only_look_like_a_call_stay() -> None:
    text = 'macro m($a) ($a)\nBEGIN { $m = 1; @m(1); x.m(2); am(3); printf("m(4)"); }  // m(5, 6)\n/* m( */\n'
    assert expanded(text) == 'BEGIN { $m = 1; @m(1); x.m(2); am(3); printf("m(4)"); }  // m(5, 6)\n/* m( */'


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("m(1)", r"m\(\) takes 2 arguments, not 1"),
        ("m()", r"m\(\) takes 2 arguments, not 0"),
        ("m(1, 2, 3)", r"m\(\) takes 2 arguments, not 3"),
        ("s(unknown, 1)", "'unknown' is not declared in the header"),
        ("r(1)", "call each other without end"),
        ("m(1, 2", "unbalanced"),
    ],
)
def test_wrong_calls_are_named(call: str, words: str) -> None:
    text = "macro m($a, $b) ($a)\nmacro s($stream, $b) ($b)\nmacro r($a) (q($a))\nmacro q($a) (r($a))\n"
    with pytest.raises(ScriptError, match=words):
        expanded(text + f"BEGIN {{ @x = {call}; }}", known=1)


def test_measures_are_names_numbers_or_parameters() -> None:
    text = "macro m($measure) {\n  @c[$measure] = count();\n}\nmacro n($measure) {\n  m($measure);\n}\nBEGIN {\n"
    for word, found in (("known", "3"), ("12", "12"), ("$other", "$other")):
        assert f"@c[{found}] = count();" in expanded(text + f"  n({word});\n}}", known=3)


def test_an_unbalanced_definition_is_named() -> None:
    with pytest.raises(ScriptError, match=r"unbalanced brackets from: '\{"):
        extract("macro m($a) {\n  if (1) {\n}\nBEGIN { }\n".replace("BEGIN { }", ""))


PIECES = st.sampled_from(["a", '"}"', '"\\""', "// )\n", "/* ] */"])
BRACKETED = st.recursive(
    PIECES,
    lambda inner: st.tuples(st.sampled_from(["()", "{}", "[]"]), st.lists(inner, max_size=3)).map(
        lambda drawn: drawn[0][0] + " ".join(drawn[1]) + drawn[0][1]
    ),
)


@given(BRACKETED)
def test_the_closing_bracket_is_found(inside: str) -> None:
    text = f"({inside}) )"
    assert closing(text, 0) == len(inside) + 1


# --- merging ---


def test_probes_of_one_head_become_one_in_the_order_of_the_text() -> None:
    text = (
        "tracepoint:a:b /args->x == 1/ {\n  first();\n}\n"
        "tracepoint:a:b {\n  other();\n}\n"
        "tracepoint:a:b   /args->x == 1/ {  // why\n  second();\n}\n"
        "BEGIN { }\n"
    )
    merged = merge_probes(text)
    assert merged.count("tracepoint:a:b") == 2
    assert re.search(r"/args->x == 1/ \{\n  first\(\);\n  second\(\);\n\}", merged)
    assert "other();" in merged
    assert "BEGIN { }" in merged


def test_bodies_that_look_at_the_clock_share_one_look() -> None:
    """Each event that the first one prints takes up to 400 us."""
    bodies = ("$a = nsecs;  // not nsecs()", "@seen = count();", "$b = nsecs - $b;")
    merged = merge_probes("".join(f"tracepoint:a:b {{\n  {body}\n}}\n" for body in bodies))
    assert re.findall(r"^.*\bnsecs;.*$", merged, re.M) == ["  $fired = nsecs;"]
    assert "$a = $fired;" in merged
    assert "$b = $fired - $b;" in merged
    assert merged.index("$fired = nsecs") < merged.index("$a")


def test_a_clock_that_only_one_body_looks_at_stays_where_it_is() -> None:
    bodies = ("if (@mine) { $a = nsecs; }", "@seen = count();  // by nsecs")
    merged = merge_probes("".join(f"tracepoint:a:b {{\n  {body}\n}}\n" for body in bodies))
    assert "$fired" not in merged


def test_a_list_of_attach_points_is_one_head() -> None:
    text = "tracepoint:a:b,\ntracepoint:a:c {\n  one();\n}\ntracepoint:a:b {\n  two();\n}\n"
    assert merge_probes(text) == text
    assert merge_probes(text + text).count("one();") == 2
    assert merge_probes(text + text).count("tracepoint:a:c") == 1


def test_a_body_that_returns_keeps_a_probe_of_its_own() -> None:
    """Joined, it would end the other script's body too."""
    bodies = ("if (1) { return; }", "second();", "third();")
    merged = merge_probes("".join(f"tracepoint:a:b {{\n  {body}\n}}\n" for body in bodies))
    assert re.search(r"return; }\n\}", merged)
    assert re.search(r"\{\n  second\(\);\n  third\(\);\n\}", merged)


def test_two_begins_become_one_as_bpftrace_up_to_0_24_demands() -> None:
    merged = merge_probes("BEGIN {\n  one();\n}\nEND {\n  last();\n}\nBEGIN {\n  two();\n}\nEND { done(); }\n")
    assert merged.count("BEGIN") == merged.count("END") == 1
    assert merged.index("one") < merged.index("two")


def test_braces_in_strings_and_comments_do_not_end_a_probe() -> None:
    text = 'tracepoint:a:b {\n  printf("}");  // }\n}\ninterval:s:1 { x(); }\n'
    assert merge_probes(text) == text
