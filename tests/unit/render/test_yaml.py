from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from shipway.render.yaml import MERGE, Anchor, Line, write

scalars = st.none() | st.booleans() | st.integers() | st.text()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@example([{"\x85": "a\n\u2028"}])
@given(st.lists(values, min_size=1, max_size=3))
def test_what_is_written_is_read_back(documents: list[Any]) -> None:
    assert list(yaml.safe_load_all(write(documents, "head"))) == documents


def test_it_is_written_for_people() -> None:
    shared = {"a": [1, {"b": "x"}]}
    text = write(
        [{"z": shared, "a": shared, "script": "one\ntwo\n", "empty": [], "t": ("x",)}], "By shipway\n\nx"
    )
    assert text == (
        "# By shipway\n#\n# x\n"
        "z:\n  a:\n    - 1\n    - b: x\na:\n  a:\n    - 1\n    - b: x\n"
        "script: |\n  one\n  two\nempty: []\nt:\n  - x\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "on",
        "Yes",
        "n",
        "1",
        "1.0",
        "08",
        "1e3",
        "0x10",
        "8080:8080",
        "12:30",
        "1_000",
        "2026-11-29",
        ".inf",
        "0123e4",
    ],
)
def test_text_is_text_for_every_reader(text: str) -> None:
    assert f'"{text}"' in write([{"a": text}], "")


def test_what_is_said_once_is_read_everywhere() -> None:
    often = Anchor("often", {"every": "10s"})
    probe = Anchor("probe", "one\ntwo\n")
    document = {"x-often": often, "x-probe": probe, "a": {MERGE: often, "test": Line(["CMD", probe, "80"])}}
    text = write([document], "")
    assert text == (
        "x-often: &often\n  every: 10s\nx-probe: &probe |\n  one\n  two\n"
        'a:\n  <<: *often\n  test: [CMD, *probe, "80"]\n'
    )
    assert yaml.safe_load(text)["a"] == {"every": "10s", "test": ["CMD", "one\ntwo\n", "80"]}


def test_an_anchor_that_is_used_once_is_none() -> None:
    assert write([{"a": {MERGE: Anchor("x", {"b": 1})}}], "") == "a:\n  <<:\n    b: 1\n"
