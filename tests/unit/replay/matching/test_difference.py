from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shipway.replay.matching.difference import ABSENT, Difference, compare

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=4),
    max_leaves=12,
)


@given(values, values)
def test_there_are_differences_exactly_where_values_differ(one: Any, other: Any) -> None:
    assert bool(list(compare(one, other))) == (one != other)
    assert not list(compare(one, one))


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def model(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def paths(recorded: Any, sent: Any) -> list[tuple[str, bool, bool]]:
    """The path of each difference, and whether it was recorded and sent."""
    found = compare(recorded, sent)
    return [(each.path, each.recorded is not ABSENT, each.sent is not ABSENT) for each in found]


def test_one_more_message_is_one_difference() -> None:
    recorded = {"messages": [user("a"), model("b"), user("c")]}
    sent = {"messages": [user("a"), model("new"), model("b"), user("c")]}
    assert paths(recorded, sent) == [("messages[1]", False, True)]
    assert paths(sent, recorded) == [("messages[1]", True, False)]


def test_a_changed_message_beside_a_new_one_is_compared_with_its_like() -> None:
    recorded = {"messages": [user("What time is it in Tokyo?"), model("b")]}
    sent = {"messages": [model("I was told to be brief"), user("What time is it in Paris?"), model("b")]}
    assert paths(recorded, sent) == [("messages[0]", False, True), ("messages[1].content", True, True)]


def test_tools_are_compared_by_name() -> None:
    def tools(**described: str) -> dict[str, Any]:
        return {"tools": [{"name": name, "description": text} for name, text in described.items()]}

    assert paths(tools(a="1", b="2"), tools(c="3", b="x")) == [
        ("tools[a]", True, False),
        ("tools[b].description", True, True),
        ("tools[c]", False, True),
    ]


def test_the_whole() -> None:
    assert list(compare("a", None)) == [Difference((), "a", None)]
    assert Difference(()).path == "body"


def test_long_lists_are_compared_in_bounded_time() -> None:
    recorded = {"messages": [user(str(n)) for n in range(5000)]}
    sent = {"messages": [user(str(n + 1)) for n in range(5000)]}
    assert len(paths(recorded, sent)) == 5000
