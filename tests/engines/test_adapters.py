"""Agents of real frameworks against a replayed model: the same questions to each, and the same answers."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engines.framework_agents.servers import BOUND_S, ModelServer, ToolServer
from tests.installing import from_pypi
from tests.unit.runtime.conftest import Running

pytestmark = pytest.mark.network

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent / "framework_agents"
RUNTIME = ROOT / "runtime"

FRAMEWORKS = {
    "pydantic_ai": ("pydantic-ai-slim[openai,mcp]==2.68.0",),
    "openai_agents": ("openai-agents==0.24.0",),
    "langgraph": (
        "langgraph==1.2.24",
        "langgraph-checkpoint-sqlite==3.1.2",
        "langchain==1.5.2",
        "langchain-openai==1.7.4",
    ),
    "google_adk": ("google-adk==2.13.0",),
}
EXAMPLES = {
    "pydantic_ai": "03-pydantic-ai",
    "langgraph": "04-langgraph",
    "openai_agents": "05-openai-agents",
}

SCRIPT = """
[[reply]]
when = "time in (\\\\w+)"
say = "Looking it up."
call = { tool = "now", input = { city = "{1}" } }
[[reply]]
when_tool = "now"
when = "switched off"
say = "I may not look it up."
[[reply]]
when_tool = "now"
when = "(.*)"
say = "It is {1}."
[[reply]]
when = "break"
call = { tool = "broken" }
[[reply]]
when_tool = "broken"
when = "(.*)"
say = "I was told: {1}"
[[reply]]
when = "by the server"
call = { tool = "convert", input = { city = "Oslo" } }
[[reply]]
when_tool = "convert"
when = "(.*)"
say = "It is {1}."
[[reply]]
when = "as a call"
call = { tool = "final_result", input = { city = "Rome", hour = 12 } }
[[reply]]
when = "as data"
say = '{"city": "Rome", "hour": 12}'
[[reply]]
when = "hand over"
call = { tool = "transfer_to_clock" }
[[reply]]
when_tool = "transfer_to_clock"
say = "The clock speaks."
[[reply]]
when = "first. said"
say = "The second agrees."
[[reply]]
when = "again"
say = "As I said."
"""


class Framework:
    """One framework, installed; the servers that its agents talk to; and a process that runs its agents."""

    def __init__(self, name: str, python: Path, place: Path) -> None:
        self.name, self.python = name, python
        self.model, self.tools = ModelServer(place / "replays"), ToolServer()
        self._talk = place / "talk"
        with self._talk.open("wb") as talk:
            self._driver = subprocess.Popen(
                (python, HERE / "driver.py", f"{name}_agents", self.tools.url),
                env={"PATH": os.environ["PATH"]} | self.env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=talk,
                text=True,
            )

    @property
    def env(self) -> dict[str, str]:
        return {
            "OPENAI_BASE_URL": self.model.url,
            "OPENAI_API_KEY": "none",
            "SHIPWAY_MCP_TIME_URL": self.tools.url,
        }

    def converse(self, *turns: dict[str, Any], agent: str = "agent") -> list[list[dict[str, Any]]]:
        """The pieces of each turn, of the adapter alone."""
        self.model.requests.clear()
        print(json.dumps({"agent": agent, "turns": turns}), file=self._driver.stdin, flush=True)
        line = self._driver.stdout.readline()
        assert line, self.talk()
        answers: list[list[dict[str, Any]]] = json.loads(line)
        return answers

    def talk(self) -> str:
        """What the driver has written on stderr."""
        return self._talk.read_text()

    def close(self) -> None:
        self._driver.kill()
        self._driver.communicate()
        self.model.close()
        self.tools.close()

    def asked(self, request: int) -> str:
        """A request to the model as text."""
        return json.dumps(self.model.requests[request])


@pytest.fixture(scope="module", params=FRAMEWORKS)
def framework(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Framework]:
    place = tmp_path_factory.mktemp(request.param)
    python = from_pypi(place / "venv", *FRAMEWORKS[request.param], "-e", str(RUNTIME)) / "python"
    (place / "replays").mkdir()
    (place / "replays/scripted.toml").write_text(SCRIPT)
    installed = Framework(request.param, python, place)
    try:
        installed.converse({"new": user("again")})  # the first import compiles everything: no bound on it
        yield installed
    finally:
        installed.close()


@pytest.fixture(scope="module")
def running(framework: Framework, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The whole runtime with the framework's agent."""
    place = tmp_path_factory.mktemp("running")
    manifest = {"name": "test", "entrypoint": f"{framework.name}_agents:agent"}
    (place / "shipway.json").write_text(json.dumps(manifest))
    env = framework.env | {"SHIPWAY_SOURCE": str(HERE)}
    started = Running(place, env, framework.python)
    try:
        yield started.wait_ready()
    finally:
        started.close()


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def text(pieces: list[dict[str, Any]]) -> str:
    return "".join(piece["text"] for piece in pieces if piece["kind"] == "text")


