"""The configuration file: whose it must be, what it may say, and what it changes."""

from __future__ import annotations

import asyncio
import ipaddress
import os
from pathlib import Path

import pytest
from textual.binding import Binding

from bpftop.cli.config import _READERS
from bpftop.cli.parser import parse
from bpftop.errors import UsageError
from bpftop.ui.app import BpftopApp
from bpftop.ui.keys import keymap
from bpftop.ui.options import UiOptions
from bpftop.ui.panes.drill import Drill
from bpftop.ui.panes.lists import ListPane
from bpftop.ui.panes.registry import FIRST
from bpftop.ui.panes.script import ScriptPane
from bpftop.ui.screen import MainScreen
from tests.ui.builders import FakeSession, live
from tests.ui.driving import text_of

DOCS = Path(__file__).parent.parent / "docs/config.md"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The caller's own file, not written yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("SUDO_UID", raising=False)
    (tmp_path / "bpftop").mkdir()
    return tmp_path / "bpftop/config.toml"


def test_without_a_file_everything_is_as_documented(config: Path) -> None:
    options = parse(["watch", "nginx"])
    assert (options.window, options.theme, options.also, options.exclude, options.keys) == ("1min", None, (), (), {})


def test_the_file_sets_defaults_and_words_win(config: Path) -> None:
    config.write_text(
        'theme = "nord"\nwindow = "5min"\nrefresh = 2\nwith = ["tcp"]\nexclude = ["10.0.0.5", "2001:db8::/64"]\n'
        'save = "/var/tmp"\nmouse = false\n[keys]\nquit = "ctrl+x"\n'
    )
    options = parse(["watch", "nginx"])
    assert (options.theme, options.window, options.refresh, options.also) == ("nord", "5min", 2.0, ("tcp",))
    assert options.exclude == (ipaddress.ip_network("10.0.0.5"), ipaddress.ip_network("2001:db8::/64"))
    assert (options.save, options.no_mouse, options.keys) == (Path("/var/tmp"), True, {"quit": "ctrl+x"})
    options = parse(["watch", "nginx", "--theme", "gruvbox", "--window", "all", "--exclude", "10.1.0.0/16"])
    assert (options.theme, options.window) == ("gruvbox", "all")
    assert options.exclude == (ipaddress.ip_network("10.1.0.0/16"),)
    assert not hasattr(parse(["scripts"]), "theme")


def test_another_file_by_name(config: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text('window = "10s"\n')
    assert parse(["demo", "--config", str(other)]).window == "10s"
    assert parse(["demo", f"--config={other}"]).window == "10s"
    with pytest.raises(UsageError, match="cannot be read"):
        parse(["demo", "--config", str(tmp_path / "missing")])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("window = ", "is not TOML"),
        ('windw = "1min"', "did you mean window?"),
        ('window = "2min"', "one of 10s, 1min, 5min, all"),
        ('refresh = "often"', "not a length of time"),
        ("refresh = 0.01", "0.1 to 60 s"),
        ('refresh = "1h"', "0.1 to 60 s"),
        ('exclude = ["10.0.0.300"]', "does not appear to be"),
        ('exclude = "10.0.0.1"', "a list of addresses"),
        ('mouse = "no"', "true or false"),
        ('with = "tcp"', "a list of scripts"),
        ("[keys]\nquit = 3", "keys are wanted"),
        ("theme = 3", "a word in quotes"),
        (b"\xff\xfe", "not UTF-8"),
        ("#" * 70_000, "64 KiB"),
    ],
)
def test_what_is_wrong_is_said_with_the_file(config: Path, text: str | bytes, said: str) -> None:
    config.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError, match=said) as caught:
        parse(["watch", "nginx"])
    assert str(config) in caught.value.message


def test_a_file_that_others_can_write_is_not_read(config: Path) -> None:
    config.write_text('theme = "nord"\n')
    config.chmod(0o666)
    with pytest.raises(UsageError, match="nobody else may write it"):
        parse(["watch", "nginx"])
    config.unlink()
    os.mkfifo(config)
    with pytest.raises(UsageError, match="is no file"):
        parse(["watch", "nginx"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as if behind sudo")
def test_under_sudo_it_is_the_file_of_the_person_and_must_be_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_UID", "65534")
    entry = {"pw_name": "nobody", "pw_dir": str(tmp_path), "pw_gid": 65534}
    monkeypatch.setattr("pwd.getpwuid", lambda uid: type("Entry", (), {**entry, "pw_uid": uid}))
    file = tmp_path / ".config/bpftop/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('theme = "nord"\n')
    with pytest.raises(UsageError, match="must belong to you"):
        parse(["watch", "nginx"])
    os.chown(file, 65534, 65534)
    assert parse(["watch", "nginx"]).theme == "nord"
    file.unlink()
    file.symlink_to("/etc/shadow")
    with pytest.raises(UsageError, match="must belong to you"):
        parse(["watch", "nginx"])


def test_an_action_gets_another_key_in_the_footer_too() -> None:
    app = BpftopApp(
        FakeSession(live()),
        save=lambda _: "saved",
        options=UiOptions(refresh_s=60.0, keys={"quit": "ctrl+x", "pause": "z"}),
    )

    async def go() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("z")
            await pilot.pause()
            assert " PAUSED " in text_of(app)
            assert "z Pause" in text_of(app)
            await pilot.press("q")
            await pilot.pause()
            assert app.return_code is None
            await pilot.press("ctrl+x")

    asyncio.run(go())
    assert app.return_code == 0


def test_a_wrong_name_and_one_key_for_two_are_refused() -> None:
    with pytest.raises(UsageError, match="did you mean quit"):
        keymap({"quitt": "x"})
    with pytest.raises(UsageError, match="cannot both have the key X"):
        keymap({"quit": "X", "pause": "X"})


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"quit": "Strg+x"}, r"Strg\+x is no key to give to quit"),
        ({"quit": "f99"}, "f99 is no key"),
        ({"quit": "esc"}, "esc is no key"),
        ({"quit": "X,"}, "nothing is no key"),
        ({"pause": "q"}, "pause and quit cannot both have the key q"),
        ({"pause": "["}, r"pause and second-earlier cannot both have the key \["),
    ],
)
def test_what_is_no_key_or_has_another_action_is_refused_with_the_file_to_edit(keys: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        keymap(keys, "/home/me/config.toml")
    assert caught.value.hint == "${EDITOR:-vi} /home/me/config.toml"


def test_keys_have_the_names_that_textual_has_or_are_written_as_they_are() -> None:
    for keys in ({"quit": "X"}, {"pause": "space"}, {"quit": "shift+f5"}, {"pause": "q", "quit": "ctrl+plus, Q"}):
        assert keymap(keys) == keys
    assert keymap({"hottest-slow": "z", "next-tab": "Z"}), "one file for both kinds of screens"


def test_each_action_of_a_pane_has_a_name_of_its_own() -> None:
    for kind in (MainScreen, *FIRST, ListPane, ScriptPane, Drill):
        actions: dict[str | None, set[str]] = {}
        for each in kind.__dict__["BINDINGS"]:
            assert isinstance(each, Binding)
            actions.setdefault(each.id, set()).add(each.action.removeprefix("screen.un"))
        assert [name for name, found in actions.items() if len(found) > 1 and name != "back"] == [], kind


def test_the_page_names_every_setting() -> None:
    page = DOCS.read_text()
    assert [name for name in _READERS if f"`{name}`" not in page] == []
