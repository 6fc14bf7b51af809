from __future__ import annotations

import json
from typing import Any

import pytest

from shipway.errors import Finding
from shipway.replay import exchange
from shipway.replay.exchange import Exchange, Request, Response
from shipway_runtime import contract

GOOD: dict[str, Any] = {
    "request": {"method": "POST", "path": "/v1/messages", "body": {"model": "m"}},
    "response": {"status": 200, "headers": {"request-id": "req_1"}, "events": [[0, "a"], [12.5, "b"]]},
    "meta": {"recorded": "2026-11-20"},
}


def test_reads_what_the_format_says() -> None:
    assert exchange.read(json.dumps(GOOD), "a.json") == Exchange(
        Request("POST", "/v1/messages", {"model": "m"}),
        Response(200, {"request-id": "req_1"}, None, ((0.0, "a"), (12.5, "b"))),
        {"recorded": "2026-11-20"},
    )


def test_written_by_the_contract_it_reads_back() -> None:
    value = exchange.read(json.dumps(GOOD), "a.json")
    assert exchange.read(contract.encode(value), "a.json") == value


def test_broken_json_has_its_line() -> None:
    finding = exchange.read('{\n "request": }', "a.json")
    assert isinstance(finding, Finding)
    assert (finding.file, finding.line) == ("a.json", 2)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"request": {"method": "POST"}}, "'path' is missing"),
        ({"extra": 1}, "extra: not a key"),
        ({"format": 99}, "format 99 is newer"),
        ({"response": {"status": 200}}, "either `body` or `events`"),
        ({"response": {"body": {}, "events": []}}, "either `body` or `events`"),
        ({"response": {"status": 20, "body": {}}}, "an HTTP status, saw 20"),
        ({"response": {"events": [[5, "a"], [4, "b"]]}}, "never go back"),
        ({"response": {"events": [["5", "a"]]}}, "response.events[0][0]"),
        ({"request": {"method": "POST", "path": "/v1/messages?beta=true"}}, "without query"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], expected: str) -> None:
    finding = exchange.read(json.dumps(GOOD | change), "a.json")
    assert isinstance(finding, Finding)
    assert expected in finding.message
    assert finding.fix