def output_text(answer: dict[str, Any]) -> str:
    """The text of a response as OpenAI's SDK puts it together."""
    said = (item["content"] for item in answer["output"] if item["type"] == "message")
    return "".join(part["text"] for parts in said for part in parts)


def only(pieces: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [piece for piece in pieces if piece["kind"] == kind]


# -- The adapter ---------------------------------------------------------------------------------------------


def test_text_tools_usage_and_memory(framework: Framework) -> None:
    first, second = framework.converse(
        {"new": user("The time in Tokyo?")}, {"new": user("Say it again"), "instructions": "Be terse."}
    )
    assert text(first) == "Looking it up.\n\nIt is noon in Tokyo, turn 1."
    assert len(only(first, "text")) > 2  # streamed
    [call], [result] = only(first, "ToolCall"), only(first, "ToolResult")
    assert (call["name"], json.loads(call["arguments"])) == ("now", {"city": "Tokyo"})
    assert (result["id"], result["output"], result["error"]) == (call["id"], "noon in Tokyo, turn 1", False)
    usages = only(first, "Usage")
    assert len(usages) == 2
    assert all(usage["input"] > 0 and usage["output"] > 0 and usage["model"] == "gpt-5" for usage in usages)
    assert first[-1]["kind"] == "Memory"
    assert text(second) == "As I said."
    assert "noon in Tokyo, turn 1" in framework.asked(2)  # the tool's result
    assert "You tell the time." in framework.asked(2)
    assert framework.asked(2).count("Be terse.") == 1
    assert "Be terse." not in json.dumps(second[-1]["data"])


def test_a_memory_that_cannot_be_read_gives_way_to_the_texts(framework: Framework) -> None:
    forged = [{"kind": "from the future", "type": "unheard of", "role": 7}]
    _, second, _ = framework.converse(
        {"new": user("The time in Tokyo?"), "remember": forged},
        {"new": user("Say it again")},
        {"new": user("Say it again")},
    )
    assert text(second) == "As I said."
    assert "The time in Tokyo?" in framework.asked(2)
    assert "It is noon in Tokyo" in framework.asked(2)
    assert "You tell the time." in framework.asked(2)
    assert "unheard of" not in framework.asked(2)
    assert framework.talk().count("cannot be read") == 1


def test_a_client_may_bring_a_history(framework: Framework) -> None:
    history = [
        {"role": "system", "content": "The client is in a hurry."},
        *({"role": "user", "content": "My name is Ann"}, {"role": "assistant", "content": "Hello Ann"}),
    ]
    [pieces] = framework.converse({"new": [*history, *user("Once again")]})
    assert text(pieces) == "As I said."
    for expected in ("You tell the time.", "The client is in a hurry.", "My name is Ann", "Hello Ann"):
        assert expected in framework.asked(0)


def test_the_model_is_agent_tomls_where_it_says_one(framework: Framework) -> None:
    framework.converse(
        {"new": user("again")},
        {"new": user("again"), "model": {"name": "gpt-5", "max_tokens": 77, "timeout_s": 30}},
        {"new": user("again"), "model": {"name": "gpt-5-mini"}},
    )
    assert [request["model"] for request in framework.model.requests] == ["gpt-5", "gpt-5", "gpt-5-mini"]
    assert "77" not in framework.asked(0)
    assert 77 in framework.model.requests[1].values()


def test_a_tool_that_is_switched_off_does_not_run(framework: Framework) -> None:
    [pieces] = framework.converse({"new": user("The time in Tokyo?"), "denied": ["now"]})
    assert text(pieces) == "Looking it up.\n\nI may not look it up."
    [result] = only(pieces, "ToolResult")
    assert result["error"]
    assert "now is switched off by the operator" in result["output"]


def test_structured_output_is_json(framework: Framework) -> None:
    [pieces] = framework.converse({"new": user("The time as data")}, agent="structured")
    assert json.loads(text(pieces)) == {"city": "Rome", "hour": 12}


def test_an_error_of_the_model_is_the_turns(framework: Framework) -> None:
    [pieces] = framework.converse({"new": user("please fail")})
    assert "no such thing" in pieces[-1]["error"]


def test_what_is_particular(framework: Framework) -> None:
    for check in PARTICULAR[framework.name]:
        check(framework)


def tools_name_their_server(framework: Framework) -> None:
    [pieces] = framework.converse({"new": user("The time by the server?")}, agent="with_server")
    assert text(pieces) == "It is noon, says the server."
    [call] = only(pieces, "ToolCall")
    assert (call["name"], call["server"]) == ("convert", "time")
    assert only(pieces, "ToolResult")[0]["output"] == "noon, says the server"


def output_by_a_tool(framework: Framework) -> None:
    [pieces] = framework.converse({"new": user("The time as a call")}, agent="by_tool")
    assert json.loads(text(pieces)) == {"city": "Rome", "hour": 12}
    assert not only(pieces, "ToolCall")  # the output, and nothing that was done


def handoffs(framework: Framework) -> None:
    first, second = framework.converse({"new": user("hand over")}, {"new": user("again")}, agent="triage")
    assert text(first) == "The clock speaks."
    assert text(second) == "As I said."
    assert "transfer_to_clock" in json.dumps(framework.model.requests[-1]["input"])


def checkpoints(framework: Framework) -> None:
    first, failed, second = framework.converse(
        {"new": user("The time in Tokyo?")},
        {"new": user("please fail"), "forget": True},
        {"new": user("Say it again")},
        agent="with_checkpoints",
    )
    assert set(first[-1]["data"]) == {"thread_id", "checkpoint_id"}
    assert "no such thing" in failed[-1]["error"]
    assert text(second) == "As I said."
    assert len(only(second, "Usage")) == 1
    assert "noon in Tokyo, turn 1" in framework.asked(-1)
    assert "please fail" not in framework.asked(-1)  # a turn that failed leaves nothing behind
    asked, answered = framework.converse({"new": user("Hello")}, {"new": user("Rome")}, agent="with_question")
    assert (text(asked), text(answered)) == ("Which city?", "You said Rome.")


def workflows(framework: Framework) -> None:
    [pieces] = framework.converse({"new": user("again")}, agent="workflow")
    assert text(pieces) == "As I said.\n\nThe second agrees."


PARTICULAR = {
    "pydantic_ai": (output_by_a_tool, tools_name_their_server),
    "openai_agents": (handoffs, tools_name_their_server),
    "google_adk": (workflows,),
    "langgraph": (checkpoints,),  # LangChain's tools do not say which server they are from
}


# -- The whole runtime ---------------------------------------------------------------------------------------


def test_a_conversation_over_http(framework: Framework, running: Running) -> None:
    named = {"conversation": "tokyo"}
    first = running.ask("The time in Tokyo?", **named).json()
    assert output_text(first) == "Looking it up.\n\nIt is noon in Tokyo, turn 1."
    assert first["usage"]["total_tokens"] > 0
    framework.model.requests.clear()
    assert running.ask("Say it again", **named).status_code == 200
    assert "noon in Tokyo, turn 1" in framework.asked(0)
    outcome = next(o for o in running.outcomes() if o["conversation"] == "tokyo")
    assert (outcome["status"], outcome["tool_calls"], outcome["tool_errors"]) == ("ok", 1, 0)


def test_a_failure_is_an_error_and_the_conversation_goes_on(running: Running) -> None:
    assert running.ask("please fail", conversation="sad").status_code == 500
    assert "no such thing" in running.log()
    assert running.ask("once again", conversation="sad").status_code == 200


def test_a_client_that_leaves_ends_the_models_request(framework: Framework, running: Running) -> None:
    body = {"input": "never end", "stream": True, "conversation": "gone"}
    with running.api.stream("POST", "/v1/responses", json=body) as answer:
        assert any("Once" in line for line in answer.iter_lines())
    assert framework.model.begun.is_set()
    assert framework.model.left.wait(BOUND_S)
    running.wait_for(
        lambda: any(o["conversation"] == "gone" and o["status"] == "cancelled" for o in running.outcomes()),
        "outcome of the cancelled turn",
    )
    assert running.api.get("/ping").status_code == 200


# -- The examples --------------------------------------------------------------------------------------------


class Example:
    """An example as it runs: its sources, prompts and replays, and a volume that outlives a restart."""

    def __init__(self, framework: Framework, place: Path) -> None:
        self.root = ROOT / "examples" / EXAMPLES[framework.name]
        self._python, self._place = framework.python, place
        self._model = ModelServer(self.root / "replays")
        self._env = framework.env | {
            "OPENAI_BASE_URL": self._model.url,
            "SHIPWAY_STORAGE": str(place / "data"),
            "SHIPWAY_SOURCE": str(self.root),
            "SHIPWAY_PROMPTS": str(self.root / "prompts"),
        }
        spec = tomllib.loads((self.root / "agent.toml").read_text())
        settings = {"model": spec["model"], "config": spec.get("config", {})}
        manifest = {"name": spec["name"], "entrypoint": spec["entrypoint"], "settings": settings}
        (place / "shipway.json").write_text(json.dumps(manifest))
        self.running: Running | None = None

    def up(self) -> None:
        (self._place / "data").mkdir(exist_ok=True)
        self.running = Running(self._place, self._env, self._python)
        self.running.wait_ready()

    def down(self) -> None:
        assert self.running
        self.running.terminate()
        assert self.running.exit_code() == 0, self.running.log()
        self.running.close()
        self.running = None

    def ask(self, text: str, conversation: str | None) -> str:
        assert self.running
        answer = self.running.ask(text, **({"conversation": conversation} if conversation else {})).json()
        assert "output" in answer, self.running.log()
        return output_text(answer)

    def close(self) -> None:
        if self.running:
            self.running.close()
        self._model.close()


@pytest.fixture
def example(framework: Framework, tmp_path: Path) -> Iterator[Example]:
    made = Example(framework, tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("framework", EXAMPLES, indirect=True)
def test_an_example_says_what_its_readme_says(example: Example) -> None:
    console = (example.root / "README.md").read_text().partition("```console\n")[2].partition("```")[0]
    answers = 0
    for command, expected in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", console, re.MULTILINE):
        for words in (shlex.split(part) for part in command.split("&&")):
            if words[1] == "ask":
                named = words[3] if words[2] == "--conversation" else None
                assert example.ask(words[-1], named) == expected.strip()
                answers += 1
            else:
                (example.up if words[1] == "up" else example.down)()
    assert answers >= 3
