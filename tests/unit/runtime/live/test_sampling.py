"""Which conversations are in the sample, and how much of one a scorer gets."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from shipway_runtime.context import Context
from shipway_runtime.contract import TEXT_LIMIT
from shipway_runtime.dialogue import Dialogue, Past, ToolCall, ToolResult
from shipway_runtime.live.sample import Notes, Sample, decode
from shipway_runtime.live.sampling import Sampling, chosen
from shipway_runtime.turn import Ask

NAMES = [f"conversation-{number}" for number in range(5000)]


def context(conversation: str = "c") -> Context:
    return Context(conversation, 2, "acme", None, {"tone": "dry"}, {}, None, Path(), {})


def notes(*past: str, new: str = "?", answer: str = "!") -> Notes:
    turns = tuple(Past([{"role": "user", "content": text}]) for text in past)
    made = Notes(Dialogue([{"role": "user", "content": new}], turns), context())
    made.answer = answer
    return made


def test_the_share_is_what_was_asked_for():
    for share in (0.05, 0.2, 0.5):
        count = sum(chosen(name, share) for name in NAMES)
        assert abs(count - share * len(NAMES)) < 5 * (share * (1 - share) * len(NAMES)) ** 0.5


def test_all_and_none():
    assert all(chosen(name, 1.0) for name in NAMES)
    assert not any(chosen(name, 0.0) for name in NAMES)


def test_a_larger_sample_holds_the_smaller_one():
    assert {n for n in NAMES if chosen(n, 0.1)} < {n for n in NAMES if chosen(n, 0.3)}


def test_it_is_the_same_in_every_replica_and_release():
    assert [number for number in range(40) if chosen(f"conversation-{number}", 0.1)] == [2, 6, 12, 15]


def test_who_said_no_is_not_in_it():
    dialogue = Dialogue([{"role": "user", "content": "?"}])
    assert Sampling(1.0).begin(Ask([], store=True), dialogue, context())
    assert Sampling(1.0).begin(Ask([], store=False), dialogue, context()) is None


@given(st.lists(st.text()), st.text(), st.text())
def test_a_sample_comes_over_as_it_was(past, new, answer):
    made = notes(*past, new=new, answer=answer)
    made.note(ToolCall("1", "look", "{}", "eyes"))
    made.note(ToolResult("1", answer, error=True))
    made.note(ToolCall("2", "look", "{}"))
    sample = made.sample(str)
    import json

    assert decode(json.loads(sample.encode())) == sample
    assert [message["content"] for message in sample.messages] == [*past, new]
    assert [call.output for call in sample.tool_calls] == [answer, None]


def test_what_is_too_long_loses_its_beginning():
    sample = notes("a" * TEXT_LIMIT, "b" * TEXT_LIMIT, new="c", answer="d").sample(str)
    assert sample.left_out == 1
    assert sample.answer == "d"
    assert sample.messages[-1]["content"] == "c"
    kept = sample.messages[0]["content"]
    assert kept == "b" * (TEXT_LIMIT - 2) + "… (2 more characters)"


def test_a_question_is_there_however_long_the_answer():
    sample = notes("before", new="question", answer="a" * 2 * TEXT_LIMIT).sample(str)
    assert [message["content"] for message in sample.messages] == ["… (8 more characters)"]
    assert sample.left_out == 1


def test_nothing_is_cut_before_it_is_redacted():
    secret = "hunter22"
    text = "a" * (TEXT_LIMIT - 4) + secret
    sample = notes(new="?", answer=text).sample(lambda t: t.replace(secret, "[redacted]"))
    assert "hunt" not in sample.answer


def test_the_sample_is_the_documented_one():
    page = Path("docs/reference/live-scores.md").read_text()
    for name in Sample.__slots__:
        assert f"`{name}`" in page or f"turn.{name}" in page, name
