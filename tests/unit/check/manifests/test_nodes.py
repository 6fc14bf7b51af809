"""YAML as people write and break it: lines, merges, aliases, and anything that is no YAML."""

from __future__ import annotations

import pytest

from shipway.check.manifests.nodes import Unreadable, read_documents


def test_every_value_knows_the_line_of_its_key() -> None:
    (node,) = read_documents("a:\n  b:\n    - c: 1\n    - d: 2\n\ne: |\n  text\n  more\nf: end\n")
    assert (node.line, node["a"].line, node.at("a", "b").line) == (1, 1, 2)
    assert [item.line for item in node.at("a", "b").items] == [3, 4]
    assert (node["e"].line, node["e"].last, node["e"].text) == (6, 8, "text\nmore\n")
    assert node["a"].last <= 5


def test_what_is_not_there_is_a_node_that_holds_nothing() -> None:
    (node,) = read_documents("a: 1\nempty:\n")
    missing = node.at("x", "y", "z")
    assert (missing.is_set, missing.text, missing.items, missing.number, missing.truth) == (
        False,
        "",
        (),
        None,
        None,
    )
    assert "empty" in node
    assert not node["empty"].is_set


def test_documents_lists_and_json() -> None:
    first, second = read_documents("---\na: 1\n---\n# nothing\n---\nb: [1, 2]\n")
    assert (first["a"].number, second["b"].words) == (1, ("1", "2"))
    (tabs,) = read_documents('{\n\t"a": {"b": true}\n}')
    assert tabs.at("a", "b").truth is True


def test_merge_keys_give_what_is_not_written() -> None:
    text = "x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz:\n  <<: [*x, *y]\n  a: 9\n"
    (node,) = read_documents(text)
    assert {name: value.text for name, value in node["z"].pairs.items()} == {"a": "9", "b": "2", "c": "4"}


def test_aliases_are_shared_and_so_do_not_explode() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    (node,) = read_documents("\n".join(lines))
    assert sum(1 for _ in node.walk()) < 200


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "did not find"),
        ("a: b: c", "mapping values are not allowed"),
        ("&a [*a]", "a part of itself"),
        ("<<: *nobody", "undefined alias"),
        ("[" * 500 + "]" * 500, "nested too deep"),
        ("[" * 50_000, "nesting"),
        ("\x00", "control characters"),
    ],
)
def test_what_is_no_yaml_is_said_in_one_sentence(text: str, message: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_documents(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
