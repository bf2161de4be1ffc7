"""From words to attach points: programs and libraries read, wrong names answered with right ones, dangers refused."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpftop.errors import BpftopError, TargetError, UsageError
from bpftop.userspace import Attachment, Place, functions, mapped, usdt
from bpftop.userspace.elf import Elf, NotElf, SymbolKind, debug_file, read_elf
from tests.elfs import hand_made, note
from tests.load.build import compiler, program

NOBODY = Place((), True)
US = Place((os.getpid(),))
SOURCE = """
#include <string.h>
int datum = 1;
long served(long n) { return n + datum; }
static __attribute__((noinline, used)) long hidden(long n) { return served(n) * 3; }
int main(int argc, char **argv) { return (int)hidden(argc) + (int)strlen(argv[0]); }
"""


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Compile C text with these words; the program's path."""
    gcc = compiler()
    if gcc is None:
        pytest.skip("no C compiler: install gcc")
    folder = tmp_path_factory.mktemp("elf").resolve()

    def compiled(name: str, text: str = SOURCE, *words: str) -> Path:
        out, source = folder / name, folder / f"{name}.c"
        source.write_text(text)
        subprocess.run([gcc, "-O1", "-fno-builtin", "-o", str(out), str(source), *words], check=True)
        return out

    return compiled


# --- ELF ---


@pytest.mark.parametrize("words", [(), ("-no-pie",), ("-pie", "-fPIE"), ("-shared", "-fPIC")], ids=str)
def test_functions_data_and_imports_are_told_apart(build: Callable[..., Path], words: tuple[str, ...]) -> None:
    elf = read_elf(str(build("app" + "".join(words), SOURCE, *words)))
    kinds = {name: {symbol.kind for symbol in elf.symbols(name)} for name in ("served", "hidden", "datum", "strlen")}
    assert kinds["served"] == kinds["hidden"] == {SymbolKind.FUNCTION}
    assert kinds["datum"] == {SymbolKind.DATA}
    assert kinds["strlen"] <= {SymbolKind.IMPORTED}
    assert elf.symbols("nothing") == elf.symbols("erved") == []
    assert {"served", "hidden", "main"} <= set(elf.functions())
    assert "libc.so.6" in elf.needed
    assert not elf.is_go
    assert not elf.is_stripped


def test_a_stripped_program_keeps_what_it_exports(build: Callable[..., Path]) -> None:
    elf = read_elf(str(build("bare", SOURCE, "-s", "-rdynamic")))
    assert elf.is_stripped
    assert elf.symbols("served")
    assert not elf.symbols("hidden")


def test_the_tables_of_a_stripped_program_may_be_elsewhere(build: Callable[..., Path], tmp_path: Path) -> None:
    elf = read_elf(str(build("id", SOURCE, "-Wl,--build-id=0xabcdef")))
    assert elf.build_id == "abcdef"
    assert debug_file(elf, tmp_path) is None
    path = tmp_path / ".build-id" / "ab" / "cdef.debug"
    path.parent.mkdir(parents=True)
    path.touch()
    assert debug_file(elf, tmp_path) == path


def test_markers_with_their_arguments() -> None:
    markers = {marker.name: marker for marker in read_elf(str(program("markers"))).markers}
    assert set(markers) == {"request_start", "request_end"}
    start = markers["request_start"]
    assert (start.provider, start.semaphore, len(start.arguments)) == ("markers", 0, 1)
    assert start.arguments[0].startswith("8@")
    assert read_elf(sys.executable).needed is not None


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("wide", [True, False])
def test_notes_of_every_width_and_order(wide: bool, order: str) -> None:
    place = struct.pack(order + ("3Q" if wide else "3I"), 0x1234, 0, 0x5678)
    notes = note(b"other\0", 3, b"x" * 9, order)
    notes += note(b"stapsdt\0", 3, place + b"postgresql\0query__start\x008@%rax -4@$1\0", order)
    notes += note(b"stapsdt\0", 3, place + b"app\0silent\0\0", order)
    first, second = Elf(hand_made((b".note.stapsdt", 7, notes), wide=wide, order=order)).markers
    assert (first.provider, first.name, first.arguments) == ("postgresql", "query__start", ("8@%rax", "-4@$1"))
    assert (first.address, first.semaphore) == (0x1234, 0x5678)
    assert (second.name, second.arguments) == ("silent", ())


