"""Closed conversations are the same however their outcomes travelled."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.outcomes import CANARY, STABLE, outcome

from shipway.gate import IDLE_S, Conversation, Conversations
from shipway.gate.conversations import patience_s
from shipway_runtime.contract import Outcome

SECONDS = st.floats(0.0, 900.0)


@st.composite
def turns(draw: st.DrawFn) -> list[Outcome]:
    """Some conversations of some turns, with pauses of which some are too long."""
    found = []
    for number in range(draw(st.integers(1, 6))):
        start = at = 1000.0 + draw(SECONDS)
        revision = draw(st.sampled_from([STABLE, CANARY]))
        for turn in range(1, draw(st.integers(1, 5)) + 1):
            latency = draw(st.floats(0.0, 400.0))
            moved = draw(st.booleans()) and draw(st.booleans())
            found.append(
                outcome(
                    f"c{number}",
                    turn,
                    "r3" if moved else revision,
                    started=at,
                    latency_s=latency,
                    first_seen=start,
                )
            )
            at += latency + draw(SECONDS)
    return found


def at_once(outcomes: list[Outcome], idle_s: float = IDLE_S) -> list[Conversation]:
    conversations = Conversations(idle_s)
    for one in outcomes:
        conversations.add(one)
    return conversations.close_all()


def live(
    outcomes: list[Outcome], delays: random.Random, most: float, every: float, idle_s: float
) -> list[Conversation]:
    """As they would arrive, some twice, none later than `most`, with a look `every` so many seconds."""
    arrivals = [
        (one.finished + delays.uniform(0, most), one)
        for one in outcomes
        for _ in range(delays.choice((1, 2)))
    ]
    arrivals.sort(key=lambda arrival: arrival[0])
    conversations, closed, look = Conversations(idle_s), [], 0.0
    for at, one in arrivals:
        while look + every <= at:
            look = max(look + every, at - every)
            closed += conversations.close(look)
        conversations.add(one)
    return closed + conversations.close_all()


@given(turns(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(outcomes: list[Outcome], chance: random.Random) -> None:
    shuffled = [*outcomes, *chance.choices(outcomes, k=3)]
    chance.shuffle(shuffled)
    assert at_once(shuffled) == at_once(outcomes)


EVERY = st.sampled_from([1.0, 7.0, 200.0])
IDLE = st.sampled_from([IDLE_S, 1.0, 30.0, 1200.0])


@pytest.mark.slow
@given(turns(), st.randoms(use_true_random=False), EVERY, IDLE)
def test_live_is_as_afterwards(outcomes: list[Outcome], chance: random.Random, every: float, idle_s: float):
    """Whatever the idle time is: none travels longer than outcomes are waited for."""
    most = patience_s(idle_s) * 0.98
    assert live(outcomes, chance, most, every, idle_s) == at_once(outcomes, idle_s)


@given(turns())
def test_every_outcome_is_in_a_conversation_or_counted(outcomes: list[Outcome]) -> None:
    conversations = Conversations()
    for one in outcomes:
        conversations.add(one)
    closed = conversations.close_all()
    moved = sum(one.moved for one in closed)
    counted = sum(len(one.turns) for one in closed) + conversations.late + conversations.repeated
    assert counted == len(outcomes) or (moved and counted < len(outcomes))
    assert not len(conversations)


def test_it_closes_when_it_has_been_idle_and_not_before() -> None:
    conversations = Conversations(idle_s=300)
    conversations.add(outcome(started=1000.0))
    assert conversations.close(1300.0) == []
    (closed,) = conversations.close(1500.0)
    assert (closed.key, closed.start, closed.closed) == ((None, "c"), 1000.0, 1302.0)


def test_one_that_never_falls_idle_closes_when_it_is_old() -> None:
    conversations = Conversations(idle_s=300, longest_s=900)
    for turn in range(10):
        conversations.add(outcome(turn=turn, started=1000.0 + 200 * turn, first_seen=1000.0))
    (closed,) = conversations.close_all()
    assert (len(closed.turns), closed.closed, conversations.late) == (5, 1900.0, 5)


def test_the_first_turn_counts_however_long_it_takes() -> None:
    """A canary that hangs must not be left out for it."""
    (closed,) = at_once([outcome(started=1000.0, latency_s=4000.0, status="error")])
    assert [turn.status for turn in closed.turns] == ["error"]


def test_a_turn_of_an_old_conversation_makes_no_new_one() -> None:
    conversations = Conversations(longest_s=900)
    conversations.add(outcome(turn=7, started=100_000.0, first_seen=1000.0))
    assert (conversations.close_all(), conversations.late) == ([], 1)


def test_a_conversation_is_of_the_revision_that_began_it() -> None:
    begun = outcome("c", 1, CANARY, status="error", started=1000.0)
    (closed,) = at_once([outcome("c", 2, STABLE, started=1010.0, first_seen=1000.0), begun])
    assert (closed.revision, closed.turns, closed.moved) == (CANARY, (begun,), True)


def test_tenants_may_name_their_conversations_alike() -> None:
    closed = at_once([outcome("c", tenant=None), outcome("c", tenant="a"), outcome("c", tenant="b")])
    assert [one.key[0] for one in closed] == [None, "a", "b"]


def test_what_comes_late_or_twice_is_counted() -> None:
    conversations = Conversations()
    first, second = outcome(started=1000.0), outcome(turn=2, started=1010.0, first_seen=1000.0)
    assert conversations.add(first)
    assert not conversations.add(first)
    assert len(conversations.close(2000.0)) == 1
    assert not conversations.add(second)
    assert not conversations.add(outcome("other", started=1000.0))
    assert (conversations.repeated, conversations.late) == (1, 2)


def test_what_is_kept_does_not_grow_with_what_was_seen() -> None:
    conversations = Conversations()
    for number in range(20_000):
        conversations.add(outcome(f"c{number}", started=float(number)))
        conversations.close(float(number))
    kept = (conversations._open, conversations._due, conversations._closed, conversations._forget)
    assert all(len(one) < 3000 for one in kept)
