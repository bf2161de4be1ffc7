"""``python -m tests.incidents [WORDS ...]``: run the incidents, print what was said; without words, all of it.

It takes half an hour. ``--results FILE --minutes 5`` does a piece and keeps it in the file; the next call goes on.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.incidents.book import Book, Trial, opened
from tests.incidents.incidents import INCIDENTS, Incident
from tests.incidents.page import PAGE, page
from tests.incidents.run import LATE_S, LATE_WITHIN_S, healthy, settle, suffer
from tests.incidents.scene import Scene, scene

TIMES, LATE_TIMES, HOURS_S = 5, 2, 3600
CALM_S = 20
"""Before the first incident, so that every level is known."""
EACH_S, END_S = 30, 12
"""What one incident may take with the calm before it, and the end of all."""
WATCHED_S = 6.0
"""The first time each is listened to for so long: does a clause waver?"""


def main() -> int:
    """0 when every cause was named in time each time and nothing else was."""
    parser = argparse.ArgumentParser(prog="python -m tests.incidents", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help="only incidents with one of these words in their name")
    parser.add_argument("--healthy", type=int, default=300, metavar="SECONDS", help="how long nothing happens, once")
    parser.add_argument("--times", type=int, default=TIMES, help="how many times each incident happens")
    parser.add_argument(
        "--late", type=int, default=LATE_TIMES, help="how many of these are also watched from the middle on"
    )
    parser.add_argument("--minutes", type=float, default=HOURS_S, help="begin nothing that would take longer")
    parser.add_argument("--results", type=Path, metavar="FILE", help="go on with what this file has, and keep it there")
    parser.add_argument(
        "--write", action="store_true", help="write docs/incidents.md when all is done and as it must be"
    )
    asked = parser.parse_args()
    end = time.monotonic() + asked.minutes * 60
    chosen = [each for each in INCIDENTS if not asked.names or any(word in each.name for word in asked.names)]
    book = opened(asked.results)
    for _ in _done(book, chosen, asked, end):
        if asked.results is not None:
            book.save(asked.results)  # whatever ends this, what was done is kept
    left = list(_left(book, chosen, asked.times))
    print(f"healthy for {book.healthy_s} s; left: {', '.join(each.name for each in left) or 'nothing'}")
    good = all(each.good for each in book.trials) and not any(each.said for each in book.healths)
    if asked.write and good and not left and book.healthy_s >= asked.healthy:
        PAGE.write_text(page(book))
        print(f"{PAGE.name} is written")
    return 0 if good else 1


def _done(book: Book, chosen: list[Incident], asked: argparse.Namespace, end: float) -> Iterator[None]:
    """What fits until ``end``: the healthy time, then each incident in turn. Each is in the book when it yields."""
    with tempfile.TemporaryDirectory(prefix="bpftop-incident-") as name:
        Path(name).chmod(0o755)
        with scene(Path(name), int(min(end - time.monotonic(), HOURS_S)) + 60) as found:
            wanted = asked.healthy if book.healthy_s < asked.healthy else CALM_S
            if wanted > CALM_S and time.monotonic() + wanted + END_S > end:
                wanted = CALM_S
            health = healthy(found, wanted)
            book.healths.append(health)
            print(f"healthy for {wanted} s: {health.looks} looks, {health.starved} without CPUs", flush=True)
            print(
                *health.said[:9], *(f"without CPUs: {said}" for said in health.said_starved[:9]), sep="\n", flush=True
            )
            yield
            for each in _left(book, chosen, asked.times):
                late = sum(bool(trial.late) for trial in book.of(each.name)) < asked.late
                if time.monotonic() + EACH_S + END_S + (LATE_S + LATE_WITHIN_S) * late > end:
                    return
                book.trials.append(_tried(found, each, WATCHED_S if not book.of(each.name) else 0.0, late))
                yield


def _left(book: Book, chosen: list[Incident], times: int) -> Iterator[Incident]:
    """What is still to be done, each in turn: asked again after each."""
    for turn in range(max(max(each.times for each in chosen), times)):
        for each in chosen:
            if len(book.of(each.name)) <= turn < max(times, each.times if times >= TIMES else 0):
                yield each


def _tried(found: Scene, incident: Incident, watched_s: float, late: bool) -> Trial:
    trial = suffer(found, incident, watched_s=watched_s, late=late)
    trial.over_s = settle(found)
    after = f" (over after {trial.over_s} s)" if trial.over_s is not None else " (does not end)"
    more = "".join(f" {name}: {value}" for name in ("wrong", "wavered") if (value := getattr(trial, name)))
    print(f"{incident.name}: {trial.seconds}{' starved' * trial.starved}{more}{after}", flush=True)
    for which, said in trial.late_said.items():
        print(f"  {which}, started in the middle: {trial.late[which]} {said}", flush=True)
    for which, said in trial.said.items():
        print(f"  {which}: {said}", flush=True)
    return trial


if __name__ == "__main__":
    sys.exit(main())
