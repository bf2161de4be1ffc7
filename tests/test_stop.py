"""Ctrl+c at any moment."""

from __future__ import annotations

import signal
import sys
import threading
import time
from types import FrameType

import pytest

from bpftop.cli.stop import Stop, ctrl_c


@pytest.mark.timeout(20)
@pytest.mark.parametrize("at", range(1, 30))
def test_a_signal_in_the_middle_of_the_wait_does_not_hang(at: int) -> None:
    """At every step of it, each of which Python may run a handler at; an event's own lock would be held at some."""
    steps = 0

    def interrupt(_frame: FrameType, _event: str, _arg: object) -> None:
        nonlocal steps
        steps += 1
        if steps == at:
            signal.raise_signal(signal.SIGINT)

    with ctrl_c() as stop:
        sys.setprofile(interrupt)
        try:
            for _ in range(10):
                if stop.wait(0.001):
                    break
        finally:
            sys.setprofile(None)
        assert stop.is_set()


def test_the_wait_ends_with_the_time_or_the_word() -> None:
    stop = Stop()
    assert not stop.wait(0.01)
    begun = time.monotonic()
    threading.Timer(0.05, stop.set).start()
    assert stop.wait(60)
    assert time.monotonic() - begun < 50
    assert stop.wait(60)


def test_the_second_one_ends_the_program_and_what_follows_at_once_is_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bpftop.cli.stop.TWICE_S", 3600.0)
    before = signal.getsignal(signal.SIGINT)
    with ctrl_c() as stop:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()
        monkeypatch.setattr("bpftop.cli.stop.TWICE_S", 0.0)
        time.sleep(0.001)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
