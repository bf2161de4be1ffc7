"""From scripts and a target to one program: all of it plain, none of it the user's words."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpftop import preflight, wire
from bpftop.btf_file import BTF_PATH
from bpftop.errors import HostError, ScriptError
from bpftop.model import EventStream, Measure, Process, Program, Script, Target, TargetKind
from bpftop.scripts import catalog, compose, parse_script
from bpftop.scripts.btf import field_offset, has_types, place_offsets
from bpftop.scripts.lint import lint_text

NEEDS_BTF = pytest.mark.skipif(not BTF_PATH.exists(), reason="this kernel has no BTF")
TARGETS = {
    kind: Target(kind.value, kind, kind.value, comm, (Process(77, 1, "nginx"), Process(78, 1, "nginx")), (80, 8443))
    for kind, comm in zip(TargetKind, ("nginx", "", "", "nginx", ""), strict=True)
}
KEPT = {wire.COUNTS, wire.SENT, wire.UNTRACKED, *wire.CLIENTS, *wire.ADDRESSES, *wire.NAMES}


def of_all(target: Target, *names: str) -> Program:
    scripts = catalog()
    return compose([scripts[name] for name in names or scripts], target)


def code_of(text: str) -> str:
    """Without comments; no string in a program of ours holds ``//``."""
    return re.sub(r"//[^\n]*", "", text)


CASES = [*product([*catalog(), None], TargetKind)]


@NEEDS_BTF
@pytest.mark.parametrize(("name", "kind"), CASES, ids=str)
def test_every_script_composes_for_every_kind_of_target(name: str | None, kind: TargetKind) -> None:
    program = of_all(TARGETS[kind], *([name] if name else []))
    code = code_of(program.text)
    assert program.argv == (("nginx",) if kind in (TargetKind.NAME, TargetKind.PATH) else ())
    assert code.count("{") == code.count("}")
    assert len(re.findall(r"^BEGIN\b", code, re.MULTILINE)) == len(re.findall(r"^END\b", code, re.MULTILINE)) == 1
    for leftover in ("macro", "offsetof", "...", "observe(", "event(", "client_of(", "adapt(", "\0"):
        assert leftover not in code
    for number in (77, 78):
        assert f"@target_pids[(uint64){number}] = (uint64)1;" in code
    for number in (80, 8443):
        assert f"@target_ports[(uint64){number}] = (uint64)1;" in code
    heads = re.findall(r"^(?:tracepoint|interval|profile|kprobe):[^{]*(?=\{)", code, re.MULTILINE)
    assert len({" ".join(head.split()) for head in heads}) == len(heads), "one probe for each head"


@NEEDS_BTF
@pytest.mark.parametrize("kind", TargetKind)
def test_the_end_clears_all_state_and_none_of_the_counts(kind: TargetKind) -> None:
    code = code_of(of_all(TARGETS[kind]).text)
    end = re.search(r"^END \{\n(.*?)^\}", code, re.MULTILINE | re.DOTALL)
    assert end
    cleared = re.findall(r"clear\((@\w+)\);", end[1])
    everything = set(re.findall(r"@\w+", code))
    assert {wire.COUNTS, *wire.CLIENTS, wire.TARGET_PIDS} <= everything
    assert set(cleared) == everything - KEPT
    assert len(cleared) == len(set(cleared))


@NEEDS_BTF
@pytest.mark.parametrize("name", [*catalog(), None])
def test_ids_are_positions_in_the_program(name: str | None) -> None:
    program = of_all(TARGETS[TargetKind.NAME], *([name] if name else []))
    code = code_of(program.text)
    assert set(re.findall(r"\(uint64\)(\d+) << 16", code)) == {str(i) for i, _ in enumerate(program.measures, 1)}
    for i, stream in enumerate(program.streams, 1):
        [printf] = set(re.findall(rf'printf\("E {i} ([^"]*)\\n"', code))
        assert printf.split() == ["%llu"] * len(stream.fields), stream.name
        assert f"@slow_{i} = (uint64)0;" in code
    assert set(re.findall(r'printf\("E (\d+)', code)) == {str(i) for i, _ in enumerate(program.streams, 1)}


@NEEDS_BTF
def test_http_sends_what_requests_sends_in_one_program_and_more_events_beside_it() -> None:
    def of_http(*names: str) -> str:
        code = code_of(of_all(TARGETS[TargetKind.NAME], *names).text)
        number = [stream.name for name in names for stream in catalog()[name].streams].index("http") + 1
        found = re.search(rf'if \([^{{]*\{{[^{{}}]*printf\("E {number} ', code)
        assert found
        return found[0]

    assert "@event_at[(uint64)cpu] == " in of_http("requests", "http")
    assert "@passed" not in of_http("requests", "http")
    assert "< 24" in of_http("http")


