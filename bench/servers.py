"""The servers that are compared: ours and what else serves an agent, each as its users run it.

In: a directory. Out: a running process, and the requests that ask its agent, which answers "pong" at once
and, asked to "hold", keeps its stream open after that. The peers are installed by uv into environments of
their own. Nothing outlives the `with`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loopback import free_port

from processes import install, running

if TYPE_CHECKING:
    from collections.abc import Iterator

Start = Callable[[Path], AbstractContextManager["Server"]]

AGENT = """
import asyncio
{imports}
async def agent(messages):
    yield "pong"
    if messages[-1]["content"] == "hold":
        await asyncio.sleep(3600)
"""
BARE = """
import asyncio, json, sys
{imports}
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

async def answer(request):
    body = await request.json()
    if body.get("stream"):
        return StreamingResponse(pieces(body["input"]), media_type="text/event-stream")
    return JSONResponse({"output": "pong"})

async def pieces(asked):
    yield 'data: {"delta": "pong"}\\n\\n'
    if asked == "hold":
        await asyncio.sleep(3600)

async def health(request):
    return JSONResponse({"status": "ok"})

app = Starlette(routes=[Route("/v1/responses", answer, methods=["POST"]), Route("/healthz", health)])
"""
ADK = """
import asyncio
from google.adk.agents import BaseAgent
from google.adk.events import Event
from google.genai import types

class Pong(BaseAgent):
    async def _run_async_impl(self, ctx):
        content = types.Content(role="model", parts=[types.Part(text="pong")])
        yield Event(author=self.name, invocation_id=ctx.invocation_id, content=content)
        if ctx.user_content.parts[0].text == "hold":
            await asyncio.sleep(3600)

root_agent = Pong(name="pong")
"""
BENTOML = """
import asyncio
from typing import AsyncGenerator
import bentoml

@bentoml.service(workers=1, traffic={"timeout": 4000, "max_concurrency": 4000})
class Pong:
    @bentoml.api(route="/ask")
    async def ask(self, input: str) -> str:
        return "pong"

    @bentoml.api(route="/stream")
    async def stream(self, input: str) -> AsyncGenerator[str, None]:
        yield "pong"
        if input == "hold":
            await asyncio.sleep(3600)
"""
LANGGRAPH = """
import asyncio
from langgraph.config import get_stream_writer
from langgraph.graph import START, MessagesState, StateGraph

async def pong(state: MessagesState):
    get_stream_writer()("pong")
    if state["messages"][-1].content == "hold":
        await asyncio.sleep(3600)
    return {"messages": [{"role": "assistant", "content": "pong"}]}

