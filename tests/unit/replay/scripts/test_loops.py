"""Loops that people write first, as whole scripts, through each API. The agent does what it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from shipway.replay.exchange import Request
from shipway.replay.player import Player
from shipway.replay.tape import load
from shipway.replay.traffic import Incoming

Tools = Mapping[str, Callable[..., Any]]
Call = tuple[str, str, Any]
"""Id, name, input."""


class Anthropic:
    path = "/v1/messages"

    def body(self, system: str, items: list[Any], tools: Tools) -> Any:
        offered = [{"name": name, "input_schema": {"type": "object"}} for name in tools]
        return {"model": "m", "max_tokens": 9, "system": system, "messages": items, "tools": offered}

    def read(self, answer: Any) -> tuple[list[Any], str, list[Call]]:
        blocks = answer["content"]
        calls = [(b["id"], b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"]
        text = "".join(b["text"] for b in blocks if b["type"] == "text")
        return [{"role": "assistant", "content": blocks}], text, calls

    def results(self, results: list[tuple[str, str]]) -> list[Any]:
        blocks = [{"type": "tool_result", "tool_use_id": id_, "content": text} for id_, text in results]
        return [{"role": "user", "content": blocks}]


class Chat:
    path = "/v1/chat/completions"

    def body(self, system: str, items: list[Any], tools: Tools) -> Any:
        offered = [{"type": "function", "function": {"name": name}} for name in tools]
        return {"model": "m", "messages": [{"role": "system", "content": system}, *items], "tools": offered}

    def read(self, answer: Any) -> tuple[list[Any], str, list[Call]]:
        message = answer["choices"][0]["message"]
        functions = [(call["id"], call["function"]) for call in message.get("tool_calls", [])]
        calls = [(id_, f["name"], json.loads(f["arguments"])) for id_, f in functions]
        return [message], message["content"] or "", calls

    def results(self, results: list[tuple[str, str]]) -> list[Any]:
        return [{"role": "tool", "tool_call_id": id_, "content": text} for id_, text in results]


class Responses:
    path = "/v1/responses"

    def body(self, system: str, items: list[Any], tools: Tools) -> Any:
        offered = [{"type": "function", "name": name} for name in tools]
        return {"model": "m", "instructions": system, "input": items, "tools": offered}

    def read(self, answer: Any) -> tuple[list[Any], str, list[Call]]:
        output = answer["output"]
        calls = [
            (i["call_id"], i["name"], json.loads(i["arguments"]))
            for i in output
            if i["type"] == "function_call"
        ]
        return output, "".join(i["content"][0]["text"] for i in output if i["type"] == "message"), calls

    def results(self, results: list[tuple[str, str]]) -> list[Any]:
        return [{"type": "function_call_output", "call_id": id_, "output": text} for id_, text in results]


class Gemini:
    path = "/v1beta/models/m:generateContent"

    def body(self, system: str, items: list[Any], tools: Tools) -> Any:
        def content(item: Any) -> Any:
            return {"role": "user", "parts": [{"text": item["content"]}]} if "content" in item else item

        contents = list(map(content, items))
        offered = [{"functionDeclarations": [{"name": name} for name in tools]}]
        return {"systemInstruction": {"parts": [{"text": system}]}, "contents": contents, "tools": offered}

    def read(self, answer: Any) -> tuple[list[Any], str, list[Call]]:
        content = answer["candidates"][0]["content"]
        called = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
        text = "".join(part.get("text", "") for part in content["parts"])
        return [content], text, [(call["name"], call["name"], call["args"]) for call in called]

    def results(self, results: list[tuple[str, str]]) -> list[Any]:
        parts = [{"functionResponse": {"name": name, "response": {"result": text}}} for name, text in results]
        return [{"role": "user", "parts": parts}]


class Agent:
    """Asks a replay, runs the tools that it calls, and goes on until it only speaks."""

    def __init__(self, directory: Path, script: str, api: Any, tools: Tools) -> None:
        (directory / "s.toml").write_text(script)
        self._player, self._api, self._tools = Player(load(directory)), api, tools
        self._items: list[Any] = []
        self.called: list[tuple[str, Any]] = []
        self.system = "You help."

    def ask(self, question: str) -> str:
        self._items.append({"role": "user", "content": question})
        for _ in range(20):
            body = self._api.body(self.system, self._items, self._tools)
            request = Request("POST", self._api.path, body)
            answer = asyncio.run(self._player.answer(Incoming(request, request.path)))
            assert answer.status == 200, answer.note
            said, text, calls = self._api.read(answer.body)
            self._items += said
            if not calls:
                return str(text)
            self.called += [(name, given) for _, name, given in calls]
            self._items += self._api.results(
                [(id_, str(self._tools[name](**given))) for id_, name, given in calls]
            )
        raise AssertionError("it never ends")


@pytest.fixture(params=[Anthropic, Chat, Responses, Gemini])
def agent(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str, Tools], Agent]:
    return lambda script, tools: Agent(tmp_path, script, request.param(), tools)


Make = Callable[[str, Tools], Agent]


RETRY = """
[[reply]]
when = 'order (\\d+)'
call = { tool = "find", input = { number = "{1}" } }

