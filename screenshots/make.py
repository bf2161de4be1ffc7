"""Pictures of every pane as SVG and PNG: ``python screenshots/make.py [--from MODULE:FACTORY] [--out DIR]``.

FACTORY is a function without arguments that returns a SnapshotSource; the default one watches the demo with real
bpftrace (as root); ``tests.ui.builders:sample`` is a hand-made nginx. PNGs need resvg-py and the Fira Code font
(``apt-get install fonts-firacode``); without resvg-py only SVGs are written.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bpftop.ui.app import BpftopApp  # noqa: E402
from bpftop.ui.options import SnapshotSource, UiOptions  # noqa: E402
from bpftop.ui.panes.registry import panes_for  # noqa: E402


async def picture(source: SnapshotSource, pane: int, size: tuple[int, int], options: UiOptions, keys: str) -> str:
    """One pane as SVG."""
    app = BpftopApp(source, save=lambda snapshot: "", options=options)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.press(str(pane + 1), *keys.split())
        await pilot.pause()
        svg = app.export_screenshot(title=f"bpftop {source.snapshot(60.0).target.name}")
    # The title is set in arial by Rich and the text in a web font; a PNG needs one that is installed.
    return re.sub(r"font-family:\s*arial", "font-family: Fira Code", svg)


def to_png(svg: str, path: Path) -> None:
    """Rasterise, when resvg-py is installed."""
    try:
        import resvg_py
    except ImportError:
        print(f"{path.name}: not written, resvg-py is not installed", file=sys.stderr)
        return
    path.write_bytes(
        bytes(resvg_py.svg_to_bytes(svg_string=svg, font_family="Fira Code", monospace_family="Fira Code"))
    )


def main() -> None:
    """Every pane, in every size asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="source", default="screenshots.real:demo", metavar="MODULE:FACTORY")
    parser.add_argument("--out", type=Path, default=ROOT / "screenshots")
    parser.add_argument("--sizes", default="100x30", help="comma-separated, as 80x24,160x50")
    parser.add_argument("--theme")
    parser.add_argument("--keys", default="", help="keys to press in each pane, separated by blanks")
    parser.add_argument("--svg-only", action="store_true")
    chosen = parser.parse_args()
    module, _, factory = chosen.source.partition(":")
    source: SnapshotSource = getattr(importlib.import_module(module), factory)()
    chosen.out.mkdir(parents=True, exist_ok=True)
    sizes = chosen.sizes.split(",")
    for each in sizes:
        width, height = (int(part) for part in each.split("x"))
        for index, pane in enumerate(panes_for(source.snapshot(60.0))):
            options = UiOptions(theme=chosen.theme, refresh_s=60.0)
            svg = asyncio.run(picture(source, index, (width, height), options, chosen.keys))
            name = pane.TITLE.lower().replace(" ", "-") + (f"-{each}" if len(sizes) > 1 else "")
            (chosen.out / f"{name}.svg").write_text(svg)
            if not chosen.svg_only:
                to_png(svg, chosen.out / f"{name}.png")


if __name__ == "__main__":
    main()
