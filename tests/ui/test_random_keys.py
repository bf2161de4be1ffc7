"""Keys and sizes at random: whatever is pressed, nothing crashes. ``BPFTOP_TEST_KEYS=5000`` presses more of them."""

from __future__ import annotations

import asyncio
import os
import random

import pytest

from bpftop.ui.app import BpftopApp
from bpftop.ui.options import UiOptions
from tests.ui import builders

KEYS = (
    *"1234567890pbvlcamsSnx[]+-<>/?thjkgGy", "tab", "shift+tab", "up", "down", "left", "right", "home", "end", "pageup",
    "pagedown", "enter", "escape", "space", "backspace",
)  # fmt: skip
"""All keys of the panes, but those that leave and those that write files."""
SIZES = ((60, 15), (80, 24), (120, 40), (160, 50), (300, 100), (20, 5), (1, 1), (61, 200))
PRESSED = int(os.environ.get("BPFTOP_TEST_KEYS", "60"))


@pytest.mark.parametrize("ascii_", [False, True])
def test_no_key_and_no_size_crashes_it(ascii_: bool) -> None:
    seed = int(os.environ.get("BPFTOP_TEST_SEED", random.randrange(10**6)))
    print(f"BPFTOP_TEST_SEED={seed}")
    done = asyncio.run(_pressed(random.Random(seed), ascii_))
    assert len(done) == PRESSED, f"BPFTOP_TEST_SEED={seed}: it left after {done[-20:]}"


async def _pressed(chance: random.Random, ascii_: bool) -> list[str]:
    """Press; returns what was done while the app ran."""
    done: list[str] = []
    app = BpftopApp(
        builders.FakeSession(builders.with_calls(builders.live())),
        save=lambda snapshot: "",
        options=UiOptions(refresh_s=60.0, ascii=ascii_),
    )
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        while app.is_running and len(done) < PRESSED:
            if chance.random() < 0.1:
                size = chance.choice(SIZES)
                done.append(f"{size[0]}x{size[1]}")
                await pilot.resize_terminal(*size)
            else:
                done.append(chance.choice(KEYS))
                await pilot.press(done[-1])
            if chance.random() < 0.1:
                app.poll()
        await pilot.pause()
        assert app.crash is None, (done[-20:], app.crash)
    return done