[[reply]]                                   # once more after an error, and then no more
when_tool = "find"
when = 'error in (\\d+)'
times = 1
call = { tool = "find", input = { number = "{1}" } }

[[reply]]
when_tool = "find"
when = 'error'
say = "I cannot look that up now."

[[reply]]
when_tool = "find"
when = 'a (\\w+)'
say = "It is a {1}."
"""


@pytest.mark.parametrize(("fails", "answer"), [(1, "It is a lamp."), (5, "I cannot look that up now.")])
def test_once_more_after_a_tool_failed(agent: Make, fails: int, answer: str) -> None:
    answers = ["error in 17"] * fails + ["a lamp"]
    asking = agent(RETRY, {"find": lambda number: answers.pop(0)})
    assert asking.ask("where is order 17?") == answer
    assert asking.called == [("find", {"number": "17"})] * 2


PARALLEL = """
[[reply]]
when = 'weather and time in (\\w+)'
say = "Let me look."
call = [
    { tool = "weather", input = { city = "{1}" } },
    { tool = "time", input = { city = "{1}" } },
]

[[reply]]
when_tool = ["weather", "time"]
when = '(?s)(\\w+) sky.*(\\d\\d:\\d\\d)'
say = "A {1} sky at {2}."
"""


def test_two_tools_at_once_and_a_summary(agent: Make) -> None:
    tools = {"weather": lambda city: f"{city}: clear sky", "time": lambda city: f"{city}: 14:05"}
    asking = agent(PARALLEL, tools)
    assert asking.ask("weather and time in Tokyo") == "A clear sky at 14:05."
    assert asking.called == [("weather", {"city": "Tokyo"}), ("time", {"city": "Tokyo"})]


ASK_BACK = """
[[reply]]
when = 'book a room'
say = "For which day?"

[[reply]]
when_said = 'which day'
when = '(\\w+day)'
call = { tool = "book", input = { day = "{1}" } }

[[reply]]
when_tool = "book"
when = '(\\w+) is yours'
say = "Done: {1}."
"""


def test_it_asks_back_and_then_calls(agent: Make) -> None:
    asking = agent(ASK_BACK, {"book": lambda day: f"{day} is yours"})
    assert asking.ask("Please book a room") == "For which day?"
    assert asking.ask("on Monday") == "Done: Monday."


HAND_OFF = """
[[reply]]
when_system = 'you are the front desk'
when = 'invoice'
call = { tool = "transfer_to_accountant" }

[[reply]]
when_system = 'you are the accountant'
when_tool = "transfer_to_accountant"
say = "This is the accountant: your invoice is on its way."

[[reply]]
when_system = 'you are the accountant'
say = "I only do invoices."
"""


def test_one_agent_hands_over_to_another(agent: Make) -> None:
    asking = agent(HAND_OFF, {})

    def transfer() -> str:
        asking.system = "You are the accountant."
        return "transferred"

    asking._tools = {"transfer_to_accountant": transfer}
    asking.system = "You are the front desk."
    assert asking.ask("Where is my invoice?") == "This is the accountant: your invoice is on its way."
    assert asking.ask("And the weather?") == "I only do invoices."


COUNTER = """
[[reply]]
when = 'read (\\d+) pages'
call = { tool = "page", input = { number = 1 } }

[[reply]]                                   # whatever the pages say: three more, and then the summary
when_tool = "page"
times = 3
call = { tool = "page", input = { number = 2 } }

[[reply]]
when_tool = "page"
when = '\\bpage\\b'
say = { read = 4, done = true }
"""


def test_a_long_loop_with_a_counter(agent: Make) -> None:
    asking = agent(COUNTER, {"page": lambda number: f"this page is number {number}"})
    assert json.loads(asking.ask("read 4 pages")) == {"read": 4, "done": True}
    assert len(asking.called) == 4
    assert json.loads(asking.ask("read 4 pages"))["done"]  # another question is counted anew
    assert len(asking.called) == 8
