"""examples/02-support, end to end: the agent, its real MCP servers behind the relay as in production (one
inside, one as a sidecar), and the replayed model. Only the process that would hold the agent is missing."""

from __future__ import annotations

import asyncio
import importlib
import os
import re
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uv
import uvicorn
from tests.installing import missing
from tests.ports import free_port

from shipway.replay.app import create_app
from shipway.replay.player import Player
from shipway.replay.tape import load
from shipway_runtime.contract import McpServer, Model, ToolFilter
from shipway_runtime.dialogue import ToolResult
from shipway_runtime.relay import Relay

EXAMPLE = Path(__file__).parents[2] / "examples" / "02-support"
REPLAYS = EXAMPLE / "replays"
SPEC = tomllib.loads((EXAMPLE / "agent.toml").read_text())
TOKYO = "It is 19:42 on Friday, 20 November 2026 in Tokyo."
LAST_CHANGE = (
    "The last change is commit 51fba265 by Mika Lund, of 19 November 2026: "
    '"Retry a payment webhook three times before giving up".'
)
DEADLINE_S = 60
MODEL = Model("anthropic", SPEC["model"]["name"], (), SPEC["model"]["max_tokens"], timeout_s=60.0)

pytestmark = pytest.mark.network


@dataclass(frozen=True)
class Context:
    """What an agent is given; a plain value, because the example needs no more."""

    mcp: Mapping[str, str]
    storage: Path
    model: Model = MODEL
    config: Mapping[str, Any] = field(default_factory=lambda: SPEC["config"])

    def prompt(self, name: str) -> str:
        return (EXAMPLE / SPEC["prompts"] / f"{name}.md").read_text()


# -- The stack ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The MCP servers that agent.toml names, each installed for itself."""
    root = tmp_path_factory.mktemp("servers")
    programs = {}
    for name, server in SPEC["mcp"].items():
        requirement = server["run"].removeprefix("pypi:")
        for arguments in (
            ("venv", "--quiet", "--python", sys.executable, str(root / name)),
            ("pip", "install", "--quiet", "--python", str(root / name / "bin" / "python"), requirement),
        ):
            done = subprocess.run([uv.find_uv_bin(), *arguments], capture_output=True, text=True, check=False)
            if done.returncode:
                missing(f"cannot install {requirement}: {done.stderr.strip()}")
        programs[name] = str(root / name / "bin" / requirement.partition("==")[0])
    return programs


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """The volume, with the repository of the recordings."""
    subprocess.run([sys.executable, str(EXAMPLE / "seed.py"), str(tmp_path / "repo")], check=True)
    return tmp_path


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """An ASGI app on a free port of loopback; its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, lifespan="off", log_level="error", timeout_graceful_shutdown=5)
    )
    task = asyncio.create_task(server._serve([listener]))  # serve() without its signal handlers
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def sidecar(name: str, command: list[str]) -> AsyncIterator[str]:
    """The relay in front of a stdio server, as the sidecar's image starts it; its URL."""
    port = free_port()
    arguments = ["-m", "shipway_runtime.relay", name, "--port", str(port), "--", *command]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments)
    try:
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), DEADLINE_S)


def described(name: str, storage: Path, programs: Mapping[str, str], url: str | None = None) -> McpServer:
    """The server as the manifest would have it, with the storage where it is here."""
    server = SPEC["mcp"][name]
    command = (programs[name], *on_this_machine(server["args"], storage))
    deny = tuple(server.get("tools", {}).get("deny", ()))
    return McpServer(name, server["shape"], () if url else command, url, tools=ToolFilter(deny=deny))


def on_this_machine(arguments: list[str], storage: Path) -> list[str]:
    return [argument.replace(SPEC["storage"]["path"], str(storage)) for argument in arguments]


@asynccontextmanager
async def stack(
    storage: Path, programs: Mapping[str, str], replays: Path
) -> AsyncIterator[tuple[Context, str]]:
    """Everything but the agent: what it is given, and the URL of its model."""
    async with AsyncExitStack() as running:
        git = [programs["git"], *on_this_machine(SPEC["mcp"]["git"]["args"], storage)]
        url = await running.enter_async_context(sidecar("git", git))
        servers = [described("time", storage, programs), described("git", storage, programs, url)]
        relay = Relay(servers, secret=lambda _: None, environ=os.environ)
        await relay.start()
        running.push_async_callback(relay.close, 10)
        for server in servers:
            await until_it_answers(relay, server.name)
        base = await running.enter_async_context(serving(relay.app))
        model = await running.enter_async_context(serving(create_app(Player(load(replays)))))
        yield Context({server.name: f"{base}/mcp/{server.name}" for server in servers}, storage), model