def test_go_is_known_by_its_sections() -> None:
    assert Elf(hand_made((b".gopclntab", 1, b"x"))).is_go
    assert Elf(hand_made((b".go.buildinfo", 1, b"x"))).is_go
    assert not Elf(hand_made((b".text", 1, b"x"))).is_go


def everything(data: bytes) -> None:
    """Ask all that can be asked."""
    elf = Elf(data)
    assert isinstance(elf.is_go, bool)
    assert elf.markers is not None
    assert elf.needed is not None
    assert elf.build_id is not None
    list(elf.functions())
    elf.symbols("main", "")


GOOD = hand_made((b".note.stapsdt", 7, note(b"stapsdt\0", 3, bytes(24) + b"a\0b\0c\0")), (b".dynamic", 6, bytes(64)))


@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=8), st.integers(0, len(GOOD)))
def test_a_broken_file_is_never_more_than_not_elf(at: int, damage: bytes, length: int) -> None:
    broken = (GOOD[:at] + damage + GOOD[at + len(damage) :])[:length]
    try:
        everything(broken)
    except NotElf:
        return


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", b"\x7fELF"])
def test_other_files_are_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "script"
    path.write_bytes(content)
    with pytest.raises(TargetError, match="is not a program or library"):
        usdt(f"{path}:a,b", NOBODY)


def test_a_file_without_anything_has_no_markers(tmp_path: Path) -> None:
    path = tmp_path / "zeros"
    path.write_bytes(b"\x7fELF" + bytes(60))
    with pytest.raises(UsageError, match="has no USDT markers"):
        usdt(f"{path}:a,b", NOBODY)


# --- markers ---


