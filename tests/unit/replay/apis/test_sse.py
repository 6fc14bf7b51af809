from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.replay.apis.cutting import cut, cuts, ends

from shipway.replay.apis import sse
from shipway.replay.apis.provider import ConversionError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(VALUES, max_size=5), cuts, ends)
def test_values_survive_any_chunks_and_line_ends(values: list[Any], places: list[int], end: str) -> None:
    frames = sse.paced(sse.frame(value, "x") for value in values)
    assert list(sse.values(cut(frames, places, end))) == values


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        ("data: a\n\n", [("", "a")]),
        ("\ufeffdata: a\n\n", [("", "a")]),
        (": a comment\n\ndata: a\n: another\n\n", [("", "a")]),
        ("event: e\ndata: a\ndata: b\nid: 1\nretry: 3\n\n", [("e", "a\nb")]),
        ("data:a\n\ndata:  b\n\n", [("", "a"), ("", " b")]),
        ("data\n\n", [("", "")]),
        ("event: e\n\ndata: a\n\n", [("", "a")]),
        ("data: a\r\rdata: b\r\n\r\n", [("", "a"), ("", "b")]),
        ("data: a\u2028b\x85c\n\n", [("", "a\u2028b\x85c")]),
        ("data: a\n\ndata: unfinished\n", [("", "a")]),
        ("", []),
    ],
)
def test_events_are_read_as_the_standard_says(stream: str, expected: list[tuple[str, str]]) -> None:
    assert [(event.name, event.data) for event in sse.parse([(0, stream)])] == expected
    by_character = [(0.0, character) for character in stream]
    assert [(event.name, event.data) for event in sse.parse(by_character)] == expected


def test_an_event_came_when_its_last_line_did() -> None:
    chunks = [(10.0, "data: 1\n"), (20.0, "\ndata: 2"), (30.0, "\n\n"), (40.0, "data: 3\n\n")]
    assert [(event.offset_ms, event.data) for event in sse.parse(chunks)] == [(20, "1"), (30, "2"), (40, "3")]


def test_an_event_that_is_no_json_is_named() -> None:
    with pytest.raises(ConversionError, match=r"no JSON: \{oops"):
        list(sse.values([(0, "data: {oops\n\n")]))


@given(st.text())
def test_pieces_are_the_text(text: str) -> None:
    assert "".join(sse.pieces(text)) == text
    written = json.dumps(text)
    assert "".join(sse.portions(written)) == written