@NEEDS_BTF
def test_a_map_that_nothing_fills_is_not_printed() -> None:
    silent = compose([parse_script("// x\n\nBEGIN { }\n", "x", "x.bt")], TARGETS[TargetKind.PID])
    assert "print(@counts)" not in silent.text
    assert "print(@target_pids)" in silent.text
    assert "print(@counts)" in of_all(TARGETS[TargetKind.PID]).text


@NEEDS_BTF
def test_a_target_without_processes_or_ports_still_composes() -> None:
    """An entry that nothing looks up gives the maps their type: process 0 is the idle CPU, port 0 a closed socket."""
    text = of_all(replace(TARGETS[TargetKind.NAME], processes=(), ports=())).text
    begin = text[text.index("BEGIN {") : text.index("}", text.index("BEGIN {"))]
    filled = dict(re.findall(r"@target_(pids|ports|places)\[\(uint64\)(\d+)\] = \(uint64\)1;", begin))
    assert filled.keys() == {"pids", "ports", "places"}
    assert min(map(int, filled.values())) > max(2**22, 2**16), "above any number of a process (PID_MAX_LIMIT) or port"
    assert int(filled["places"]) >> 16 < 0xF0000000, "below any number of a namespace (PROC_DYNAMIC_FIRST)"


@NEEDS_BTF
def test_a_port_counts_in_its_network_namespace() -> None:
    """Namespace and port are one number; a port whose place is unknown is meant in any namespace, which is 0."""
    text = of_all(replace(TARGETS[TargetKind.NAME], places=((4026531840, 80), (4026532205, 80)))).text
    filled = {int(n) for n in re.findall(r"@target_places\[\(uint64\)(\d+)\] = ", text)}
    assert filled == {(4026531840 << 16) + 80, (4026532205 << 16) + 80, 8443}
    inum = field_offset("net", "ns") + field_offset("ns_common", "inum")
    assert inum > 0
    assert f"$sk + {field_offset('sock_common', 'skc_net')}" in text
    nowhere = of_all(replace(TARGETS[TargetKind.NAME], ports=())).text
    assert re.findall(r"@target_places\[\(uint64\)(\d+)\] = ", nowhere) == [str(wire.NOBODY)]


def test_without_the_kernels_types_a_port_counts_in_every_network_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["bpftop.scripts.compose"], "has_types", lambda: False)
    text = of_all(replace(TARGETS[TargetKind.NAME], places=((4026531840, 80),)), "requests").text
    assert "@target_places[(uint64)80] = (uint64)1;" in text
    assert "((uint64)0) << 16" in text
    assert not has_types(Path("/none"))


HOSTILE = [
    'nginx"; system("id"); //',
    "x{BEGIN{exit()}}",
    "a\nEND { }\n//",
    "$1",
    "str($1)",
    "\\",
    "%s%n",
    "/* */",
    "*/",
    "-x",
    "--unsafe",
    "$(id)",
    "`id`",
    "-f json",
    "\0{wire}\0",
    "ünï",
]


@NEEDS_BTF
@pytest.mark.parametrize("kind", [TargetKind.NAME, TargetKind.PATH, TargetKind.PID, TargetKind.PORT])
@pytest.mark.parametrize("word", HOSTILE)
def test_no_word_of_the_user_is_in_the_program(word: str, kind: TargetKind) -> None:
    plain = of_all(TARGETS[kind])
    hostile = of_all(
        Target(word, kind, word, word if TARGETS[kind].comm else "", tuple(
            Process(p.pid, 1, word, word) for p in TARGETS[kind].processes), (80, 8443))
    )  # fmt: skip
    assert hostile.text == plain.text
    assert hostile.argv == ((word,) if TARGETS[kind].comm else ())


@NEEDS_BTF
@given(st.text(min_size=1))
def test_whatever_the_name_the_program_is_the_same(word: str) -> None:
    plain = of_all(TARGETS[TargetKind.NAME], "requests")
    target = replace(TARGETS[TargetKind.NAME], spec=word, name=word, comm=word)
    assert of_all(target, "requests").text == plain.text


def test_scripts_that_do_not_fit_together_are_refused() -> None:
    measure = Measure("m", "M", "s", "e")
    one = Script("one", "one.bt", "One", "", (measure,), (), (), "// x\n\nBEGIN { }\n")
    with pytest.raises(ScriptError, match="same name"):
        compose([one, replace(one, name="two")], TARGETS[TargetKind.PID])
    with pytest.raises(ScriptError, match="same name"):
        compose(
            [replace(one, streams=(EventStream("m", "m", ("timestamp_ns", "latency_ns")),))], TARGETS[TargetKind.PID]
        )
    many = replace(one, measures=tuple(Measure(f"m{i}", "M", "s", "e") for i in range(wire.MAX_MEASURES + 1)))
    with pytest.raises(ScriptError, match="at most 63 measures"):
        compose([many], TARGETS[TargetKind.PID])