def test_names_of_markers_are_those_of_the_file() -> None:
    path = str(program("markers"))
    for word in (f"{path}:request_start,request_end", f"{path}:markers:request_start,markers:request_end"):
        script = usdt(word, NOBODY).script
        assert script.requires == (f"usdt:{path}:markers:request_end", f"usdt:{path}:markers:request_start")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("request_strat,request_end", "there is no marker request_strat in .*; it has request_start, request_end"),
        ("other:request_start,request_end", "there is no marker other:request_start"),
        ("request_start,request_start", "the same marker"),
        ("request_start", "is not of the form PATH:START,END"),
        ("request_start,", "is not of the form"),
        ("a:b:c,d", "is not of the form"),
        ("request*,request_end", r"there is no marker request\*"),
    ],
)
def test_wrong_words_are_answered_with_the_right_ones(words: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        usdt(f"{program('markers')}:{words}", NOBODY)
    assert caught.value.hint


def test_a_near_miss_gets_the_whole_command() -> None:
    path = program("markers")
    with pytest.raises(UsageError) as caught:
        usdt(f"{path}:request_begin,request_end", NOBODY)
    assert caught.value.hint == f"bpftop report --usdt {path}:request_start,request_end"


MARKER = """
__asm__ volatile("990: nop\\n.pushsection .note.stapsdt,\\"\\",\\"note\\"\\n.balign 4\\n"
    ".4byte 992f-991f, 994f-993f, 3\\n991: .asciz \\"stapsdt\\"\\n992: .balign 4\\n993: .8byte 990b, 0, 0\\n"
    ".asciz \\"{}\\"\\n.asciz \\"{}\\"\\n.asciz \\"{}\\"\\n994: .balign 4\\n.popsection\\n");
"""


def with_markers(*markers: tuple[str, str, str]) -> str:
    return "int main(void) {" + "".join(MARKER.format(*marker) for marker in markers) + "return 0; }"


def test_without_arguments_the_thread_is_the_key(build: Callable[..., Path]) -> None:
    path = build("silent", with_markers(("p", "work__start", ""), ("p", "work__done", "8@$1")))
    found = usdt(f"{path}:work-start,work-done", NOBODY)
    assert "$key = (uint64)tid;" in found.script.body
    assert any("belongs to its thread" in note for note in found.notes)
    with pytest.raises(UsageError, match="work__start has no arguments"):
        usdt(f"{path}:work-start,work-done", NOBODY, "arg0")


def test_a_marker_of_two_providers_must_be_named_with_one(build: Callable[..., Path]) -> None:
    path = build("two", with_markers(("a", "s", "8@$1"), ("b", "s", "8@$1"), ("b", "e", "8@$1")))
    with pytest.raises(UsageError, match="several providers: a, b"):
        usdt(f"{path}:s,e", NOBODY)
    assert usdt(f"{path}:b:s,e", NOBODY).script.requires[1] == f"usdt:{path}:b:s"


# --- functions ---


def test_functions_are_looked_up_exactly(build: Callable[..., Path]) -> None:
    path = build("exact")
    found = functions([f"{path}:served", f"{path}:hidden", f"{path}:served"], NOBODY)
    assert found.script.requires == (f"uprobe:{path}:served", f"uprobe:{path}:hidden")
    assert found.script.measures[0].labels == ("served", "hidden")
    assert "each call of served and hidden" in found.notes[0]


@pytest.mark.parametrize(
    ("symbol", "said"),
    [
        ("serve", "no function serve in .*; similar: served"),
        ("datum", "is data"),
        ("strlen", "calls strlen in a library: .*libc"),
        ("ser*", "one exact symbol, no patterns"),
        ('x"y', "one exact symbol"),
        ("ns::f", "name the mangled symbol"),
        ("", "not of the form PATH:SYMBOL"),
    ],
)
def test_what_is_no_function_is_said(build: Callable[..., Path], symbol: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        functions([f"{build('wrong')}:{symbol}"], NOBODY)


def test_one_name_for_two_functions_is_refused(build: Callable[..., Path], tmp_path: Path) -> None:
    other = tmp_path / "other.c"
    twin = "static __attribute__((noinline, used)) long hidden(long n) { return n * 7; }\n"
    twin += "long more(long n) { return hidden(n); }"
    other.write_text(twin)
    with pytest.raises(UsageError, match="several functions called hidden"):
        functions([f"{build('twins', SOURCE, str(other))}:hidden"], NOBODY)


DANGERS = {
    "exceptions": ("void __cxa_throw(void) {}", "has exceptions"),
    "stacks": ("int swapcontext(void *, void *); int go(void) { return swapcontext(0, 0); }", "switches stacks"),
    "fibers": ("void jump_fcontext(void) {}", "switches stacks .jump_fcontext."),
}


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="instructions of x86-64")
def test_a_first_instruction_that_takes_no_probe_is_said(build: Callable[..., Path]) -> None:
    locked = "long n; void locked(void) { __atomic_add_fetch(&n, 1, 0); }"
    path = build("locked", SOURCE + locked, "-fcf-protection=none")
    assert read_elf(str(path)).code(read_elf(str(path)).symbols("locked")[0].address, 1) == b"\xf0"
    with pytest.raises(UsageError, match="begins with an instruction on which the kernel puts no probe"):
        functions([f"{path}:locked"], NOBODY)


@pytest.mark.parametrize("danger", DANGERS)
def test_what_return_probes_would_break_is_refused_unless_the_user_insists(
    build: Callable[..., Path], danger: str
) -> None:
    text, said = DANGERS[danger]
    word = f"{build(danger, SOURCE + text)}:served"
    with pytest.raises(TargetError, match=said) as caught:
        functions([word], NOBODY)
    assert "--func-unsafe" in caught.value.hint
    assert functions([word], NOBODY, unsafe=True).script.requires


def test_a_static_program_is_not_taken_for_one_with_exceptions(build: Callable[..., Path]) -> None:
    path = build("static", SOURCE, "-static")
    assert read_elf(str(path)).symbols("_Unwind_Resume"), "glibc brings it along"
    assert functions([f"{path}:served"], NOBODY).script.requires == (f"uprobe:{path}:served",)


def test_go_is_refused_even_then(tmp_path: Path) -> None:
    symbols = struct.pack("<IBBHQQ", 0, 0, 0, 0, 0, 0) + struct.pack("<IBBHQQ", 1, 2, 0, 1, 0x1000, 8)
    data = hand_made((b".symtab", 2, symbols), (b".gopclntab", 1, b"x"), (b".strtab", 3, b"\0serve\0"))
    table = len(data) - 64 * 5 + 64  # the second row: .symtab; its names are in section 3
    data = data[: table + 40] + struct.pack("<I", 3) + data[table + 44 :]
    path = tmp_path / "go"
    path.write_bytes(data)
    with pytest.raises(TargetError, match="is a Go program"):
        functions([f"{path}:serve"], NOBODY, unsafe=True)


# --- files ---


@pytest.mark.parametrize("name", ["a b", 'a"b', "a{b", "a*b", "a?b", "a[b]", "a,b", "a@b", "ä", "a\nb", "a;b", "a$1"])
def test_paths_that_bpftrace_would_misread_get_a_sentence(
    build: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(build("plain").read_bytes())
    with pytest.raises(UsageError, match="character that bpftrace would misread") as caught:
        functions([f"{path}:served"], NOBODY)
    assert "ln " in caught.value.hint


def test_links_are_followed_to_the_real_path(build: Callable[..., Path], tmp_path: Path) -> None:
    link = tmp_path / "a link"
    link.symlink_to(build("real"))
    assert functions([f"{link}:served"], NOBODY).script.requires == (f"uprobe:{build('real')}:served",)


def test_names_without_a_path_are_those_that_the_target_has_loaded() -> None:
    found = functions(["libc:malloc"], US).script.requires[0]
    assert found.endswith(":malloc")
    assert "libc" in found
    assert functions(["malloc"], US).script.requires[0].startswith("uprobe:/")
    assert mapped.program(US.pids) in mapped.loaded(US.pids)
    with pytest.raises(UsageError, match="chosen at run time"):
        functions(["libc:strlen"], US)
    with pytest.raises(UsageError, match="has loaded no file called libnothing"):
        functions(["libnothing:f"], US)
    with pytest.raises(UsageError, match="neither the target's program nor a library"):
        functions(["no_such_function_anywhere"], US)


def test_without_a_target_a_name_needs_a_path() -> None:
    for word in ("libc:malloc", "malloc"):
        with pytest.raises(UsageError, match=r"[Nn]o process runs"):
            functions([word], NOBODY)
    with pytest.raises(UsageError, match="there is no file"):
        functions(["/no/such:file"], NOBODY)


def test_a_path_is_meant_in_the_root_of_the_target(tmp_path: Path) -> None:
    """A made-up /proc whose process lives in a root of its own; links do not lead out of it."""
    root = tmp_path / "container"
    (root / "opt").mkdir(parents=True)
    (root / "opt" / "app-1").write_text("x")
    (root / "opt" / "app").symlink_to("/opt/app-1")
    (root / "up").symlink_to("../../../opt/app")
    process = tmp_path / "proc" / "7"
    process.mkdir(parents=True)
    (process / "root").symlink_to(root)
    inside = str(process / "root" / "opt" / "app-1")
    assert mapped.seen_by("/opt/app", (7,), tmp_path / "proc") == inside
    assert mapped.seen_by("/up", (7,), tmp_path / "proc") == inside
    assert mapped.seen_by("/opt/none", (7,), tmp_path / "proc") == "/opt/none"
    assert mapped.seen_by("/opt/app", (8,), tmp_path / "proc") == "/opt/app"


def test_a_path_below_proc_stays_in_the_root_that_it_names(build: Callable[..., Path]) -> None:
    path = f"/proc/{os.getpid()}/root{build('rooted')}"
    assert functions([f"{path}:served"], NOBODY).script.requires == (f"uprobe:{path}:served",)


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "loop").symlink_to("/loop")
    (tmp_path / "proc" / "7").mkdir(parents=True)
    (tmp_path / "proc" / "7" / "root").symlink_to(root)
    assert mapped.seen_by("/loop/x", (7,), tmp_path / "proc") == "/loop/x"


def sentence(make: Callable[[], Attachment]) -> tuple[str, str]:
    """What is said to a word, and the next command."""
    try:
        return make().script.body, "script"
    except BpftopError as error:
        return error.message, error.hint


@given(st.text(max_size=30))
def test_whatever_the_word_it_is_a_sentence_or_a_script(word: str) -> None:
    for made in (sentence(lambda: usdt(word, NOBODY)), sentence(lambda: functions([word], NOBODY))):
        assert all(made)
