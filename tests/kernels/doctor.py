"""``bpftop doctor`` on the kernel that runs: does it say what is so there?"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from typing import Any

from bpftop.model import Script
from bpftop.preflight import missing, suited
from tests.kernels.guest import python

NAME = "doctor"
"""As a row of the table."""
AGREES = "agrees"
"""The state: what it says of the scripts is what happened to them."""
_LIMIT_S = 300


def examined(scripts: Sequence[Script]) -> str:
    """Run it; its sentences about this kernel. Raises AssertionError when one is wrong here."""
    done = subprocess.run(
        python("bpftop", "doctor", "--json"), capture_output=True, text=True, timeout=_LIMIT_S, check=False
    )
    said = json.loads(done.stdout)
    checks = {check["name"]: check for check in said["checks"]}
    assert (done.returncode, said["exit_code"], done.stderr) == (0, 0, ""), done
    assert said["kernel"] == os.uname().release
    assert not [check for check in said["checks"] if check["problem"]], said["checks"]
    _assert_scripts(said, scripts)
    assert ("not limited" in checks["locked_memory"]["detail"]) == (_version() >= (5, 11)), checks["locked_memory"]
    assert checks["kernel_types"]["detail"] == "/sys/kernel/btf/vmlinux"
    return "; ".join(f"{name.replace('_', ' ')}: {checks[name]['detail']}" for name in ("kprobes", "locked_memory"))


def _assert_scripts(said: dict[str, Any], scripts: Sequence[Script]) -> None:
    of = {one["name"]: one for one in said["scripts"]}
    for script in scripts:
        told, why = of[script.name], missing(script)
        assert told["runs"] == (not why), (script.name, told, why)
        assert why or (told["variant"] or "") == suited(script).variant, (script.name, told)
        assert (script.name in said["works"]) == (not why), (script.name, said["works"])


def _version() -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)", os.uname().release)
    assert found
    return tuple(map(int, found.groups()))