graph = StateGraph(MessagesState).add_node("pong", pong).add_edge(START, "pong").compile()
"""


BY_HAND = Path(__file__).with_name("by_hand.py").read_text()
NEW = "@new@"


@dataclass(frozen=True)
class Call:
    """A POST of JSON; `body` is given the question. NEW in it is another text in each request."""

    path: str
    body: Callable[[str], Mapping[str, object]]


@dataclass(frozen=True)
class Server:
    """A running server. `alive` and `ready` are (port, path)."""

    process: subprocess.Popen[bytes]
    port: int
    ask: Call
    stream: Call
    alive: tuple[int, str]
    ready: tuple[int, str]


# -- Ours, and the bare server -------------------------------------------------------------------------------


def shipway(imports: str = "") -> Start:
    @contextmanager
    def start(place: Path) -> Iterator[Server]:
        place = Path(tempfile.mkdtemp(dir=place))
        (place / "agent.py").write_text(AGENT.format(imports=imports))
        (place / "shipway.json").write_text('{"name": "pong", "entrypoint": "agent:agent"}')
        api, admin = free_port(), free_port()
        environ = os.environ | {
            "SHIPWAY_ENV": "development",
            "SHIPWAY_HOST": "127.0.0.1",
            "SHIPWAY_MANIFEST": str(place / "shipway.json"),
            "SHIPWAY_SOURCE": str(place),
            "SHIPWAY_STORAGE": str(place / "data"),
            "SHIPWAY_DRAIN_DELAY": "0",
            "SHIPWAY_API_PORT": str(api),
            "SHIPWAY_ADMIN_PORT": str(admin),
        }
        with running((sys.executable, "-m", "shipway_runtime"), environ, place) as process:
            stream = Call("/v1/responses", lambda text: {"input": text, "stream": True})
            ask = Call("/v1/responses", lambda text: {"input": text})
            yield Server(process, api, ask, stream, (admin, "/healthz"), (admin, "/readyz"))

    return start


def bare(imports: str = "", *, source: str = BARE) -> Start:
    """uvicorn + starlette, with an endpoint that does nothing; or, from BY_HAND, with what ours does."""

    @contextmanager
    def start(place: Path) -> Iterator[Server]:
        place, port = Path(tempfile.mkdtemp(dir=place)), free_port()
        (place / "bare.py").write_text(source.replace("{imports}", imports))
        command = (sys.executable, "-m", "uvicorn", "bare:app", "--port", str(port), "--log-level", "error")
        with running((*command, "--no-access-log"), os.environ, place) as process:
            stream = Call("/v1/responses", lambda text: {"input": text, "stream": True})
            ask = Call("/v1/responses", lambda text: {"input": text})
            yield Server(process, port, ask, stream, (port, "/healthz"), (port, "/healthz"))

    return start


# -- The peers -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Peers:
    """Directories of virtual environments, and the versions in them."""

    directories: Mapping[str, Path]
    versions: Mapping[str, str]

    @classmethod
    def install(cls, place: Path) -> Peers:
        packages = {"google-adk": "google-adk", "bentoml": "bentoml", "langgraph-api": "langgraph-cli[inmem]"}
        directories = {name: place / name for name in packages}
        return cls(directories, {n: install(directories[n], p, n) for n, p in packages.items()})


def adk(peers: Peers) -> Start:
    """Its sessions in memory: those in SQLite, its default, are "database is locked" for many at once."""

    @contextmanager
    def start(place: Path) -> Iterator[Server]:
        place, port = Path(tempfile.mkdtemp(dir=place)), free_port()
        (place / "pong").mkdir()
        (place / "pong/__init__.py").write_text("from . import agent\n")
        (place / "pong/agent.py").write_text(ADK)
        program = str(peers.directories["google-adk"] / "bin/adk")
        sessions = ("--session_service_uri", "memory://", "--auto_create_session")
        options = ("--port", str(port), "--log_level", "error", *sessions)
        command = (program, "api_server", *options, str(place))
        with running(command, os.environ, place) as process:
            alive = (port, "/list-apps")
            ask, stream = Call("/run", _adk_body), Call("/run_sse", _adk_body)
            yield Server(process, port, ask, stream, alive, alive)

    return start


def _adk_body(text: str) -> Mapping[str, object]:
    said = {"role": "user", "parts": [{"text": text}]}
    return {"appName": "pong", "userId": "u", "sessionId": NEW, "newMessage": said}


def bentoml(peers: Peers) -> Start:
    @contextmanager
    def start(place: Path) -> Iterator[Server]:
        place, port = Path(tempfile.mkdtemp(dir=place)), free_port()
        (place / "service.py").write_text(BENTOML)
        program = str(peers.directories["bentoml"] / "bin/bentoml")
        environ = os.environ | {"BENTOML_DO_NOT_TRACK": "True"}
        with running((program, "serve", "service:Pong", "--port", str(port)), environ, place) as process:
            ask = Call("/ask", lambda text: {"input": text})
            stream = Call("/stream", lambda text: {"input": text})
            yield Server(process, port, ask, stream, (port, "/healthz"), (port, "/readyz"))

    return start


def langgraph(peers: Peers) -> Start:
    """Its server for development, in memory: the one for production needs a licence."""

    @contextmanager
    def start(place: Path) -> Iterator[Server]:
        place, port = Path(tempfile.mkdtemp(dir=place)), free_port()
        (place / "graph.py").write_text(LANGGRAPH)
        (place / "langgraph.json").write_text(
            '{"dependencies": ["."], "graphs": {"agent": "./graph.py:graph"}}'
        )
        program = str(peers.directories["langgraph-api"] / "bin/langgraph")
        options = ("--no-browser", "--no-reload", "--n-jobs-per-worker", "1100", "--port", str(port))
        environ = os.environ | {"LANGGRAPH_CLI_NO_ANALYTICS": "1", "LOG_LEVEL": "ERROR"}
        with running((program, "dev", *options), environ, place) as process:
            ask, stream = Call("/runs/wait", _graph_body), Call("/runs/stream", _graph_body)
            yield Server(process, port, ask, stream, (port, "/ok"), (port, "/ok"))

    return start


def _graph_body(text: str) -> Mapping[str, object]:
    messages = [{"role": "user", "content": text}]
    return {"assistant_id": "agent", "input": {"messages": messages}, "stream_mode": ["custom"]}
