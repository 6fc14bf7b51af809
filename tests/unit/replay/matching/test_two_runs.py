"""What frameworks sent when the same agent was run twice: two questions, a tool that measures and dates."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from shipway.replay.exchange import Request
from shipway.replay.matching import anatomy
from shipway.replay.tape import key

RUNS = json.loads(Path(__file__).with_name("two_runs.json").read_text("utf-8"))
named = pytest.mark.parametrize("run", RUNS, ids=[f"{run['framework']} {run['path']}" for run in RUNS])


def keys(run: dict[str, Any], *bodies: Any) -> list[str]:
    return [key(Request("POST", run["path"], body)) for body in bodies]


@named
def test_two_runs_of_one_agent_are_the_same(run: dict[str, Any]) -> None:
    one, other = run["runs"]
    assert one != other
    assert len(set(keys(run, one, other))) == 1


@named
def test_what_the_agent_is_told_and_what_it_learns_still_counts(run: dict[str, Any]) -> None:
    one = run["runs"][0]
    changed = [copy.deepcopy(one) for _ in range(4)]
    name, items = anatomy.conversation(one) or ("", [])
    changed[1][name] = items[:-1]
    changed[2]["tools"] = []
    changed[3] = json.loads(json.dumps(one).replace("n=2", "n=3"))
    assert len(set(keys(run, *changed))) == 4
