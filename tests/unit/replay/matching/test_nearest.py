from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shipway.replay.matching import nearest, sketch
from shipway.replay.matching.nearest import Near
from shipway.replay.matching.wording import causes, lines

TOOLS = [{"name": name, "description": f"What {name} does"} for name in ("add", "log", "show")]


def body(*texts: str, **changes: Any) -> dict[str, Any]:
    messages = [
        {"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(texts)
    ]
    return {"model": "m", "system": "Be brief.", "messages": messages, "tools": TOOLS} | changes


@dataclass
class Recorded:
    file: str
    body: Any
    gone: bool = False
    read: int = 0

    @property
    def sketch(self) -> sketch.Sketch:
        return sketch.make(self.body)

    def canonical(self) -> Any:
        self.read += 1
        if self.gone:
            raise LookupError(self.file)
        return self.body


def find(sent: Any, *bodies: Any) -> Near:
    near = nearest.find([Recorded(str(number), each) for number, each in enumerate(bodies)], sent)
    assert near
    return near


def told(recorded: Any, sent: Any) -> list[str]:
    return causes(find(sent, recorded), sent)


def test_the_one_with_the_most_similar_question() -> None:
    assert (
        find(body("What time is it in Paris?"), body("hello"), body("What time is it in Tokyo?")).file == "1"
    )


def test_the_same_conversation_under_another_prompt_is_nearer_than_another_conversation() -> None:
    sent = body("hello", "hi", "and now?", system="Be very brief.")
    assert find(sent, body("bye", "so long", "and when?"), body("hello", "hi", "and now?")).file == "1"


def test_among_thousands_only_a_few_are_read() -> None:
    recordings = [Recorded(str(number), body(f"question number {number} of many")) for number in range(3000)]
    near = nearest.find(recordings, body("question number 1234 of some"))
    assert near
    assert near.file == "1234"
    assert sum(recording.read for recording in recordings) < 20


def test_a_file_that_is_gone_is_not_the_nearest() -> None:
    near = nearest.find(
        [Recorded("0", body("hello"), gone=True), Recorded("1", body("bye"))], body("hello you")
    )
    assert near
    assert near.file == "1"
    assert nearest.find([], body("hello")) is None


# -- In words ------------------------------------------------------------------------------------------------


def test_the_cause_comes_first_whatever_follows_from_it() -> None:
    sent = body("hello", "hi", "again", system="Be polite.", model="n", max_tokens=5)
    assert told(body("hello"), sent) == [
        "model m was recorded, n is asked",
        "the system prompt changed",
        "max_tokens is sent, and was not recorded",
        "the request has 2 messages more than the recording",
    ]


def test_tools_by_their_names() -> None:
    changed = [
        {"name": "add", "description": "Adds"},
        {"name": "log", "description": "What log does", "input_schema": {"type": "object"}},
        {"name": "mul", "description": "new"},
    ]
    assert told(body("q"), body("q", tools=changed)) == [
        "tool add: its description changed",
        "tool log: its schema changed",
        "tool show is gone",
        "tool mul is new",
    ]


def test_tools_of_chat_completions_and_gemini() -> None:
    def chat(description: str) -> list[Any]:
        return [{"type": "function", "function": {"name": "add", "description": description}}]

    def gemini(kind: str) -> list[Any]:
        return [{"functionDeclarations": [{"name": "add", "parameters": {"type": kind}}]}]

    assert told({"tools": chat("a")}, {"tools": chat("b")}) == ["tool add: its description changed"]
    assert told({"tools": gemini("a")}, {"tools": gemini("b")}) == ["tool add: its schema changed"]


def test_who_said_what_differs() -> None:
    result = {"type": "tool_result", "tool_use_id": "<id 1>", "content": "5"}
    recorded = {"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": [result]}]}
    sent = {
        "messages": [
            {"role": "system", "content": "b"},
            {"role": "user", "content": [result | {"content": "6"}]},
        ]
    }
    assert told(recorded, sent) == ["the system prompt changed", "the result of a tool differs"]
    assert told(body("a", "b", "c"), body("a", "x", "y")) == [
        "what the model said before differs",
        "what the user says differs",
    ]


def test_a_value_is_named_and_a_long_one_is_not() -> None:
    assert told(body("q", max_tokens=5), body("q", max_tokens=6)) == [
        "max_tokens: 5 was recorded, 6 is asked"
    ]
    assert told(body("q", stop="x"), body("q", stop="y" * 80)) == ["stop differs"]


def shown(recorded: Any, sent: Any) -> list[str]:
    return lines(find(sent, recorded).differences)


def test_a_change_is_shown_where_it_is() -> None:
    assert shown(body("x" * 200 + "Tokyo"), body("x" * 200 + "Paris")) == [
        "  messages[0].content",
        f"    - …{'x' * 33}Tokyo",
        f"    + …{'x' * 33}Paris",
    ]


def test_of_a_long_text_the_lines_that_differ() -> None:
    old = [f"rule {number}" for number in range(40)]
    new = [*old[:11], "be polite", *old[12:30], "a new rule", *old[30:]]
    assert shown(body("q", system="\n".join(old)), body("q", system="\n".join(new))) == [
        "  system, line 12",
        "    - rule 11",
        "    + be polite",
        "  system, line 31",
        "    + a new rule",
    ]


def test_what_is_new_is_shown_once_and_whole() -> None:
    assert shown(body("a"), body("a", "b")) == ["  messages[1]", '    + {"content":"b","role":"assistant"}']


def test_a_number_and_its_text_are_told_apart() -> None:
    assert shown(body("q", top_k=5), body("q", top_k="5")) == ["  top_k", "    - 5", '    + "5"']


def test_many_differences_are_counted() -> None:
    assert shown({str(i): i for i in range(9)}, {})[-1] == "  … and 4 more"
    texts = ["\n".join(f"{word} {i // 2 if i % 2 else word}" for i in range(20)) for word in ("a", "b")]
    assert shown({"system": texts[0]}, {"system": texts[1]})[-1] == "    + … 16 more lines"
