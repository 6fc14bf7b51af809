from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway.errors import Finding
from shipway.replay import exchange, parts
from shipway.replay.exchange import Exchange, Request, Response

KEYS = st.sampled_from(["$part", "$$part", "part", "base64", "a"])
SMALL = st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=5)
LARGE = st.sampled_from(
    [
        "word " * 5_000,
        base64.b64encode(b"\x89PNG" + bytes(20_000)).decode(),
        "data:image/jpeg;base64," + base64.b64encode(b"\xff\xd8\xff" + bytes(20_000)).decode(),
        "A" * 20_001,  # almost base64
        "caf\udcc3 bytes that are no UTF-8",
        "\ud83d alone",
    ]
)
VALUES = st.recursive(
    SMALL | LARGE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_what_is_written_reads_back(
    tmp_path_factory: pytest.TempPathFactory, sent: Any, answered: Any
) -> None:
    directory = tmp_path_factory.mktemp("replays")
    response = Response(200, {"a": "b"}, answered) if answered is not None else Response(events=((1, "x"),))
    value = Exchange(Request("POST", "/v1/messages", sent), response, {"recorded": "now"})
    text, files = exchange.write(value)
    store(directory, files)
    assert exchange.read(text, str(directory / "below" / "a.json")) == value


def store(directory: Path, files: dict[str, bytes]) -> None:
    (directory / parts.DIRECTORY).mkdir()
    for name, content in files.items():
        (directory / parts.DIRECTORY / name).write_bytes(content)


def test_events_have_a_line_each_and_keys_their_order() -> None:
    response = Response(200, {}, events=((1, "a\n\n"), (2.5, "é")))
    text, _ = exchange.write(Exchange(Request("POST", "/x", {"b": 1, "a": 2}), response))
    assert '  "events": [\n   [1, "a\\n\\n"],\n   [2.5, "é"]\n  ]\n' in text
    assert list(json.loads(text)) == ["format", "request", "response", "meta"]
    assert list(json.loads(text)["request"]["body"]) == ["b", "a"]


def test_an_empty_answer_is_one() -> None:
    value = Exchange(Request("DELETE", "/v1/files/1"), Response(204, {}, events=()))
    assert exchange.read(exchange.write(value)[0], "a.json") == value


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"$part": "0" * 32 + ".txt"}, "is missing"),
        ({"$part": "../../etc/passwd"}, "is not a reference"),
        ({"$part": 3}, "is not a reference"),
        ({"$part": "0" * 32 + ".txt", "more": 1}, "is not a reference"),
    ],
)
def test_a_wrong_reference_is_a_finding(tmp_path: Path, reference: Any, expected: str) -> None:
    document = {"request": {"method": "GET", "path": "/", "body": reference}, "response": {"body": 1}}
    finding = exchange.read(json.dumps(document), str(tmp_path / "a.json"))
    assert isinstance(finding, Finding)
    assert expected in finding.message
    assert finding.fix


def test_a_changed_part_is_a_finding(tmp_path: Path) -> None:
    value = Exchange(Request("POST", "/x", "long text " * 2_000), Response(200, {}, 1))
    text, files = exchange.write(value)
    store(tmp_path, {name: content[:-1] for name, content in files.items()})
    finding = exchange.read(text, str(tmp_path / "a.json"))
    assert isinstance(finding, Finding)
    assert "was changed" in finding.message
