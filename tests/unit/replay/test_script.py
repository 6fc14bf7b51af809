from __future__ import annotations

import pytest

from shipway.replay import script
from shipway.replay.apis.provider import Call, LastMessage

LOOP = """
[[reply]]
say = "I do not know."

[[reply]]
when = 'time in (\\w+/\\w+)'
say = "Let me look."
call = { tool = "now", input = { zone = "{1}", nested = ["{0}"] } }

[[reply]]
when_tool = "now"
when = '"time": "(\\d\\d:\\d\\d)'
say = "It is {1}. {not a group}"

[[reply]]
when_tool = "log"
say = "Done."
"""


def chosen(last: LastMessage) -> tuple[str, str, tuple[Call, ...]] | None:
    replies, findings = script.read(LOOP, "s.toml")
    assert not findings
    choice = script.choose(replies, last)
    return choice and (choice.place, choice.say, choice.calls)


def test_a_question_is_matched_in_any_case_and_its_groups_are_filled_in() -> None:
    call = Call("now", {"zone": "Asia/Tokyo", "nested": ["Time in Asia/Tokyo"]})
    assert chosen(LastMessage("Time in Asia/Tokyo?")) == ("s.toml:5", "Let me look.", (call,))


def test_a_result_goes_on_from_the_call() -> None:
    last = LastMessage("", {"now": '{"time": "12:30"}'})
    assert chosen(last) == ("s.toml:10", "It is 12:30. {not a group}", ())


def test_any_result_of_a_tool() -> None:
    assert chosen(LastMessage("", {"log": ""})) == ("s.toml:15", "Done.", ())


def test_the_default_comes_last_wherever_it_stands() -> None:
    assert chosen(LastMessage("hello")) == ("s.toml:2", "I do not know.", ())
    assert chosen(LastMessage("", {"other": "x"})) == ("s.toml:2", "I do not know.", ())


def test_a_question_is_not_asked_again_after_its_result() -> None:
    replies, _ = script.read('[[reply]]\nwhen = "time"\ncall = { tool = "now" }', "s.toml")
    assert script.choose(replies, LastMessage("the time", {"now": "the time"})) is None


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("[[reply]\n", 1, "not TOML"),
        ("[reply]\nsay = 'x'", 0, "expected [[reply]] and [[fault]] tables"),
        ("answer = 1", 0, "saw answer"),
        ("\n[[reply]]\nsays = 'x'", 2, "unknown key says"),
        ("[[reply]]\nsay = 1", 1, "say: expected text, saw 1"),
        ("[[reply]]\nwhen = 'x'", 1, "neither says nor calls"),
        ("[[reply]]\nwhen = '('\nsay = 'x'", 1, "not a regular expression"),
        ("[[reply]]\nwhen = 'x'\nsay = '{1}'", 1, "{1} has no group"),
        ("[[reply]]\nwhen = 'x'\ncall = { input = {} }", 1, "call: expected a tool"),
        ("[[reply]]\nwhen = 'x'\ncall = { tool = 'x', inputs = {} }", 1, "call: expected a tool"),
        ("[[reply]]\ncall = { tool = 'x' }", 1, "never ends"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, line: int, expected: str) -> None:
    replies, (finding,) = script.read(text, "s.toml")
    assert replies == []
    assert (finding.file, finding.line) == ("s.toml", line)
    assert expected in finding.message
    assert finding.fix
