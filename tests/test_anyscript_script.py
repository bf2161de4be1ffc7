"""The text of a program: its maps, its keys, its header, and who may have written it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bpftop.anyscript import keys
from bpftop.anyscript.figures import unit_of
from bpftop.anyscript.scan import maps_of, max_map_keys
from bpftop.anyscript.script import MAX_BYTES, read_script
from bpftop.errors import ScriptError
from bpftop.scripts.catalog import script_folder

PROGRAM = """#!/usr/bin/env bpftrace
/* @commented[pid] = count(); } */
BEGIN { printf("@in a string } \\" %s", "x"); @start[0] = nsecs; }
tracepoint:syscalls:sys_enter_read /@seen[pid]/ { @start[tid] = nsecs; }
tracepoint:syscalls:sys_exit_read {
  @us[comm, str(args->path, 32), (1, 2)] = hist((nsecs - @start[tid]) / 1000); delete(@start[tid]);
  if (1) { @n++; } @total += 2; @st[@name[tid]] = stats(1);
}
interval:s:1 { print(@n); clear(@n); print(@total); }
END { clear(@start); print(@us, 10); clear(@us); }
"""


def written(folder: Path, text: str | bytes, mode: int = 0o644) -> str:
    path = folder / "tool.bt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return str(path)


def test_what_the_text_tells_about_maps() -> None:
    found = maps_of(PROGRAM)
    assert list(found) == ["@start", "@seen", "@us", "@n", "@total", "@st", "@name"]
    assert found["@start"].keys == ("tid",), "an index with a name in it tells more than a number"
    assert found["@start"].hidden
    assert found["@us"].keys == ("comm", "str(args->path, 32)", "(1, 2)")
    assert (found["@us"].function, found["@us"].printed, found["@us"].printed_at_end) == ("hist", False, True)
    assert not found["@us"].hidden
    assert (found["@n"].function, found["@n"].printed, found["@n"].cleared) == ("++", True, True)
    assert (found["@total"].function, found["@total"].cleared) == ("+=", False)
    assert found["@st"].function == "stats"
    assert found["@st"].keys == ("@name[tid]",)
    assert not found["@name"].function


@pytest.mark.parametrize(
    ("expression", "unit"),
    [
        *(("nsecs - @t[tid]", "ns"), ("(nsecs - @start[arg0]) / 1000", "us"), ("((nsecs-@t[tid, comm]) / 1e6)", "ms")),
        *(("(uint64)nsecs - @t", "ns"), ("$d", "us"), ("$twice", ""), ("nsecs % 1000", ""), ("nsecs", "")),
        *(("(nsecs - @t) / 7", ""), ("args->ret", ""), ("(nsecs - @t) * 2", ""), ("nsecs - @t - $x", ""), ("", "")),
    ],
)
def test_units_that_the_arithmetic_tells(expression: str, unit: str) -> None:
    text = (
        f"kprobe:a {{ $d = (nsecs - @t[tid]) / 1000; $twice = nsecs - @t; $twice = 3; @h[comm] = hist({expression}); }}"
    )
    assert maps_of(text)["@h"].measured == unit
    assert unit_of(maps_of(text.replace("@h", "@us"))["@us"]) == (unit or "us"), "the name tells when nothing else does"
    assert maps_of(text.replace("hist(", "lhist(").replace(");", ", 0, 100, 10);"))["@h"].measured == unit


def test_memory_that_is_not_cleared_is_scratch() -> None:
    found = maps_of("kprobe:a { @t[tid] = nsecs; } kretprobe:a { @h = hist(nsecs - @t[tid]); delete(@t[tid]); }")
    assert found["@t"].scratch
    assert not found["@h"].scratch


@pytest.mark.parametrize("text", ["", "{", "}", "}}}{{{", "BEGIN { @a[", '"', "/*", "@", "BEGIN { @a[1] = count( }"])
def test_broken_text_breaks_nothing(text: str) -> None:
    assert set(maps_of(text)) <= {"@a"}


def test_the_size_of_maps_that_the_program_sets() -> None:
    assert max_map_keys("config = { max_map_keys = 12; }") == 12
    assert max_map_keys("// max_map_keys = 12") is None


@pytest.mark.parametrize(
    ("key", "expressions", "parts"),
    [
        ("7", ("pid",), ("7",)),
        ("a,b", ("comm",), ("a,b",)),
        ("7,a", ("pid", "comm"), ("7", "a")),
        ("7,a,b", ("pid", "comm"), ("7", "a,b")),
        ("a,b,7", ("comm", "pid"), ("a,b", "7")),
        ("a,b,7,8", ("$x", "pid", "tid"), ("a,b", "7", "8")),
        ("7", ("pid", "comm"), ("7", "")),
        ("", ("pid", "comm"), ("", "")),
        ("7", (), ("7",)),
    ],
)
def test_parts_of_a_key(key: str, expressions: tuple[str, ...], parts: tuple[str, ...]) -> None:
    assert keys.split(key, expressions) == parts


@pytest.mark.parametrize(
    ("expression", "heading"),
    [
        *(("pid", "pid"), ("args->ret", "ret"), ("args.ret", "ret"), ("str(args->filename)", "filename")),
        *(("(uint64)args->fd", "fd"), ("ntop(2, $daddr)", "daddr"), ("kstack(3)", "kstack"), ("@name[tid]", "name")),
        *(("((struct sock *)arg0)->sk_x", "sk_x"), ("$s->a & 0xff", "key 1"), ("1", "key 1"), ("", "key 1")),
    ],
)
def test_headings_of_keys(expression: str, heading: str) -> None:
    assert keys.heading(expression, 1) == heading


def test_stacks() -> None:
    assert keys.frames("\n    vfs_read+1\n    ksys_read+2\n") == ("vfs_read+1", "ksys_read+2")
    assert keys.short("\n    vfs_read+1\n    ksys_read+2\n") == "vfs_read+1 < ksys_read+2"
    assert keys.short("bash") == "bash"


# --- files ---


def test_a_program_is_read_with_its_header(tmp_path: Path) -> None:
    header = '// /// bpftop\n// title = "Reads"\n// [maps.us]\n// title = "Read time"\n// unit = "us"\n// ///\n'
    script = read_script(written(tmp_path, header + PROGRAM), ("7",))
    assert script.title == "Reads"
    assert (script.maps["@us"].title, script.maps["@us"].unit) == ("Read time", "us")
    assert script.maps["@n"].title == ""
    assert script.argv == ("7",)
    assert script.text == header + PROGRAM, "the program is not altered"
    anonymous = 'tracepoint:a:b { @ = count(); }\n// /// bpftop\n// [maps."@"]\n// title = "All"\n// ///\n'
    assert read_script(written(tmp_path, anonymous)).maps["@"].title == "All"
    assert read_script(written(tmp_path, PROGRAM)).title == "tool.bt"
    assert read_script(written(tmp_path, b"// caf\xe9\nBEGIN { exit(); }\n")).text.encode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ('titel = "x"', "tool.bt:2: unknown key 'titel'; did you mean 'title'?"),
        ("title = 3", "tool.bt:2: 'title' must be a text"),
        ('[maps.uss]\n// title = "x"', "tool.bt:2: the program has no map @uss; did you mean '@us'?"),
        ('[maps.us]\n// unti = "x"', "tool.bt:3: unknown key 'unti' in maps.us; did you mean 'unit'?"),
        ('[maps.us]\n// unit = "thirteen long"', "tool.bt:3: the unit in maps.us has more than 12 characters"),
        ("maps = 3", "tool.bt:2: 'maps' must hold tables: [maps.usecs]"),
        ("title = ", "tool.bt:2: the header is not TOML"),
    ],
)
def test_a_wrong_header_names_line_and_word(tmp_path: Path, header: str, said: str) -> None:
    with pytest.raises(ScriptError) as error:
        read_script(written(tmp_path, f"// /// bpftop\n// {header}\n// ///\n{PROGRAM}"))
    assert said in error.value.message
    with pytest.raises(ScriptError, match=":1: the header must be comment lines"):
        read_script(written(tmp_path, "// /// bpftop\nBEGIN { exit(); }\n"))


def test_parts_of_our_own_programs_are_refused_with_the_command() -> None:
    with pytest.raises(ScriptError) as error:
        read_script(str(script_folder() / "requests.bt"))
    assert error.value.hint == "sudo bpftop watch TARGET --scripts requests"


def test_who_may_have_written_it(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="can be changed by everybody") as error:
        read_script(written(tmp_path, PROGRAM, 0o646))
    assert error.value.hint == f"chmod o-w {tmp_path}/tool.bt"
    path = written(tmp_path, PROGRAM, 0o664)
    if os.getuid() == 0:
        os.chown(path, 0, 4242)
        with pytest.raises(ScriptError, match="everybody in group 4242"):
            read_script(path)
    path = written(tmp_path, PROGRAM)
    if os.getuid() == 0:
        os.chown(path, 4242, 4242)
        assert read_script(path, caller=4242).text == PROGRAM
        with pytest.raises(ScriptError, match="belongs to user 4242"):
            read_script(path, caller=1000)
    else:
        with pytest.raises(ScriptError, match="belongs to user"):
            read_script(path, caller=os.getuid() + 1)


@pytest.mark.parametrize(
    ("content", "why"), [(b"\x7fELF\0", "not text"), (b"x" * (MAX_BYTES + 1), "larger than 1 MiB")]
)
def test_what_is_no_program(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(ScriptError, match=why):
        read_script(written(tmp_path, content))


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ScriptError, match="is not a file"):
            read_script(str(path))
    with pytest.raises(ScriptError, match="cannot be read: No such file"):
        read_script(str(tmp_path / "none"))