async def until_it_answers(relay: Relay, name: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while reason := await relay.probe(name):
        assert time.monotonic() < deadline, reason
        await asyncio.sleep(0.1)


# -- The agent ---------------------------------------------------------------------------------------------


@contextmanager
def imported(model: str) -> Iterator[Any]:
    """The module as a fresh process would import it, with the SDK's own variables set."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANTHROPIC_BASE_URL", model)
        patch.setenv("ANTHROPIC_API_KEY", "none")
        patch.syspath_prepend(str(EXAMPLE / "src"))
        for name in ("support", "support.agent"):
            patch.delitem(sys.modules, name, raising=False)
        yield importlib.import_module("support.agent")
        for name in ("support", "support.agent"):
            sys.modules.pop(name, None)


async def ask(module: Any, ctx: Context, question: str) -> list[Any]:
    return [piece async for piece in module.agent([{"role": "user", "content": question}], ctx)]


def text(pieces: list[Any]) -> str:
    return "".join(piece for piece in pieces if isinstance(piece, str))


def converse(
    storage: Path,
    programs: Mapping[str, str],
    *questions: str,
    replays: Path = REPLAYS,
    change: Callable[[Context], Context] = lambda ctx: ctx,
) -> list[list[Any]]:
    """The pieces of the answer to each question, each a conversation of its own."""

    async def run() -> list[list[Any]]:
        async with stack(storage, programs, replays) as (ctx, model):
            with imported(model) as module:
                answers = [await ask(module, change(ctx), question) for question in questions]
                await module.client.close()
                return answers

    return asyncio.run(run())


# -- What it does ------------------------------------------------------------------------------------------


def test_recorded_questions_are_answered_with_real_tools(
    storage: Path, programs: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    questions = ("hello", "What time is it in Tokyo?", "What changed last in the repository?")
    hello, tokyo, change = converse(storage, programs, *questions)
    assert text(hello) == "Hello! What can I look up for you about Larkspur?"
    assert text(tokyo) == TOKYO
    assert text(change) == LAST_CHANGE
    assert len(tokyo) > 3  # streamed
    call, result = tokyo[:2]
    assert (call.server, call.name, call.arguments) == (
        "time",
        "get_current_time",
        '{"timezone": "Asia/Tokyo"}',
    )
    assert (result.id, result.error) == (call.id, False)
    played = re.findall(r"^replay: .* (\S+)$", capfd.readouterr().err, re.MULTILINE)
    assert played == ["01-hello.json", "02-tokyo-1.json", "02-tokyo-2.json", "03-git-1.json", "03-git-2.json"]


def test_an_unrecorded_question_gets_the_scripted_reply(
    storage: Path, programs: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    (answer,) = converse(storage, programs, "What time is it in Oslo?")
    assert text(answer).startswith("I am replayed, not live")
    talk = capfd.readouterr().err
    assert "Nearest is 02-tokyo-1.json" in talk
    assert "    + What time is it in Oslo?" in talk


LOOP = """
[[reply]]
when = "show (.*)"
say = "One moment."
call = { tool = "git_show", input = { revision = "{1}" } }

[[reply]]
when = "reset"
call = { tool = "git_reset" }

[[reply]]
when_tool = "git_show"
when = "(.*)"
say = "The tool said: {1}"

[[reply]]
say = "No tools needed."
"""


@pytest.fixture
def loop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    replays = tmp_path_factory.mktemp("replays")
    (replays / "loop.toml").write_text(LOOP)
    return replays


def test_a_tool_that_fails_is_told_to_the_model(storage: Path, programs: dict[str, str], loop: Path) -> None:
    (answer,) = converse(storage, programs, "show nonsense", replays=loop)
    said = text(answer)
    assert said.startswith("One moment.\n\nThe tool said: ")
    assert "nonsense" in said
    assert [piece.error for piece in answer if isinstance(piece, ToolResult)] == [True]


def test_a_server_that_is_gone_does_not_end_the_turn(
    storage: Path, programs: dict[str, str], loop: Path
) -> None:
    def without_git(ctx: Context) -> Context:
        nobody = f"http://127.0.0.1:{free_port()}/mcp"
        return Context({**ctx.mcp, "git": nobody}, ctx.storage)

    (answer,) = converse(storage, programs, "hello", replays=loop, change=without_git)
    assert answer == ["No tools needed."]


def test_a_denied_tool_is_not_offered(storage: Path, programs: dict[str, str], loop: Path) -> None:
    import anthropic

    with pytest.raises(anthropic.NotFoundError, match="calls git_reset; the request offers convert_time"):
        converse(storage, programs, "reset", replays=loop)


# -- What its files hold -----------------------------------------------------------------------------------


def test_no_file_names_a_host_or_a_path_of_a_machine() -> None:
    machine = re.escape(str(EXAMPLE.parents[1]))
    foreign = re.compile(rf"--(extra-)?index-url|https?://(?!127\.0\.0\.1)|/home/|/root/|/tmp/|{machine}")
    made = {"golden", ".shipway", "__pycache__"}
    files = [path for path in EXAMPLE.rglob("*") if path.is_file() and made.isdisjoint(path.parts)]
    assert len(files) > 10
    assert [path for path in files if foreign.search(path.read_text())] == []


def test_every_requirement_is_pinned_with_hashes() -> None:
    blocks = re.split(r"\n(?=[a-z])", (EXAMPLE / "requirements.txt").read_text().strip())
    pinned = [block for block in blocks if re.match(r"[a-z][\w.-]*==", block)]
    assert len(pinned) > 20
    assert all("--hash=sha256:" in block for block in pinned)
