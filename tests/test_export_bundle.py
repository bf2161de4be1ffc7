"""The folder of an incident: whole or not there, nothing foreign alive in it."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from bpftop.errors import FileError
from bpftop.export.bundle import _cell, summary, write_bundle
from bpftop.model import ClientRow, Snapshot, Target, TargetKind
from bpftop.ui.app import BpftopApp
from bpftop.ui.options import UiOptions
from tests.ui.builders import FakeSession, live
from tests.ui.driving import until

NAMES = {
    *("summary.md", "report.txt", "report.json", "environment.json", "screen.txt", "screen.svg"),
    *("percentiles.csv", "histogram.csv", "clients.csv", "slow_requests.csv", "accounting.csv", "keys.csv"),
}


def test_E_makes_a_folder_with_everything_in_it(tmp_path: Path) -> None:
    app = BpftopApp(FakeSession(live()), save=lambda _: "", options=UiOptions(refresh_s=60.0, save_to=tmp_path))
    said: list[str] = []

    async def go() -> None:
        async with app.run_test(size=(100, 30), notifications=True) as pilot:
            await pilot.press("4", "E")
            await until(app, pilot, "saved the incident")
            assert app.main is not None
            said.extend(each.text for each in app.main.verdict().clauses)

    asyncio.run(go())
    (folder,) = tmp_path.iterdir()
    assert {path.name for path in folder.iterdir()} <= NAMES
    assert {path.name for path in folder.iterdir()} >= NAMES - {"keys.csv"}
    screen = (folder / "screen.txt").read_text()
    assert "4 Clients" in screen
    assert "127.0.0.1" in screen
    picture = (folder / "screen.svg").read_text()
    assert picture.startswith("<svg")
    assert "url(" not in picture.replace("url(#", ""), "nothing is loaded from anywhere"
    assert "@font-face" not in picture
    written = json.loads((folder / "report.json").read_text())
    snapshot = live()
    assert written["measures"]["request_latency"]["count"] == snapshot.measures["request_latency"].summary.count
    text = (folder / "summary.md").read_text()
    assert said
    assert all(f"- {_cell(each)} " in text for each in said)
    assert f"{snapshot.measures['request_latency'].summary.count:,}" in text
    assert f"{snapshot.accounting.produced:,} counted = {snapshot.accounting.shown:,} shown" in text
    assert json.loads((folder / "environment.json").read_text())["kernel"] == snapshot.kernel


def test_the_client_that_is_slow_comes_before_all_that_are_busy() -> None:
    snapshot = live()
    shown = snapshot.measures["request_latency"]
    busy = tuple(ClientRow(f"10.0.0.{i}", 1000 - i, 1.0, 10**5, 10**5, 10**5, slow=0) for i in range(50))
    rare = ClientRow("10.9.9.9", 3, 0.1, 4 * 10**8, 4 * 10**8, 4 * 10**8, slow=3)
    measures = {**snapshot.measures, "request_latency": replace(shown, slow=4, clients=(*busy, rare))}
    said = summary(replace(snapshot, measures=measures), ["p99 8× its level (n 5)"]).splitlines()
    assert said[said.index("|---|--:|--:|--:|--:|--:|--:|") + 1].startswith("| 10.9.9.9 | 75 % | 3 |")
    assert "- p99 8× its level (n 5)" in said


def hostile() -> Snapshot:
    """A name and a client that would be Markdown, HTML or a sequence."""
    snapshot = live()
    name = "<img src=x>|`a`\x1b[31m@here[x](http://e)"
    measures = dict(snapshot.measures)
    shown = measures["request_latency"]
    row = ClientRow(name, 10**9, 1.0, 1, 2, 3)
    measures["request_latency"] = replace(shown, clients=(row, *shown.clients))
    return replace(snapshot, measures=measures, target=Target("x", TargetKind.NAME, name))


def test_foreign_words_are_text_in_the_summary() -> None:
    said = summary(hostile(), ["p99 *8×* its level <b>now</b>"])
    assert "\x1b" not in said
    assert "<img" not in said.replace("\\<img", "")
    assert "\\|\\`a\\`" in said
    assert "\\@here" in said
    assert "\\*8×\\*" in said
    assert all(row.count("|") - row.count("\\|") in (0, 8, 9, 6) for row in said.splitlines()), (
        "tables keep their cells"
    )


def test_the_summary_lists_slow_requests_and_not_long_connections() -> None:
    calm = live()
    long = replace(calm.slow[0], event="connection", latency_ns=17 * 10**9)
    said = summary(replace(calm, slow=(long, *calm.slow)), []).partition("Slowest single events")[2]
    assert "| request |" in said
    assert "connection |" not in said
    assert "| connection |" in summary(replace(calm, slow=(long,)), [])


def test_a_second_one_of_the_same_second_gets_another_name_and_nothing_is_followed(tmp_path: Path) -> None:
    snapshot = live()
    first = write_bundle(snapshot, [], "text", "<svg/>", tmp_path)
    (tmp_path / f"{first.name}-2").symlink_to("/nowhere")
    third = write_bundle(snapshot, [], "text", "<svg/>", tmp_path)
    assert third.name == f"{first.name}-3"
    assert not Path("/nowhere").exists()


def test_a_failure_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="No space left on device"):
        write_bundle(live(), [], "text", "<svg/>", tmp_path)
    assert list(tmp_path.iterdir()) == []
