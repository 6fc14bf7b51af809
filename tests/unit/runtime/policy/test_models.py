"""Which model a turn gets, and what it costs."""

from __future__ import annotations

import pytest

from shipway_runtime.contract import Kill, Model, Policy, Price
from shipway_runtime.dialogue import Usage
from shipway_runtime.policy.merge import meet
from shipway_runtime.policy.models import choose
from shipway_runtime.policy.prices import cost_of
from shipway_runtime.telemetry.tally import Tally

MODEL = Model(
    "openai",
    "big",
    fallbacks=("small", "tiny"),
    prices={"big": Price(10.0, 20.0), "small": Price(1.0, 2.0), "small-fast": Price(3.0, 4.0)},
)


@pytest.mark.parametrize(
    ("switch", "killed", "name", "fallbacks"),
    [
        (None, (), "big", ("small", "tiny")),
        ("small", (), "small", ("tiny",)),
        ("unheard of", (), "big", ("small", "tiny")),
        (None, ("big",), "small", ("tiny",)),
        (None, ("small",), "big", ("tiny",)),
        ("small", ("small",), "tiny", ()),
    ],
)
def test_the_name_that_holds(switch, killed, name, fallbacks):
    chosen = choose(MODEL, meet(Policy(kill=Kill(models=killed), model=switch)))
    assert (chosen.name, chosen.fallbacks) == (name, fallbacks)


@pytest.mark.parametrize(
    ("switch", "killed"), [(None, ("big", "small", "tiny")), ("small", ("small", "tiny"))]
)
def test_no_candidate_is_left(switch, killed):
    assert choose(MODEL, meet(Policy(kill=Kill(models=killed), model=switch))) is None


def test_the_model_itself_where_nothing_holds():
    assert choose(MODEL, meet(Policy())) is MODEL


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (Usage(1_000_000, 0), 10.0),
        (Usage(0, 500_000, cached=7, model="big-20260501"), 10.0),
        (Usage(1_000_000, 0, model="small"), 1.0),
        (Usage(1_000_000, 0, model="small-fast-latest"), 3.0),
        (Usage(1_000_000, 0, model="never heard of"), 10.0),
    ],
)
def test_what_a_turn_costs(usage, cost):
    tally = Tally()
    tally.use(usage)
    assert cost_of(tally, MODEL) == cost


def test_no_cost_without_usage_or_prices():
    tally = Tally()
    assert cost_of(tally, MODEL) is None
    tally.use(Usage(1, 1))
    assert cost_of(tally, Model("openai", "big")) is None
    assert cost_of(tally, None) is None
