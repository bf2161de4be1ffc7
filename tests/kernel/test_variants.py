"""The variants for older kernels compile, alone and in one program; tests/kernels runs them on such kernels."""

from __future__ import annotations

import os
import subprocess

import pytest

from bpftop import preflight
from bpftop.btf_file import told_types
from bpftop.model import Script, Target, TargetKind
from bpftop.scripts import catalog, compose
from bpftop.scripts.catalog import variants

NOT_HERE = ("attaching probe: kprobe", "No matches for kprobe")
"""This kernel may have no kprobes: said after the program was compiled."""
TOGETHER = [*variants().values(), catalog()["connections"], catalog()["syscalls"]]


def _names(scripts: list[Script]) -> str:
    return "+".join(script.name for script in scripts)


@pytest.mark.parametrize("scripts", [*([each] for each in variants().values()), TOGETHER], ids=_names)
def test_every_variant_compiles(scripts: list[Script]) -> None:
    path = preflight.bpftrace_path()
    version = tuple(map(int, preflight.bpftrace_version(path).split(".")[:2]))
    words = ["-d"] if version < (0, 20) else ["-d", "codegen", "--dry-run"]
    done = subprocess.run(
        [path, "--no-warnings", *words, "-"],
        input=compose(scripts, Target("", TargetKind.PID, "nobody")).text,
        capture_output=True,
        text=True,
        env={**os.environ, **told_types()},
        check=False,
    )
    assert done.returncode == 0 or any(said in done.stderr for said in NOT_HERE), done.stderr
