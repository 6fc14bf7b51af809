from __future__ import annotations

import pytest

from shipway_runtime.health import traffic
from shipway_runtime.health.faults import Fault
from shipway_runtime.health.traffic import Traffic

DOWN = Fault("HTTP 529 (OverloadedError)")


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(traffic, "time", clock)
    return clock


def failed(clock, times, every_s=5):
    seen = Traffic()
    for _ in range(times):
        clock.now += every_s
        seen.failed(DOWN)
    return seen


def test_three_turns_in_a_row_are_evidence(clock):
    assert failed(clock, 2).problem() is None
    assert failed(clock, 3).problem() == (
        "3 turns in a row got no answer from it; the last one: HTTP 529 (OverloadedError)"
    )


def test_one_client_that_comes_back_at_once_is_none(clock):
    seen = failed(clock, 3, every_s=1)
    assert seen.problem() is None
    clock.now += 5
    seen.failed(DOWN)
    assert seen.problem()


def test_a_turn_that_succeeds_takes_it_away(clock):
    seen = failed(clock, 5)
    seen.succeeded()
    assert seen.problem() is None
    for _ in range(3):
        seen.failed(DOWN)
    assert seen.problem() is None, "it begins anew"


def test_evidence_lapses_and_the_next_failure_is_enough_for_twice_as_long(clock):
    seen = failed(clock, 3)
    clock.now += 31
    assert seen.problem() is None
    assert seen.problem() is None
    seen.failed(DOWN)
    clock.now += 59
    assert seen.problem()
    clock.now += 2
    assert seen.problem() is None


def test_however_often_it_lapses_there_is_a_longest_while(clock):
    seen = failed(clock, 3)
    for _ in range(20):
        clock.now += 301
        assert seen.problem() is None
        seen.failed(DOWN)
        assert seen.problem()


def test_what_is_certain_needs_no_second_one_and_no_turn_takes_it_away(clock):
    seen = Traffic()
    seen.failed(Fault('10.0.0.1 replays a model, and this is "prod"', certain=True))
    seen.succeeded()
    assert seen.problem() == '10.0.0.1 replays a model, and this is "prod"'
    clock.now += 31
    assert seen.problem() is None, "it may have been mended, and nobody would see"
    seen.note(None)
    seen.note(DOWN)
    assert seen.problem() is None
