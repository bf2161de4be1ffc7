"""CPU time of a frame of each pane in a real terminal: ``python benchmarks/frames.py FILE`` writes ms by pane (JSON).

The seconds of a recorded incident are drawn one after the other, from the snapshot to the bytes for the terminal; what
the same app takes without drawing is taken off. The snapshots themselves are made before.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import closing
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bpftop.model import Snapshot  # noqa: E402
from bpftop.recording.reader import Recording  # noqa: E402
from bpftop.replay import Replay  # noqa: E402
from bpftop.ui.app import BpftopApp  # noqa: E402
from bpftop.ui.options import UiOptions  # noqa: E402

FRAMES, FROM_S, SETTLE_S = 25, 45, 0.04


class Still:
    """Gives one snapshot again and again."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def snapshot(self, window_s: float | None, until_unix_ns: int | None = None) -> Snapshot:
        """The one."""
        return self._snapshot


class Drawing(BpftopApp):
    """Draws all snapshots in every pane, notes what that took, and ends."""

    snapshots: list[Snapshot]
    taken_ms: dict[str, float]

    def on_ready(self) -> None:
        """The first frame is there."""
        self.poll_every(3600.0)
        self.taken_ms = {}
        self._drawing = asyncio.create_task(self._draw())

    async def _draw(self) -> None:
        main = self.main
        assert main is not None
        idle = await self._frames([])
        for place, pane in enumerate(main.panes):
            main.action_pane(place)
            await asyncio.sleep(0.3)
            self.taken_ms[pane.TITLE] = await self._frames(self.snapshots) - idle
        self.exit(0)

    async def _frames(self, snapshots: list[Snapshot]) -> float:
        main, took = self.main, []
        assert main is not None
        for each in snapshots or [None] * FRAMES:
            began = time.process_time()
            if each is not None:
                main.take(each)
            await asyncio.sleep(SETTLE_S)
            took.append((time.process_time() - began) * 1000)
        return median(took)


def main() -> None:
    """Draw and write."""
    with closing(Replay(Recording(ROOT / "screenshots/incident.bpftop"), clock=lambda: 0.0)) as replay:
        start = replay.position.start_ns
        moments = [start + int((FROM_S + second) * 1e9) for second in range(FRAMES)]
        snapshots = [replay.at(moment, 60.0) for moment in moments]
    for each in snapshots:  # rows are made when somebody looks
        for rows in (each.slow, each.recent_slow, *(shown.clients for shown in each.measures.values())):
            len(rows)
    app = Drawing(Still(snapshots[0]), save=lambda _: "", options=UiOptions(refresh_s=5.0))
    app.snapshots = snapshots
    app.run()
    if app.crash is not None:
        raise app.crash
    Path(sys.argv[1]).write_text(json.dumps(app.taken_ms))


if __name__ == "__main__":
    main()
