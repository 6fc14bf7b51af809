"""The contract: what is written is read back equal, and what is wrong is named."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway_runtime import contract

MANIFEST = contract.Manifest(
    name="a",
    entrypoint="a:b",
    settings=contract.Settings(
        model=contract.Model("anthropic", "m", ("n",), 10, 2.5),
        config={"greeting": "short", "list": [1, 2]},
        secrets={"K": contract.Secret("broker", contract.Broker("https://t.example.com", "id"))},
        limits=contract.Limits(requests=(60, 60), spend_usd=(20.0, 86400)),
    ),
    mcp=(contract.McpServer("time", "inside", ("/x",), tools=contract.ToolFilter(deny=("d",))),),
)


def test_a_manifest_is_read_back_equal() -> None:
    assert contract.decode(contract.Manifest, contract.encode(MANIFEST), "x") == MANIFEST


@given(st.builds(contract.Policy))
def test_any_policy_is_read_back_equal(policy: contract.Policy) -> None:
    assert contract.decode(contract.Policy, contract.encode(policy), "x") == policy


@given(st.builds(contract.Outcome, latency_s=st.floats(0, 1e6), first_token_s=st.none(), cost=st.none()))
def test_an_outcome_is_one_json_object(outcome: contract.Outcome) -> None:
    assert json.loads(contract.encode(outcome))["status"] == outcome.status


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "x: not JSON"),
        ("[]", "x: document: expected an object, saw []"),
        ('{"name": "a"}', "x: document: 'entrypoint' is missing"),
        ('{"name": 1, "entrypoint": "a:b"}', "x: name: expected str, saw 1"),
        ('{"name": "a", "entrypoint": "a:b", "nam": 1}', "x: nam: not a key of this format"),
        ('{"format": 2}', "format 2 is newer"),
        (
            '{"name": "a", "entrypoint": "b", "mcp": [{"name": "t", "shape": "x"}]}',
            "mcp[0].shape: expected one",
        ),
        ('{"name": "a", "entrypoint": "b", "mcp": {}}', "mcp: expected a list"),
        (
            '{"name": "a", "entrypoint": "b", "settings": {"limits": {"requests": [1]}}}',
            "settings.limits.requests: expected a list of 2",
        ),
        (
            '{"name": "a", "entrypoint": "b", "settings": {"api": {"body_limit": true}}}',
            "expected int, saw true",
        ),
    ],
)
def test_what_is_wrong_is_named(document: str, message: str) -> None:
    with pytest.raises(contract.ContractError) as caught:
        contract.decode(contract.Manifest, document, "x")
    assert message in str(caught.value)


def test_response_ids_carry_the_conversation() -> None:
    assert contract.parse_response_id(contract.response_id("c-1", 7)) == ("c-1", 7)
    assert contract.parse_response_id("resp_x") is None


def test_names_of_variables() -> None:
    assert contract.env.mcp_url("my-time") == "SHIPWAY_MCP_MY_TIME_URL"
