"""Routes: ids in paths are folded, counts of one route are one row, and nothing hostile gets through."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpftop import wire
from bpftop.stats import routes as routes_module
from bpftop.stats.routes import Routes, first_line, is_line, route_code, route_of
from bpftop.text import safe

FOLDED = {
    "/": "/",
    "/users/42": "/users/:id",
    "/users/42/": "/users/:id/",
    "/users/42/posts/7": "/users/:id/posts/:id",
    "/u/550e8400-e29b-41d4-a716-446655440000": "/u/:id",
    "/u/550E8400E29B41D4A716446655440000/x": "/u/:id/x",
    "/o/user_550e8400-e29b-41d4-a716-446655440000": "/o/user_:id",
    "/obj/507f1f77bcf86cd799439011": "/obj/:id",
    "/commit/3f2a91bc": "/commit/:id",
    "/watch/dQw4w9WgXcQ": "/watch/:id",
    "/ulid/01ARZ3NDEKTSV4RRFFQ69G5FAV": "/ulid/:id",
    "/cuid/cjld2cjxh0000qzrmn831i7rn": "/cuid/:id",
    "/s/aGVsbG8gd29ybGQgZm9v": "/s/:id",
    "/s/qKXjRtYPlmNbvCZaWdQe": "/s/:id",
    "/jwt/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjft": "/jwt/:id",
    "/mail/bob@example.com": "/mail/:id",
    "/mail/bob%40example.com": "/mail/:id",
    "/host/10.1.2.3": "/host/:id",
    "/archive/2024-05-01/notes": "/archive/:id/notes",
    "/img/123456.jpg": "/img/:id.jpg",
    "/static/main.3f2a91bc.js": "/static/main.:id.js",
    "/order-55123": "/order-:id",
}
KEPT = (
    "/api/v2/users",
    "/wp-json/wp/v2/posts",
    "/jquery-3.6.0.min.js",
    "/static/bootstrap.bundle.min.js",
    "/getUserByIdV2",
    "/OAuth2Callback",
    "/UpdateS3Bucket",
    "/package.Service/GetUserByNameAndEmail",
    "/how-to-install-bpftrace-on-debian-12-and-ubuntu-24-04",
    "/top-10-tips-for-2024",
    "/top_10_tips_for_beginners",
    "/index.html",
    "/favicon.ico",
    "/decade/facade/defaced",
    "/.well-known/acme-challenge/",
    "/@types/node",
    "/a//b",
)


@pytest.mark.parametrize(("path", "route"), FOLDED.items())
def test_ids_are_folded(path: str, route: str) -> None:
    assert route_of(f"GET {path}") == f"GET {route}"


@pytest.mark.parametrize("path", KEPT)
def test_what_people_name_is_kept(path: str) -> None:
    assert route_of(f"POST {path}") == f"POST {path}"


def test_methods_are_apart_and_other_targets_untouched() -> None:
    assert route_of("OPTIONS *") == "OPTIONS *"
    assert route_of("CONNECT host1234567:443") == "CONNECT host1234567:443"
    assert route_of("GET …") == "GET …"


def test_a_cut_path_loses_the_half_of_an_id() -> None:
    assert route_of("GET /files/8f3e2a1b-12…") == "GET /files/…"
    assert route_of("GET /files/12/a-very-long-na…") == "GET /files/:id/a-very-long-na…"


@given(st.text(st.characters(codec="utf-8"), max_size=80))
def test_folding_takes_anything_and_is_stable(text: str) -> None:
    once = route_of(text)
    assert route_of(once) == once
    assert once.count("/") == text.count("/")


def words_of(text: bytes) -> tuple[int, ...]:
    """As the kernel reads them."""
    padded = text[:64].ljust(64, b"\0")
    return tuple(int.from_bytes(padded[i : i + 8], sys.byteorder) for i in range(0, 64, 8))


def test_lines_of_the_kernel() -> None:
    assert first_line(words_of(b"GET /users/42")) == "GET /users/42"
    assert first_line(words_of(b"GET")) == "GET …"
    assert first_line(words_of(b"GET /" + b"a" * 58)) == "GET /" + "a" * 58
    assert first_line(words_of(b"GET /" + b"a" * 80)) == "GET /" + "a" * 59 + "…"
    assert first_line(words_of(b"GET /" + b"a" * 58 + "é".encode())) == "GET /" + "a" * 58 + "…"


@given(st.binary(max_size=80))
def test_no_byte_of_a_path_can_steer_a_terminal(path: bytes) -> None:
    line = first_line(words_of(b"GET /" + path))
    assert safe(line) == line
    assert safe(route_of(line)) == route_of(line)


def test_bytes_that_are_no_text_are_question_marks() -> None:
    assert first_line(words_of(b"GET /\xff\x1b[2J\xe2\x80\xae")) == "GET /??[2J?"


def test_peers_are_no_lines() -> None:
    assert is_line(words_of(b"GET /"))
    assert not is_line((10, 1 << 63, 5, 443, 0, 0, 0, 0))
    assert not is_line((1, *words_of(b"/run/php.sock")[:7]))


def keys_of(*entries: tuple[int, int, int]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """(code, measure, bucket) each."""
    return np.array([wire.clients_key(*entry) for entry in entries], np.uint64)


def test_counts_of_one_route_get_one_code_and_other_measures_keep_theirs() -> None:
    routes = Routes()
    routes.learn({1 << 47 | 1: words_of(b"GET /u/1"), 1 << 47 | 2: words_of(b"GET /u/2"), 7: words_of(b"GET /about")})
    keys = keys_of((1 << 47 | 1, 3, 5), (1 << 47 | 2, 3, 9), (7, 3, 5), (99, 3, 5), (7, 2, 5))
    folded, about = route_code("GET /u/:id"), route_code("GET /about")
    expected = keys_of((folded, 3, 5), (folded, 3, 9), (about, 3, 5), (wire.OTHERS, 3, 5), (7, 2, 5))
    assert routes.grouped(keys, frozenset({3})).tolist() == expected.tolist()
    assert routes.name(folded) == "GET /u/:id"
    assert routes.line(1 << 47 | 2) == "GET /u/2"
    assert routes.line(99) == ""
    untouched = routes.grouped(keys, frozenset())
    assert untouched is keys


def test_a_flood_of_lines_and_routes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes_module, "LINES", 50)
    monkeypatch.setattr(routes_module, "ROUTES", 20)
    routes = Routes()
    names = ["page" + "abcdefghij"[i // 10] + "abcdefghij"[i % 10] for i in range(100)]
    routes.learn({i + 1: words_of(f"GET /{name}".encode()) for i, name in enumerate(names)})
    assert routes.full()
    kept = routes.grouped(keys_of((1, 1, 0), (60, 1, 0), (100, 1, 0)), frozenset({1})).tolist()
    # The first line is forgotten; the last is known, but there was no room for its route.
    assert kept == keys_of((wire.OTHERS, 1, 0), (wire.OTHERS, 1, 0), (wire.OTHERS, 1, 0)).tolist()
    routes.forget([route_code("GET /pageaa")])
    assert not routes.full()
    routes.learn({100: words_of(b"GET /pagejj"), 1: words_of(b"GET /pageaa")})
    found = routes.grouped(keys_of((1, 1, 0), (100, 1, 0)), frozenset({1})).tolist()
    assert found == keys_of((route_code("GET /pageaa"), 1, 0), (route_code("GET /pagejj"), 1, 0)).tolist()


def test_ids_do_not_fill_the_room_for_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes_module, "ROUTES", 3)
    routes = Routes()
    routes.learn({i + 1: words_of(f"GET /users/{i}".encode()) for i in range(1000)})
    assert not routes.full()
    keys = keys_of(*((i + 1, 1, 0) for i in range(1000)))
    assert len(set(routes.grouped(keys, frozenset({1})).tolist())) == 1
