"""Real MCP servers from PyPI and npm through the relay, with all that they can do."""

from __future__ import annotations

import asyncio
import http.server
import json
import os
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import mcp.types as types
import pytest
from mcp import Client
from tests.installing import from_npm, from_pypi, node
from tests.ports import free_port
from tests.relaying import answering, process, running, until

from shipway_runtime.contract import McpServer
from shipway_runtime.relay import Relay

pytestmark = pytest.mark.network

PYPI = ("mcp-server-time==2026.10.19", "mcp-server-fetch==2026.10.24", "mcp-server-git==2026.10.19")
NPM = ("server-everything@2026.8.31", "server-filesystem@2026.8.31", "server-memory@2026.8.31")
MODES = ("auto", "legacy")


@pytest.fixture(scope="module")
def python_servers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return from_pypi(tmp_path_factory.mktemp("python") / "venv", *PYPI)


class NodeServers:
    def __init__(self, directory: Path) -> None:
        self._node = node(directory / "node")
        self._modules = from_npm(directory / "npm", *(f"@modelcontextprotocol/{name}" for name in NPM))

    def command(self, name: str, *arguments: object) -> tuple[str, ...]:
        program = self._modules / "@modelcontextprotocol" / f"server-{name}" / "dist" / "index.js"
        return (str(self._node), str(program), *(str(argument) for argument in arguments))


@pytest.fixture(scope="module")
def node_servers(tmp_path_factory: pytest.TempPathFactory) -> NodeServers:
    return NodeServers(tmp_path_factory.mktemp("npm"))


def text_of(result: Any) -> str:
    assert not result.is_error, result
    return str(result.content[0].text)


async def kill(relay: Relay, name: str) -> None:
    """End a server with SIGKILL, and wait until the relay has seen it."""
    state = relay.states()[name]
    assert state.pid
    os.kill(state.pid, signal.SIGKILL)
    await until(lambda: relay.states()[name].restarts > state.restarts)


