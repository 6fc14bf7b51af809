"""What adapters of frameworks share, with a framework that is made up."""

from __future__ import annotations

import sys

import pytest

from shipway_runtime import adapters
from shipway_runtime.adapters import frameworks
from shipway_runtime.context import Context
from shipway_runtime.dialogue import Dialogue, Memory, Past
from shipway_runtime.errors import StartError


def made(module: str, *bases: type, **names: object) -> type:
    """A class as a framework of that name would define it."""
    return type("Agent", bases, {"__module__": module, **names})


def test_where_an_object_comes_from():
    agent = made("frame.agent")
    assert frameworks.comes_from(agent(), "frame")
    assert frameworks.comes_from(agent, "frame.agent")
    assert frameworks.comes_from(made("users.own", agent)(), "frame")
    assert not frameworks.comes_from(made("framework.agent")(), "frame")
    assert not frameworks.comes_from("text", "frame")


def read(data):
    return [record.upper() for record in data["records"]]


def write(messages):
    return [message["content"] for message in messages]


def past(text: str, memory: Memory | None = None) -> Past:
    return Past([{"role": "user", "content": text}], memory)


def test_the_past_is_the_frameworks_own_where_it_can_be_read(caplog):
    frameworks._tell_unreadable.cache_clear()
    turns = (
        past("one", Memory("frame", {"records": ["first"]})),
        past("two", Memory("frame", {"unheard": "of"})),
        past("three", Memory("another", {"records": ["third"]})),
        past("four", Memory("frame", 7)),
        past("five"),
    )
    expected = ["FIRST", "two", "three", "four", "five"]
    assert frameworks.recall(Dialogue([], turns), "frame", read, write) == (expected, True)
    assert frameworks.recall(Dialogue([], turns[1:]), "frame", read, write) == (expected[1:], False)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2  # once for each reason, however many turns
    assert "KeyError: 'records'" in told[0]


def test_paragraphs():
    prose = frameworks.Paragraphs()
    prose.interrupt()
    said = [prose.say("a"), prose.say(""), prose.say("b")]
    prose.interrupt()
    said += [prose.say(""), prose.say("c"), prose.say("d")]
    assert "".join(said) == "ab\n\ncd"


def test_a_result_as_text():
    assert frameworks.as_text("plain") == "plain"
    assert frameworks.as_text({"a": [1, None]}).replace(" ", "") == '{"a":[1,null]}'
    assert "object" in frameworks.as_text({"odd": object()})


def test_names_of_modules_that_are_not_loaded_are_none():
    assert frameworks.find("nobody.knows", "Name") is None
    assert frameworks.find("sys", "nobody_knows") is None
    assert frameworks.find("sys", "version") == sys.version


class Deps:
    """What an agent's tools may need and shipway cannot make."""


def pydantic_agent(deps_type: object) -> object:
    return made("pydantic_ai.agent", run_stream_events=lambda self: None, deps_type=deps_type)()


@pytest.mark.parametrize("deps_type", [type(None), object, Context])
def test_a_pydantic_ai_agent_whose_deps_can_be_the_context(deps_type):
    assert isinstance(adapters.adapt(pydantic_agent(deps_type), "a:b"), adapters.Conversational)


def test_a_pydantic_ai_agent_that_needs_other_deps_is_told_what_to_write():
    with pytest.raises(StartError, match="a:b is an agent whose tools need deps_type=Deps") as caught:
        adapters.adapt(pydantic_agent(Deps), "a:b")
    example = str(caught.value).partition("\n\n")[2]
    compile(example.replace("\n    ", "\n").strip(), "example", "exec")


def test_other_things_of_a_framework_are_what_they_are():
    app = made("pydantic_ai.ui", __call__=lambda self, scope, receive, send: None)()
    assert adapters.adapt(app, "a:b") == adapters.OwnApp(app)
    with pytest.raises(StartError, match=r"a:b is a pydantic_ai.models.Agent; expected .* framework"):
        adapters.adapt(made("pydantic_ai.models")(), "a:b")


def graph(package: str, **names: object) -> object:
    return made(package, astream=lambda self: None, **names)()


@pytest.mark.parametrize(
    ("agent", "message"),
    [
        (
            made("langgraph.graph.state", compile=None)(),
            "a:b is a graph that is not compiled yet; .* compile",
        ),
        (graph("langgraph.pregel", channels={"question": 0, "__start__": 0}), "no `messages` but question;"),
        (graph("langchain_core.runnables.base"), "a:b is a chain of LangChain; name a function"),
    ],
)
def test_what_langgraph_makes_and_cannot_run_on_messages(agent, message):
    with pytest.raises(StartError, match=message):
        adapters.adapt(agent, "a:b")


def test_a_package_of_ones_own_that_is_called_agents_is_not_the_sdk(monkeypatch):
    own = made("agents.own", handoffs=[], __call__=lambda self, messages: "own")()
    assert isinstance(adapters.adapt(own, "a:b"), adapters.Conversational)
    sdk = type(sys)("agents")
    sdk.Agent, sdk.Runner = made("agents.agent"), object
    monkeypatch.setitem(sys.modules, "agents", sdk)
    assert adapters.openai_agents.recognises(made("users.agent", sdk.Agent)())
    assert not adapters.openai_agents.recognises(own)
