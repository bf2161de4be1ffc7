"""Scripts with variants for older kernels: grouped under one name, chosen by what the kernel has."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from bpftop.btf_file import told_types
from bpftop.cli.choice import runnable, wanted
from bpftop.cli.parser import parse
from bpftop.model import Target, TargetKind
from bpftop.preflight import Host, missing, suited
from bpftop.scripts import catalog, compose
from bpftop.scripts.catalog import variants

NOBODY = Target("", TargetKind.PID, "nobody")
OLD = ("sock/inet_sock_set_state", "tcp/tcp_rcv_space_adjust")
NEW = (*OLD, "sock/sk_data_ready", "sock/sock_recv_length", "sock/sock_send_length")


def host(folder: Path, events: tuple[str, ...], functions: str | None) -> Host:
    """A kernel with these tracepoints; with kprobes on ``functions`` unless they are None."""
    tracing = folder / "sys/kernel/tracing"
    (tracing / "events").mkdir(parents=True)
    for event in events:
        (tracing / "events" / event).mkdir(parents=True)
        (tracing / "events" / event / "id").touch()
    if functions is not None:
        (tracing / "kprobe_events").touch()
        (tracing / "available_filter_functions").write_text(functions)
    return Host(folder / "sys", folder / "proc", (folder,), 0)


def options(*scripts: str) -> Namespace:
    return parse(["watch", "nginx", "--scripts", ",".join(scripts)])


def test_a_variant_measures_the_same_under_the_same_names() -> None:
    assert "requests-kprobe" in variants()
    for file_name, variant in variants().items():
        first = catalog()[variant.name]
        assert variant in first.variants
        assert file_name == f"{variant.name}-{variant.variant}"
        assert Path(variant.path).stem == file_name
        for what in ("title", "measures", "counters", "streams", "default", "pane"):
            assert getattr(variant, what) == getattr(first, what), (file_name, what)
        assert set(variant.requires) != set(first.requires)
    assert not set(variants()) & set(catalog())


@pytest.mark.parametrize(
    ("events", "functions", "variant"),
    [
        (NEW, None, ""),
        (NEW, "tcp_push\nsock_def_readable\n", ""),
        (OLD, "tcp_push\nsock_def_readable\n", "kprobe"),
        (OLD, "tcp_push\nsock_def_readable [net]\n", "kprobe"),
    ],
)
def test_the_first_that_the_kernel_can_run_is_chosen(
    tmp_path: Path, events: tuple[str, ...], functions: str | None, variant: str
) -> None:
    here = host(tmp_path, events, functions)
    assert missing(catalog()["requests"], here) is None
    assert suited(catalog()["requests"], here).variant == variant
    [script] = runnable(options("requests"), here, pytest.fail)
    assert (script.name, script.variant) == ("requests", variant)
    compose([script], NOBODY)


@pytest.mark.parametrize("file_name", variants())
def test_a_variant_is_chosen_where_only_its_attach_points_are(tmp_path: Path, file_name: str) -> None:
    points = [point.partition(":") for point in variants()[file_name].requires]
    events = tuple(name.replace(":", "/") for kind, _, name in points if kind == "tracepoint")
    functions = "".join(f"{name}\n" for kind, _, name in points if kind == "kprobe")
    here = host(tmp_path, events, functions)
    name = variants()[file_name].name
    assert missing(catalog()[name], here) is None
    assert suited(catalog()[name], here) == variants()[file_name]
    for function in functions.split():  # each one is needed
        _without(tmp_path / function, events, functions.replace(f"{function}\n", "x\n"), name, function)


def _without(folder: Path, events: tuple[str, ...], functions: str, name: str, function: str) -> None:
    assert f"no function {function} " in (missing(catalog()[name], host(folder, events, functions)) or "")


@pytest.mark.parametrize(
    ("functions", "why"),
    [(None, "the kernel has no kprobes (CONFIG_KPROBES)"), ("tcp_push_one\n", "the kernel has no function ")],
)
def test_when_none_can_run_all_reasons_are_said(tmp_path: Path, functions: str | None, why: str) -> None:
    reason = missing(catalog()["requests"], host(tmp_path, OLD, functions)) or ""
    first, _, second = reason.partition("; in its place: ")
    assert first.startswith("the kernel has no tracepoint sock:sk_data_ready: it came with Linux 6.2")
    assert second.startswith(why)


def test_a_variant_can_be_named() -> None:
    [script] = wanted(options("requests-kprobe")).values()
    assert script == variants()["requests-kprobe"]
    assert script.variants == ()


@pytest.mark.parametrize(
    ("release", "told"),
    [("5.10.0-32-amd64", True), ("4.18.0", True), ("5.11.0", False), ("6.18.44", False), ("x", False)],
)
def test_the_file_of_types_is_named_to_bpftrace(tmp_path: Path, release: str, told: bool) -> None:
    types = tmp_path / "vmlinux"
    assert told_types(False, release, types) == {}, "a file that is not there is not named"
    types.touch()
    assert told_types(False, release, types) == {"BPFTRACE_BTF": str(types)}
    assert told_types(True, release, types) == ({"BPFTRACE_BTF": str(types)} if told else {})
