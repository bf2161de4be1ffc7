"""The pane of routes, and requests with their first line among the slow ones."""

from __future__ import annotations

from bpftop.model import Snapshot
from tests.ui import builders
from tests.ui.driving import screen_text
from tests.ui.routed import with_routes

ROUTES = with_routes(builders.live(), unseen=1234)


def pane_key(snapshot: Snapshot) -> str:
    """The number key of the pane."""
    tabs = screen_text(snapshot, size=(160, 40)).splitlines()[1]
    return tabs.partition(" Routes")[0].rpartition(" ")[2]


def test_every_route_is_a_row_with_its_errors() -> None:
    screen = screen_text(ROUTES, pane_key(ROUTES), size=(120, 30))
    table = [line.split() for line in screen.splitlines() if line.strip().startswith(("GET", "POST", "others"))]
    names = [" ".join(words[:2]) if words[0] != "others" else "others" for words in table]
    assert names == ["GET /users/:id", "POST /orders", 'GET /?[31m"=cmd|?', "GET /hang", "others"]
    by_name = dict(zip(names, table, strict=True))
    assert by_name["GET /users/:id"][-3:] == ["321", "0", "0"]
    assert by_name["POST /orders"][-3:] == ["0", "45", "0"]
    assert by_name["GET /hang"][2] == "0"
    assert by_name["GET /hang"][-1] == "7"
    assert "4 routes" in screen
    assert "4xx 3.3 %" in screen
    assert "7 without an answer" in screen
    assert "1234 reads or responses that are no HTTP/1" in screen
    assert "\x1b" not in screen


def test_small_screens_keep_the_errors() -> None:
    screen = screen_text(ROUTES, pane_key(ROUTES))
    heading = next(line for line in screen.splitlines() if line.strip().startswith("Route "))
    assert heading.split()[0] == "Route"
    assert {"Count▼", "p99", "4xx", "5xx"} <= set(heading.split())


def test_rows_sort_by_errors_and_others_stay_last() -> None:
    key = pane_key(ROUTES)
    for presses, first in ((1, "POST"), (4, "POST"), (5, "GET /users/:id"), (6, "GET /?[31m")):
        screen = screen_text(ROUTES, key, *["s"] * presses, size=(120, 30))
        lines = [line.strip() for line in screen.splitlines() if line.strip().startswith(("GET", "POST", "others"))]
        assert lines[0].startswith(first), presses
        assert lines[-1].startswith("others")


def test_wide_screens_show_the_chosen_route() -> None:
    screen = screen_text(ROUTES, pane_key(ROUTES), "down", size=(160, 50))
    assert "Its slow requests  1 in the window" in screen
    assert "POST /orders 500" in screen


def test_slow_requests_show_line_and_status() -> None:
    tabs = screen_text(ROUTES, size=(160, 40)).splitlines()[1]
    screen = screen_text(ROUTES, tabs.partition(" Slow")[0].rpartition(" ")[2], size=(160, 40))
    assert "GET /users/42 404" in screen
    assert "POST /orders 500" in screen
    assert 'GET /?[31m"=cmd|? 200' in screen
    assert "… 503" in screen
    small = screen_text(ROUTES, tabs.partition(" Slow")[0].rpartition(" ")[2])
    assert "POST /orders 500" in small


def test_v_shows_the_clients_with_errors_and_comes_back() -> None:
    key = pane_key(ROUTES)
    screen = screen_text(ROUTES, key, "v", size=(120, 30))
    assert "2 clients with errors" in screen
    rows = {line.split()[0]: line.split() for line in screen.splitlines() if line.strip()[:3] in ("127", "10.")}
    assert rows["127.0.0.2"][-2:] == ["300", "45"]
    assert rows["10.9.9.9"][-2:] == ["21", "0"]
    assert "GET /users/:id" in screen_text(ROUTES, key, "v", "v", size=(120, 30))
    calm = with_routes(builders.live(), empty=True)
    assert "0 clients with errors" in screen_text(calm, pane_key(calm), "v")


def test_no_request_and_what_else_there_was_is_said() -> None:
    nothing = with_routes(builders.live(), empty=True)
    assert "no HTTP/1 request in this window" in screen_text(nothing, pane_key(nothing))
    other = with_routes(builders.live(), unseen=50, empty=True)
    screen = screen_text(other, pane_key(other))
    assert "50 reads or responses that are no HTTP/1: TLS, HTTP/2 or another protocol?" in " ".join(screen.split())


def test_the_help_says_what_is_not_seen() -> None:
    screen = screen_text(ROUTES, pane_key(ROUTES), "question_mark", size=(100, 70))
    assert "Not seen: TLS, HTTP/2 and 3" in " ".join(screen.replace("│", " ").split())
