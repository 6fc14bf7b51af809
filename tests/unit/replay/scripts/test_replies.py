from __future__ import annotations

from typing import Any

from shipway.replay.apis.provider import Call, LastMessage
from shipway.replay.scripts import reading
from shipway.replay.scripts.conversation import Asked, Turn
from shipway.replay.scripts.replies import Chosen, choose

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


def chosen(text: str, *turns: LastMessage, **more: Any) -> Chosen | None:
    script, findings = reading.read(text, "s.toml")
    assert not findings
    return choose(script.replies, Asked(tuple(Turn(last) for last in turns), **more))


def place(text: str, *turns: LastMessage, **more: Any) -> str:
    choice = chosen(text, *turns, **more)
    return choice.place if choice else ""


def test_a_question_is_matched_in_any_case_and_its_groups_are_filled_in() -> None:
    call = Call("now", {"zone": "Asia/Tokyo", "nested": ["Time in Asia/Tokyo"]})
    assert chosen(LOOP, LastMessage("Time in Asia/Tokyo?")) == Chosen("s.toml:5", "Let me look.", (call,))


def test_a_result_goes_on_from_the_call() -> None:
    last = LastMessage("", {"now": '{"time": "12:30"}'})
    assert chosen(LOOP, last) == Chosen("s.toml:10", "It is 12:30. {not a group}")


def test_any_result_of_a_tool() -> None:
    assert chosen(LOOP, LastMessage("", {"log": ""})) == Chosen("s.toml:15", "Done.")


def test_the_default_comes_last_wherever_it_stands() -> None:
    assert place(LOOP, LastMessage("hello")) == "s.toml:2"
    assert place(LOOP, LastMessage("", {"other": "x"})) == "s.toml:2"


def test_a_question_is_not_asked_again_after_its_result() -> None:
    script = '[[reply]]\nwhen = "time"\ncall = { tool = "now" }'
    assert chosen(script, LastMessage("the time", {"now": "the time"})) is None


def test_a_group_can_be_a_number() -> None:
    script = """
        [[reply]]
        when = '(\\d+) by (\\d+\\.\\d+) of (\\w+)'
        call = { tool = "mix", input = { n = "{1:number}", x = "{2:number}", s = "{1}", bad = "{3:number}" } }
    """
    choice = chosen(script, LastMessage("12 by 0.5 of milk"))
    assert choice
    assert choice.calls == (Call("mix", {"n": 12, "x": 0.5, "s": "12", "bad": "milk"}),)


def test_a_table_is_said_as_json() -> None:
    choice = chosen(
        "[[reply]]\nwhen = 'in (\\w+)'\nsay = { city = '{1}', ok = true }", LastMessage("in Tokyo")
    )
    assert choice
    assert choice.say == '{"city": "Tokyo", "ok": true}'


def test_results_of_several_tools_are_searched_in_the_order_in_which_they_are_named() -> None:
    script = "[[reply]]\nwhen_tool = ['b', 'a']\nwhen = '(?s)(\\d).*(\\d)'\nsay = '{1} and {2}'"
    choice = chosen(script, LastMessage("", {"a": "1", "b": "2", "c": "3"}))
    assert choice
    assert choice.say == "2 and 1"
    assert chosen(script, LastMessage("", {"a": "1"})) is None


TIMES = """
[[reply]]
when_tool = "find"
when = "error"
times = 2
call = { tool = "find" }
[[reply]]
when_tool = "find"
when = "error"
say = "I give up."
[[reply]]
when = ""
call = { tool = "find" }
"""


def test_a_reply_with_times_is_used_so_often_in_one_conversation() -> None:
    question, error = LastMessage("order 5"), LastMessage("", {"find": "error"})
    places = [place(TIMES, question, *[error] * n) for n in range(5)]
    assert places == ["s.toml:11", "s.toml:2", "s.toml:2", "s.toml:7", "s.toml:7"]
    assert place(TIMES, question, error) == "s.toml:2"  # another conversation
    assert place(TIMES, question, *[error] * 3, question, error) == "s.toml:2"  # another question


def test_an_answer_to_a_question_is_counted_in_the_whole_conversation() -> None:
    script = "[[reply]]\nwhen = 'hello'\ntimes = 1\nsay = 'Hello.'\n[[reply]]\nwhen = 'hello'\nsay = 'Again?'"
    hello = LastMessage("hello")
    assert [place(script, *[hello] * n) for n in (1, 2, 3)] == ["s.toml:1", "s.toml:5", "s.toml:5"]


def test_who_asks_and_what_was_said_before() -> None:
    script = """
[[reply]]
when_said = 'which day'
when = '(\\w+day)'
say = "Booked for {1}."
[[reply]]
when_system = 'you are the accountant'
say = "I count."
[[reply]]
when_model = 'opus'
say = "I am the other one."
[[reply]]
say = "Hm."
"""
    day = LastMessage("Monday")
    replies, _ = reading.read(script, "s.toml")
    booked = choose(replies.replies, Asked((Turn(day, said="For which day?"),)))
    assert booked
    assert booked.say == "Booked for Monday."
    assert place(script, day) == "s.toml:12"
    assert place(script, day, system="You are the accountant.") == "s.toml:6"
    assert place(script, day, model="claude-opus-5") == "s.toml:9"
