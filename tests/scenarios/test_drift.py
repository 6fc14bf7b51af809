"""Recordings that no longer fit: a project is run, changed and looked at with the real command line."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.model_api import Asked, ModelApi, Says, says_json
from tests.scenarios.conftest import Run

from shipway.replay.drift import provenance
from shipway.replay.exchange import Request
from shipway.replay.traffic import Incoming

UP = ("up", "-d", "--engine", "processes")
PROMPT = "You are the support agent of Larkspur.\nNever guess the time.\n"
TOML = """\
name = "support"
entrypoint = "agent:agent"
prompts = "prompts"

[model]
provider = "anthropic"
name = "claude-sonnet-5"
"""
AGENT = """\
import asyncio, json, os, urllib.request

TOOLS = [{"name": "get_time", "description": "the time", "input_schema": {"type": "object"}}]


def ask(body):
    url = os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages"
    headers = {"content-type": "application/json", "user-agent": "own/2.0"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["content"][0]["text"]


async def agent(messages, ctx):
    said = [{"role": message["role"], "content": message["content"]} for message in messages]
    body = {"model": ctx.model.name, "max_tokens": 100, "system": ctx.prompt("system"), "tools": TOOLS}
    return await asyncio.to_thread(ask, body | {"messages": said})
"""
TOOL = {"name": "get_time", "description": "the time", "input_schema": {"type": "object"}}
PATIENCE_S = 60.0


def asked(*said: str, tool: Mapping[str, Any] = TOOL) -> Request:
    """The user and the agent in turn."""
    roles = itertools.cycle(("user", "assistant"))
    messages = [{"role": role, "content": text} for role, text in zip(roles, said, strict=False)]
    body = {"model": "claude-sonnet-5", "max_tokens": 100, "system": PROMPT, "tools": [tool]}
    return Request("POST", "/v1/messages", body | {"messages": messages})


def answered(text: str) -> dict[str, Any]:
    usage = {"input_tokens": 31, "output_tokens": 4}
    content = [{"type": "text", "text": text}]
    return {"type": "message", "role": "assistant", "content": content, "usage": usage}


class Project:
    def __init__(self, root: Path, shipway: Run) -> None:
        self.root, self._shipway = root, shipway

    def record(self, file: str, *said: str) -> None:
        """As the recorder does: what the user and the agent said in turn, the answer last."""
        request = asked(*said[:-1])
        incoming = Incoming(request, request.path, {"user-agent": "own/2.0"})
        meta = provenance.describe(incoming, self.root / "prompts", "claude-sonnet-5")
        exchange = {
            "request": dataclasses.asdict(request),
            "response": {"body": answered(said[-1])},
            "meta": meta,
        }
        (self.root / "replays").mkdir(exist_ok=True)
        (self.root / "replays" / file).write_text(json.dumps(exchange, indent=1))

    def verify(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._shipway("replay", "verify", *arguments, cwd=self.root)

    def ls(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._shipway("replay", "ls", *arguments, cwd=self.root)

    def change(self, file: str, old: str, new: str) -> None:
        text = (self.root / file).read_text()
        assert old in text
        (self.root / file).write_text(text.replace(old, new))

    @property
    def journal(self) -> Path:
        return self.root / ".shipway/replay/journal.jsonl"


@pytest.fixture
def support(project: Callable[[Mapping[str, str]], Path], shipway: Run) -> Project:
    root = project(
        {"agent.toml": TOML, "agent.py": AGENT, "prompts/system.md": PROMPT, "prompts/other.md": "x"}
    )
    made = Project(root, shipway)
    made.record("hello.json", "hello", "Hello there.")
    made.record("tokyo.json", "What time is it in Tokyo?", "19:42")
    return made


# -- The stack -----------------------------------------------------------------------------------------------


@pytest.mark.network
def test_a_prompt_changes_between_two_runs(
    support: Project, shipway: Run, free_port: Callable[[], int]
) -> None:
    def ask(*questions: str, stale: int = 0) -> list[int]:
        up = shipway(*UP, "--port", str(free_port()), cwd=support.root)
        try:
            assert up.returncode == 0, up.stderr
            said = re.findall(r"stale recordings: (\d of \d); `shipway replay verify` says why", up.stderr)
            assert said == ([f"{stale} of 2"] if stale else [])
            return [shipway("ask", question, cwd=support.root).returncode for question in questions]
        finally:
            assert shipway("down", cwd=support.root).returncode == 0

    assert ask("hello") == [0]
    first = support.verify()
    assert first.returncode == 0
    assert "1 unused: not used by the run of " in first.stdout
    assert "    tokyo.json\n" in first.stdout
    assert "2 recordings: 1 fresh, 1 unused" in first.stderr
    used = {row["file"]: row["last_used"] for row in json.loads(support.ls("--json").stdout)["recordings"]}
    assert used["hello.json"] > time.time() - PATIENCE_S
    assert used["tokyo.json"] is None

    support.change("prompts/system.md", "Never guess", "Always look up")
    assert ask("hello", stale=2)[0] != 0
    second = support.verify()
    assert second.returncode == 1
    assert "2 stale: prompts/system.md changed since it was recorded on " in second.stdout
    assert "it now says “Always look up the time.”" in second.stdout
    assert "the last run: missed: nearest is hello.json; system differs" in second.stderr
    document = json.loads(support.verify("--json").stdout)
    assert [run["missed"] for run in document["runs"]] == [0, 1]

    support.change("prompts/system.md", "Always look up", "Never guess")
    assert support.verify().returncode == 0


@pytest.mark.network
def test_every_recorded_question_is_asked_again(
    support: Project, shipway: Run, free_port: Callable[[], int]
) -> None:
    def ask() -> subprocess.CompletedProcess[str]:
        up = shipway(*UP, "--port", str(free_port()), cwd=support.root)
        try:
            assert up.returncode == 0, up.stderr
            return shipway("replay", "ask", cwd=support.root)
        finally:
            assert shipway("down", cwd=support.root).returncode == 0

    support.record("hello-2.json", "hello", "Hello there.", "And again?", "Hello again.")
    done = ask()
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr == "asking 1 of 2: And again?\nasking 2 of 2: What time is it in Tokyo?\n"
    assert support.verify().stderr.startswith("3 recordings: 3 fresh\n")

    support.change("agent.py", "the time", "the time, to the second")
    assert support.verify().returncode == 0  # nothing that can be read says so
    done = ask()
    assert done.returncode == 1
    assert "asking 1 of 2: And again?\n  the agent failed: " in done.stderr
    assert "3 stale: tool get_time: its definition changed (seen in the run of " in support.verify().stdout

    support.change("agent.py", "the time, to the second", "the time")
    support.change("agent.py", '"max_tokens": 100', '"max_tokens": 200')
    assert ask().returncode == 1
    assert "asked this, and it was a miss: max_tokens differs" in support.verify().stdout


@pytest.mark.network
def test_the_real_model_is_not_asked(support: Project, shipway: Run, free_port: Callable[[], int]) -> None:
    key = {"ANTHROPIC_API_KEY": "sk-none"}
    options = ("--live", "--wait-timeout", "1", "--port", str(free_port()))  # it need not be there
    shipway(*UP, *options, cwd=support.root, env=key)
    try:
        done = shipway("replay", "ask", cwd=support.root)
        assert done.returncode == 1
        assert "asks the real model: 2 conversations would be paid" in done.stderr
        assert "asking" not in done.stderr
    finally:
        assert shipway("down", cwd=support.root).returncode == 0


def says(asked: Asked) -> Says:
    return says_json(answered(f"You said: {asked.body['messages'][-1]['content']}"))


@pytest.mark.network
def test_what_is_stale_is_recorded_again(
    support: Project, shipway: Run, free_port: Callable[[], int]
) -> None:
    for file in (support.root / "replays").iterdir():
        file.unlink()
    with ModelApi(says) as api:
        env = {"ANTHROPIC_API_KEY": "sk-none", "ANTHROPIC_BASE_URL": api.url}

        def record(option: str, *commands: Sequence[str]) -> list[subprocess.CompletedProcess[str]]:
            port = str(free_port())
            up = shipway(*UP, option, "--port", port, cwd=support.root, env=env)
            try:
                assert up.returncode == 0, up.stderr
                return [shipway(*command, cwd=support.root) for command in commands]
            finally:
                assert shipway("down", cwd=support.root).returncode == 0

        asked = [("ask", "hello"), ("ask", "What time is it in Tokyo?")]
        assert [done.returncode for done in record("--record", *asked)] == [0, 0]
        assert support.verify().stderr.startswith("2 recordings: 2 fresh\n")
        rows = json.loads(support.ls("--json").stdout)["recordings"]
        assert [(row["question"], row["meta"]["sdk"]) for row in rows] == [
            ("hello", "own/2.0"),
            ("What time is it in Tokyo?", "own/2.0"),
        ]

        support.change("prompts/system.md", "Never guess", "Always look up")
        paid = ("replay", "ask", "--stale", "--live")
        refused, done = record("--record-missing", paid[:-1], paid)
        assert "2 conversations would be paid" in refused.stderr
        assert (done.returncode, done.stderr.count("asking")) == (0, 2)
        assert len(api.asked) == 4

    stale = support.verify("--only", "stale").stdout.split()
    assert len(stale) == 2
    for name in stale:
        (support.root / name).unlink()
    assert support.verify().stderr.startswith("2 recordings: 2 fresh\n")


def test_without_a_stack_nobody_can_be_asked(support: Project, shipway: Run) -> None:
    done = shipway("replay", "ask", cwd=support.root)
    assert (done.returncode, done.stdout) == (1, "")
    assert "start it: shipway up" in done.stderr


# -- The project alone ---------------------------------------------------------------------------------------


def test_all_fresh(support: Project) -> None:
    done = support.verify()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "2 recordings: 2 fresh\n")


def test_another_model(support: Project) -> None:
    support.change("agent.toml", "claude-sonnet-5", "claude-opus-5")
    done = support.verify()
    assert done.returncode == 1
    assert "2 stale: agent.toml says claude-opus-5, and it was recorded on " in done.stdout
    assert "shipway up -d --record-missing" in done.stderr


def test_the_model_of_another_environment_is_not_that_of_development(support: Project) -> None:
    with (support.root / "agent.toml").open("a") as end:
        end.write('[env.prod.model]\nname = "claude-opus-5"\n')
    assert support.verify().returncode == 0


def test_a_prompt_that_no_request_was_made_with_may_change(support: Project) -> None:
    support.change("prompts/other.md", "x", "y")
    assert support.verify().returncode == 0


def test_the_directory_of_recordings_belongs_to_the_project_around_it(support: Project) -> None:
    support.change("prompts/system.md", "Never", "Always")
    assert support.verify("replays").returncode == 1
    assert support.verify(str(support.root / "replays")).returncode == 1


def test_recordings_of_long_ago(support: Project) -> None:
    assert support.verify("--older-than", "1").returncode == 0
    done = support.verify("--older-than", "0")
    assert done.returncode == 1
    assert ", which is too long ago" in done.stdout


def test_the_paths_of_the_stale_ones_alone(support: Project) -> None:
    support.change("agent.toml", "claude-sonnet-5", "claude-opus-5")
    done = support.verify("--only", "stale")
    assert done.stdout.splitlines() == ["replays/hello.json", "replays/tokyo.json"]
    assert all((support.root / line).exists() for line in done.stdout.splitlines())
    assert support.verify("--only", "fresh").stdout == ""


def test_the_verdicts_as_data(support: Project) -> None:
    support.change("agent.toml", "claude-sonnet-5", "claude-opus-5")
    document = json.loads(support.verify("--json").stdout)
    assert [one["state"] for one in document["recordings"]] == ["stale", "stale"]
    assert (document["replies"], document["runs"]) == ([], [])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("nowhere",), "nowhere is not a directory"), (("agent.py",), "agent.py is not a directory")],
)
def test_what_is_no_directory(support: Project, arguments: tuple[str, ...], said: str) -> None:
    for done in (support.verify(*arguments), support.ls(*arguments)):
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr


def test_a_project_that_has_no_recordings(shipway: Run, project: Callable[[Mapping[str, str]], Path]) -> None:
    root = project({"agent.toml": 'name = "a"\nentrypoint = "agent:agent"\n'})
    done = shipway("replay", "verify", cwd=root)
    assert (done.returncode, done.stderr) == (0, "0 recordings\n")
    assert shipway("replay", "ls", cwd=root).returncode == 0


def test_a_wrong_agent_toml(support: Project) -> None:
    support.change("agent.toml", 'name = "support"', "name = 3")
    done = support.verify()
    assert done.returncode == 2
    assert "agent.toml:1" in done.stderr
    assert support.ls().returncode == 0


def test_files_that_cannot_be_read(support: Project) -> None:
    (support.root / "replays/broken.json").write_text('{\n "request": ')
    (support.root / "replays/wrong.toml").write_text("[[reply]]\nsays = 3\n")
    for done in (support.verify(), support.ls()):
        assert done.returncode == 2
        assert "replays/broken.json:2: not JSON" in done.stderr
        assert "replays/wrong.toml:2: unknown key says" in done.stderr
        assert "Traceback" not in done.stderr
    assert "hello.json" in support.ls().stdout


def test_a_broken_journal_is_left_out_and_said(support: Project) -> None:
    support.journal.parent.mkdir(parents=True)
    support.journal.write_bytes(b'{"run": "x", "at": 5\n\xff\xfe\n\n')
    done = support.verify()
    assert done.returncode == 0
    assert "3 lines of the journal cannot be read, and were left out" in done.stderr


# -- The list ------------------------------------------------------------------------------------------------


def test_the_list(support: Project) -> None:
    lines = [line.split() for line in support.ls().stdout.splitlines()]
    assert lines[0] == ["FILE", "QUESTION", "ANSWER", "USED", "RECORDED", "TOKENS", "SIZE", "MODEL"]
    today = time.strftime("%Y-%m-%d")
    assert lines[1][:8] == ["hello.json", "hello", "Hello", "there.", "-", today, "31", "+"]
    assert lines[1][-1] == "claude-sonnet-5"
    assert lines[2][0] == "tokyo.json"
    assert len(lines) == 3


SCRIPT = """
[[reply]]
when = "time"
say = "It is late."

[[reply]]
when_tool = "get_time"
when = "T(..)"
when_model = "opus"
times = 1
say = "{1}"

[[reply]]
say = "Hm."
"""


def test_the_list_of_scripted_replies(support: Project) -> None:
    (support.root / "replays/scripted.toml").write_text(SCRIPT)
    lines = [re.split(r" {2,}", line.strip()) for line in support.ls().stdout.splitlines()]
    assert lines[4:] == [
        ["REPLY", "WHEN", "ANSWER", "USED"],
        ["scripted.toml:2", "/time/", "It is late.", "-"],
        ["scripted.toml:6", "get_time answers /T(..)/, model /opus/, times 1", "{1}", "-"],
        ["scripted.toml:13", "anything else", "Hm.", "-"],
    ]


@pytest.mark.parametrize("command", ["verify", "ls"])
def test_thousands_of_recordings(support: Project, command: str) -> None:
    text = (support.root / "replays/tokyo.json").read_text()
    for number in range(3000):
        (support.root / f"replays/{number}.json").write_text(text.replace("Tokyo", f"place {number}"))
    started = time.monotonic()
    done = support.verify() if command == "verify" else support.ls()
    assert done.returncode == 0
    assert time.monotonic() - started < PATIENCE_S
    assert "3002" in done.stderr if command == "verify" else len(done.stdout.splitlines()) == 3003


# -- The replay's own process --------------------------------------------------------------------------------


@pytest.fixture
def replay(support: Project) -> Iterator[Callable[[Path], tuple[subprocess.Popen[str], str]]]:
    started = []

    def start(journal: Path) -> tuple[subprocess.Popen[str], str]:
        command = (
            sys.executable,
            "-m",
            "shipway.replay",
            "replays",
            "--port",
            "0",
            "--journal",
            str(journal),
        )
        process = subprocess.Popen(command, cwd=support.root, stderr=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stderr
        return process, process.stderr.readline().rsplit(" ", 1)[-1].strip()

    yield start
    for process in started:
        process.kill()
        process.communicate()


def post(url: str, request: Request) -> int:
    content = json.dumps(request.body).encode()
    sent = urllib.request.Request(url + request.path, content, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(sent, timeout=PATIENCE_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return int(error.code)


def test_a_tool_that_changed_is_named(
    support: Project, replay: Callable[[Path], tuple[subprocess.Popen[str], str]]
) -> None:
    process, url = replay(support.journal)
    assert post(url, asked("hello", tool=TOOL | {"description": "the time, to the second"})) == 404
    process.terminate()
    assert process.wait(PATIENCE_S) == 0
    done = support.verify()
    assert done.returncode == 1
    assert "2 stale: tool get_time: its definition changed (seen in the run of " in done.stdout


def test_two_replays_at_once_and_one_that_is_killed(
    support: Project, replay: Callable[[Path], tuple[subprocess.Popen[str], str]]
) -> None:
    (first, url), (second, other) = replay(support.journal), replay(support.journal)
    for _ in range(20):
        assert [post(url, asked("hello")), post(other, asked("What time is it in Tokyo?"))] == [200, 200]
    first.send_signal(signal.SIGKILL)
    second.terminate()
    first.wait(PATIENCE_S)
    assert second.wait(PATIENCE_S) == 0
    document = json.loads(support.verify("--json").stdout)
    assert [one["state"] for one in document["recordings"]] == ["fresh", "fresh"]
    assert sorted(run["requests"] for run in document["runs"]) == [1, 20]  # at least one: it could not count


def test_a_journal_that_cannot_be_written_keeps_nobody_from_an_answer(
    support: Project, replay: Callable[[Path], tuple[subprocess.Popen[str], str]]
) -> None:
    support.journal.parent.parent.mkdir()
    support.journal.parent.write_text("in the way")
    process, url = replay(support.journal)
    assert post(url, asked("hello")) == 200
    process.terminate()
    assert process.wait(PATIENCE_S) == 0
    assert process.stderr
    said = process.stderr.read()  # communicate() would lose what came with the first line
    assert said.count("cannot be written") == 1
    assert support.verify().returncode == 0
