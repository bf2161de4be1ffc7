"""Driving the app in tests: a screen as text."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from textual.pilot import Pilot

from bpftop.model import Snapshot
from bpftop.ui.app import BpftopApp
from bpftop.ui.options import UiOptions
from tests.ui.builders import FakeSession

Steps = Callable[[BpftopApp, Pilot[int]], Awaitable[None]]


def text_of(app: BpftopApp) -> str:
    """What is on the screen, without colours."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips) + "\n"


def drive(
    session: FakeSession | Snapshot,
    steps: Steps,
    *,
    size: tuple[int, int] = (80, 24),
    options: UiOptions | None = None,
    save: Callable[[Snapshot], str] = lambda snapshot: "saved",
    toasts: bool = True,
) -> BpftopApp:
    """Run the app without a terminal, do the steps, and return it."""
    source = session if isinstance(session, FakeSession) else FakeSession(session)
    app = BpftopApp(source, save=save, options=options or UiOptions(refresh_s=60.0))

    async def go() -> None:
        async with app.run_test(size=size, notifications=toasts) as pilot:
            await pilot.pause()
            await steps(app, pilot)

    asyncio.run(go())
    return app


async def until(app: BpftopApp, pilot: Pilot[int], words: str) -> str:
    """Wait for these words; the screen then. Notifications come a little later than the key."""
    for _ in range(200):
        screen = text_of(app)
        if words in screen:
            return screen
        await pilot.pause(0.02)
    raise AssertionError(f"{words!r} never came; the screen is:\n{text_of(app)}")


def screen_text(
    session: FakeSession | Snapshot,
    *keys: str,
    size: tuple[int, int] = (80, 24),
    options: UiOptions | None = None,
) -> str:
    """The screen after these keys."""
    shown: list[str] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press(*keys)
        await pilot.pause()
        shown.append(text_of(app))

    drive(session, steps, size=size, options=options)
    return shown[0]