# -- From PyPI -----------------------------------------------------------------------------------------------


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(404 if self.path == "/robots.txt" else 200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<html><body><h1>Larkspur</h1><p>A page of our own.</p></body></html>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its base class says so
        pass


@pytest.fixture
def page() -> Iterator[str]:
    """The URL of a web page on loopback."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("mode", MODES)
def test_time_fetch_and_git(mode: Any, python_servers: Path, page: str, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "-b", "trunk", tmp_path], check=True)
    calls = {
        "time": ("get_current_time", {"timezone": "UTC"}, "UTC"),
        "fetch": ("fetch", {"url": page, "raw": True}, "A page of our own."),
        "git": ("git_status", {"repo_path": str(tmp_path)}, "On branch trunk"),
    }
    arguments = {
        "time": ("--local-timezone", "UTC"),
        "fetch": ("--allow-private-ips",),
        "git": ("--repository", str(tmp_path)),
    }
    servers = [
        McpServer(name, "inside", (str(python_servers / f"mcp-server-{name}"), *arguments[name]))
        for name in calls
    ]

    async def use(relay: Relay, url: str, name: str) -> None:
        tool, given, expected = calls[name]
        async with Client(url + name, mode=mode) as client:
            assert tool in {found.name for found in (await client.list_tools()).tools}
            assert expected in text_of(await client.call_tool(tool, given))
            await kill(relay, name)
            assert expected in text_of(await client.call_tool(tool, given))

    async def scenario() -> None:
        async with running(*servers) as (relay, url):
            await asyncio.gather(*(use(relay, url, name) for name in calls))

    asyncio.run(scenario())


# -- From npm ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_filesystem_and_memory(mode: Any, node_servers: NodeServers, tmp_path: Path) -> None:
    files, memory = tmp_path.resolve() / "files", tmp_path / "memory.jsonl"
    files.mkdir()
    (files / "note.txt").write_text("remember the milk")
    servers = [
        McpServer("files", "inside", node_servers.command("filesystem", files)),
        McpServer("memory", "inside", node_servers.command("memory"), env={"MEMORY_FILE_PATH": str(memory)}),
    ]
    entity = {"name": "Mika", "entityType": "person", "observations": ["likes larkspur"]}

    async def scenario() -> None:
        async with running(*servers) as (relay, url):
            async with Client(url + "files", mode=mode) as client:
                read = ("read_text_file", {"path": str(files / "note.txt")})
                assert text_of(await client.call_tool(*read)) == "remember the milk"
                await kill(relay, "files")
                assert text_of(await client.call_tool(*read)) == "remember the milk"
                outside = await client.call_tool("read_text_file", {"path": "/etc/passwd"})
                assert outside.is_error
            async with Client(url + "memory", mode=mode) as client:
                await client.call_tool("create_entities", {"entities": [entity]})
                await kill(relay, "memory")
                graph = await client.call_tool("read_graph", {})
                assert "likes larkspur" in text_of(graph)
                assert (graph.structured_content or {})["entities"][0]["name"] == "Mika"

    asyncio.run(scenario())


@asynccontextmanager
async def everything_over_http(servers: NodeServers, port: int) -> AsyncIterator[None]:
    environment = {"PATH": os.environ["PATH"], "PORT": str(port)}
    async with process(*servers.command("everything", "streamableHttp"), env=environment):
        await answering(f"http://127.0.0.1:{port}/mcp")
        yield


class User:
    """A client's side of what servers ask, and what they tell."""

    def __init__(self) -> None:
        self.logs: list[str] = []
        self.updates: list[str] = []

    async def sample(self, context: Any, params: Any) -> types.CreateMessageResult:
        content = types.TextContent(type="text", text="sampled text")
        return types.CreateMessageResult(role="assistant", content=content, model="none")

    async def elicit(self, context: Any, params: Any) -> types.ElicitResult:
        return types.ElicitResult(action="accept", content={"name": "Mika"})

    async def log(self, params: types.LoggingMessageNotificationParams) -> None:
        self.logs.append(params.level)

    async def hear(self, message: Any) -> None:
        if isinstance(message, types.ResourceUpdatedNotification):
            self.updates.append(str(message.params.uri))

    def client(self, url: str) -> Client:
        return Client(
            url,
            mode="legacy",
            sampling_callback=self.sample,
            elicitation_callback=self.elicit,
            logging_callback=self.log,
            message_handler=self.hear,
        )


async def use_everything(client: Client) -> None:
    """What the server can do without asking back."""
    assert text_of(await client.call_tool("echo", {"message": "hi"})) == "Echo: hi"
    seen: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    slow = ("trigger-long-running-operation", {"duration": 0.1, "steps": 3})
    assert "completed" in text_of(await client.call_tool(*slow, progress_callback=note))
    assert seen == [1, 2, 3]
    annotated = await client.call_tool(
        "get-annotated-message", {"messageType": "error", "includeImage": True}
    )
    assert annotated.content[0].annotations
    assert annotated.content[0].annotations.priority == 1.0
    structured = await client.call_tool("get-structured-content", {"location": "Chicago"})
    assert structured.structured_content == json.loads(text_of(structured))
    links = await client.call_tool("get-resource-links", {"count": 2})
    assert {content.type for content in links.content} == {"text", "resource_link"}
    resources = (await client.list_resources()).resources
    document = await client.read_resource(str(resources[0].uri))
    assert isinstance(document.contents[0], types.TextResourceContents)
    assert (await client.list_resource_templates()).resource_templates
    prompt = await client.get_prompt("args-prompt", {"city": "Oslo"})
    assert "Oslo" in str(prompt.messages[0].content)
    department = types.PromptReference(type="ref/prompt", name="completable-prompt")
    completed = await client.complete(department, {"name": "department", "value": "E"})
    assert completed.completion.values == ["Engineering"]


@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
def test_everything_over_http(node_servers: NodeServers) -> None:
    """With what the server asks and tells; then once more after it was restarted, in the client's session."""

    async def scenario() -> None:
        port, user = free_port(), User()
        server = McpServer("all", "service", url=f"http://127.0.0.1:{port}/mcp")
        async with running(server) as (_, url), AsyncExitStack() as stack:
            async with everything_over_http(node_servers, port):
                client = await stack.enter_async_context(user.client(url + "all"))
                await use_everything(client)
                await use_questions(client)
                resource = str((await client.list_resources()).resources[0].uri)
                await client.session.set_logging_level("error")
                await client.session.subscribe_resource(resource)
            async with everything_over_http(node_servers, port):
                await use_everything(client)
                await use_questions(client)
                await client.call_tool("toggle-simulated-logging", {})
                await until(lambda: user.logs)  # on the stream that the relay has connected again
                await client.call_tool("toggle-subscriber-updates", {})
                await until(lambda: resource in user.updates)  # to which the relay has subscribed again
                assert set(user.logs) <= {"error", "critical", "alert", "emergency"}
                await stack.aclose()

    asyncio.run(scenario())


async def use_questions(client: Client) -> None:
    assert "sampled text" in text_of(await client.call_tool("trigger-sampling-request", {"prompt": "p"}))
    answered = await client.call_tool("trigger-elicitation-request", {})
    assert "Mika" in str(answered.content)


@pytest.mark.parametrize("mode", MODES)
def test_everything_over_stdio(mode: Any, node_servers: NodeServers) -> None:
    async def scenario() -> None:
        server = McpServer("all", "inside", node_servers.command("everything"))
        async with running(server) as (relay, url), Client(url + "all", mode=mode) as client:
            await use_everything(client)
            await kill(relay, "all")
            await use_everything(client)

    asyncio.run(scenario())
