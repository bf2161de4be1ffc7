"""How many examples hypothesis tries: few in every test run, many in ``make fuzz``."""

from __future__ import annotations

import os

from hypothesis import settings

TIMES = int(os.environ.get("BPFTOP_FUZZ_TIMES", "1"))


def examples(many: int, steps: int = 30) -> settings:
    """So many examples, of so many steps where a machine is tried; more when asked for."""
    return settings(max_examples=many * TIMES, stateful_step_count=steps, deadline=None, print_blob=True)
