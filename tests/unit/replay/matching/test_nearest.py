from __future__ import annotations

from typing import Any

from shipway.replay.exchange import Exchange, Request, Response
from shipway.replay.matching import nearest
from shipway.replay.tape import Recording, canonical_body, key

TOOLS = [{"name": name, "description": f"What {name} does"} for name in ("add", "log", "show")]


def body(question: str, **changes: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": question}], "tools": TOOLS} | changes


def recording(file: str, content: Any, path: str = "/v1/messages") -> Recording:
    request = Request("POST", path, content)
    return Recording(file, Exchange(request, Response(body={})), canonical_body(request), key(request))


def test_the_one_with_the_most_similar_question() -> None:
    recordings = [recording("hello", body("hello")), recording("tokyo", body("What time is it in Tokyo?"))]
    found = nearest.find(recordings, "POST", "/v1/messages", body("What time is it in Paris?"))
    assert found == recordings[1]


def test_only_the_same_method_and_path() -> None:
    recordings = [recording("other", body("hello"), "/v1/messages/count_tokens")]
    assert nearest.find(recordings, "POST", "/v1/messages", body("hello")) is None


def test_a_change_is_shown_where_it_is() -> None:
    assert nearest.describe(body("x" * 200 + "Tokyo"), body("x" * 200 + "Paris")) == [
        "  messages[0].content",
        f"    - …{'x' * 24}Tokyo",
        f"    + …{'x' * 24}Paris",
    ]


def test_a_new_tool_is_one_difference_not_three() -> None:
    new = [{"name": "b", "description": "new"}]
    assert nearest.describe(body("q"), body("q", tools=sorted(TOOLS + new, key=lambda t: t["name"]))) == [
        "  tools[b].description",
        "    - (absent)",
        "    + new",
        "  tools[b].name",
        "    - (absent)",
        "    + b",
    ]


def test_many_differences_are_counted() -> None:
    lines = nearest.describe({str(i): i for i in range(9)}, {})
    assert lines[-1] == "  … and 4 more"  # the empty object itself is a difference, too