@NEEDS_BTF
def test_a_wrong_word_in_a_script_is_named() -> None:
    script = parse_script("// x\n\nBEGIN {\n  observe(nothing, 1, 2, 3);\n}\n", "x", "x.bt")
    with pytest.raises(ScriptError, match="'nothing' is not declared"):
        compose([script], TARGETS[TargetKind.PID])


@NEEDS_BTF
def test_the_composed_program_keeps_to_the_dialect() -> None:
    """Nothing that a macro brings in is newer than 0.17; only rules about files and clear() do not apply."""
    text = of_all(TARGETS[TargetKind.NAME]).text
    allowed = re.compile(r"races with|not atomic|lines of code|one subject")
    found = [str(f) for f in lint_text(text, Path("x.bt"), Path("x.bt")) if not allowed.search(f.why)]
    assert found == []


# --- offsets ---


def blob(*types: bytes, strings: bytes) -> bytes:
    section = b"".join(types)
    header = struct.pack("=HBBI4I", 0xEB9F, 1, 0, 24, 0, len(section), len(section), len(strings))
    return header + section + strings


STRINGS = b"\0sock\0sk_a\0sk_b\0sock_common\0sk_bits\0other\0"


def name(word: str) -> int:
    return STRINGS.index(b"\0" + word.encode() + b"\0") + 1


def struct_type(word: str, *members: tuple[str, int], flag: int = 0, kind: int = 4) -> bytes:
    head = struct.pack("=3I", name(word), flag << 31 | kind << 24 | len(members), 64)
    return head + b"".join(struct.pack("=3I", name(member), 1, offset) for member, offset in members)


@pytest.fixture
def btf(tmp_path: Path) -> Path:
    """An integer, a forward declaration, a decoy of the same name, two structs; offsets are in bits."""
    path = tmp_path / "vmlinux"
    path.write_bytes(
        blob(
            struct.pack("=4I", name("other"), 1 << 24, 4, 32),
            struct.pack("=3I", name("sock"), 7 << 24, 0),
            struct_type("sock", ("sk_bits", 8)),
            struct_type("other", ("sk_b", 999 * 8)),
            struct_type("sock", ("sk_a", 0), ("sk_b", 128)),
            struct_type("sock_common", ("sk_bits", 3 << 24 | 192), ("sk_a", 64), flag=1),
            strings=STRINGS,
        )
    )
    return path


def test_an_offset_is_found_in_a_hand_made_btf(btf: Path) -> None:
    assert field_offset("sock", "sk_a", btf) == 0
    assert field_offset("sock", "sk_b", btf) == 16
    assert field_offset("sock_common", "sk_a", btf) == 8
    assert field_offset("sock_common", "sk_bits", btf) == 24, "with a bit field's size in the upper byte"
    text = "$x + offsetof(struct sock, sk_b) + offsetof(struct sock_common, sk_a);"
    assert place_offsets(text, btf) == "$x + 16 + 8;"


def test_what_is_not_there_is_an_error_of_the_host_unless_its_place_is_known(btf: Path) -> None:
    for wrong in (("sock", "sk_"), ("sock", "sock"), ("soc", "sk_a"), ("other", "sk_a"), ("nothing", "sk_a")):
        with pytest.raises(HostError, match=f"struct {wrong[0]} has no field {wrong[1]}"):
            field_offset(*wrong, btf)
    assert field_offset("sock_common", "skc_family", btf) == 16


@pytest.mark.parametrize("content", [None, b"", b"\x9f\xeb", b"x" * 100, struct.pack("=HBBI", 0xEB9F, 1, 0, 24)])
def test_unreadable_type_information_is_an_error_of_the_host(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "broken"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(HostError, match="no readable type information"):
        field_offset("socket", "sk", path)
    assert field_offset("sock_common", "skc_num", path) == 14


@NEEDS_BTF
def test_offsets_of_this_kernel_are_plausible() -> None:
    assert field_offset("socket", "sk") % 8 == 0
    assert field_offset("task_struct", "files") > 500
    assert field_offset("file", "private_data") > 0
    assert field_offset("sock_common", "skc_family") == 16


# --- the real thing ---


@pytest.mark.kernel
@pytest.mark.parametrize("names", [(), ("requests",)])
def test_bpftrace_accepts_the_program(tmp_path: Path, names: tuple[str, ...]) -> None:
    """``-d`` parses, checks and compiles, and attaches nothing."""
    program = of_all(replace(TARGETS[TargetKind.NAME], processes=(Process(os.getpid(), 1, "x"),)), *names)
    file = tmp_path / "program.bt"
    file.write_text(program.text)
    command = [str(preflight.bpftrace_path()), "-d", str(file), "nginx"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    complaints = [line for line in run.stderr.splitlines() if re.search(r"ERROR|error", line) and "RLIMIT" not in line]
    assert complaints == []
    assert run.returncode == 0
