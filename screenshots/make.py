"""Pictures of every pane, and the animated one, from the recorded incidents: ``python screenshots/make.py``.

``record.py`` recorded them: real nginx and real bpftrace. Nothing is traced here, and the same pictures come out every
time. PNG and GIF need resvg-py, pillow and the Fira Code font (``apt-get install fonts-firacode``).
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bpftop.recording.reader import Recording  # noqa: E402
from bpftop.replay import Replay  # noqa: E402
from bpftop.ui.app import BpftopApp  # noqa: E402
from bpftop.ui.bundle import screen_picture  # noqa: E402
from bpftop.ui.options import UiOptions  # noqa: E402

PLACE = Path(__file__).resolve().parent
INCIDENT, MACHINE = PLACE / "incident.bpftop", PLACE / "machine.bpftop"
SIZE = (100, 30)
HEALTHY_S, SETTING_IN_S, SLOW_S = 38.0, 50.0, 62.0
"""Moments of the recording, counted from its first figures."""
COLOURS, WIDTH_PX = 128, 1000
"""Of the animated picture."""


@dataclass(frozen=True)
class Shot:
    """A picture: of which pane, after which keys, at which moment."""

    name: str
    pane: str
    keys: Sequence[str] = ()
    at_s: float = SLOW_S
    shown_ms: int = 2000
    """As a part of the animated picture."""
    recording: Path = INCIDENT


STILLS = (
    Shot("overview", "Overview", at_s=SETTING_IN_S),
    Shot("latency", "Latency"),
    Shot("heat-map", "Heat map", ("n",)),
    Shot("clients", "Clients", ("s", "s")),
    Shot("client", "Clients", ("s", "s", "enter")),
    Shot("slow-requests", "Slow requests"),
    Shot("syscalls", "Syscalls"),
    Shot("routes", "Routes"),
    Shot("upstream", "Upstream"),
    Shot("event-loop", "Event loop"),
    Shot("scripts", "Scripts"),
    Shot("tcp", "TCP", ("v", "v", "v"), recording=MACHINE),
    Shot("scheduler", "Scheduler", recording=MACHINE),
    Shot("disk", "Disk", recording=MACHINE),
)
MOVING = (
    Shot("healthy", "Overview", at_s=HEALTHY_S, shown_ms=2500),
    *(Shot(f"slower-{at}", "Overview", at_s=float(at), shown_ms=700) for at in (42, 43, 44, 45, 47, 50)),
    Shot("verdict", "Overview", shown_ms=3500),
    Shot("entered", "Overview", ("enter",), shown_ms=3000),
    Shot("upstream", "Upstream", shown_ms=3000),
    Shot("clients", "Clients", ("s", "s"), shown_ms=3000),
    Shot("heat-map", "Heat map", ("n",), shown_ms=3500),
)


def picture(shot: Shot) -> str:
    """One pane as SVG. Times of day are in the time zone of the process, and NO_COLOR is obeyed."""
    with closing(Replay(Recording(shot.recording), clock=lambda: 0.0)) as replay:
        replay.seek(replay.position.start_ns + int(shot.at_s * 1e9))
        svg = asyncio.run(_shown(replay, shot))
    # Rich names the classes after a checksum of all it draws: with it, one changed character changed every line.
    return re.sub(r"terminal-\d+", "terminal", svg)


async def _shown(replay: Replay, shot: Shot) -> str:
    app = BpftopApp(replay, save=lambda snapshot: "", options=UiOptions(theme="bpftop-dark", refresh_s=3600.0))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        assert app.main is not None
        titles = [pane.TITLE for pane in app.main.panes]
        app.main.action_pane(titles.index(shot.pane))
        await pilot.pause()
        await pilot.press(*shot.keys)
        await pilot.pause()
        return screen_picture(app, "bpftop :80")


def to_png(svg: str) -> bytes:
    """Rasterise."""
    import resvg_py

    family = "Fira Code"
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, font_family=family, monospace_family=family))


def to_gif(frames: Sequence[bytes], shown_ms: Sequence[int]) -> bytes:
    """PNGs as one GIF that begins again at its end."""
    from PIL import Image

    images = [Image.open(io.BytesIO(frame)).convert("RGB") for frame in frames]
    height = round(images[0].height * WIDTH_PX / images[0].width)
    small = [each.resize((WIDTH_PX, height), Image.Resampling.LANCZOS) for each in images]
    often = Counter[tuple[int, ...]]()
    for each in small:
        often.update({colour: count for count, colour in each.getcolors(WIDTH_PX * height) or ()})
    # A palette that a quantizer chose had another background, or no amber: flat colours have to stay what they are.
    flat = [part for colour, _ in often.most_common(COLOURS) for part in colour]
    palette = Image.new("P", (1, 1))
    palette.putpalette(flat)
    drawn = [each.quantize(palette=palette, dither=Image.Dither.NONE) for each in small]
    out = io.BytesIO()
    drawn[0].save(out, "GIF", save_all=True, append_images=drawn[1:], duration=list(shown_ms), loop=0, optimize=True)
    return out.getvalue()


def main() -> None:
    """Every picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=PLACE)
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    os.environ.pop("NO_COLOR", None)
    os.environ["TZ"] = "UTC"
    time.tzset()
    for shot in STILLS:
        svg = picture(shot)
        (out / f"{shot.name}.svg").write_text(svg)
        (out / f"{shot.name}.png").write_bytes(to_png(svg))
    frames = [to_png(picture(shot)) for shot in MOVING]
    (out / "demo.gif").write_bytes(to_gif(frames, [shot.shown_ms for shot in MOVING]))


if __name__ == "__main__":
    main()
