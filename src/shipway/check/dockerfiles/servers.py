"""Rules about the server: where it listens, what it is made for, how many of it there are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.check.dockerfiles.process import started
from shipway.check.dockerfiles.shell import read_words
from shipway.check.rule import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shipway.check.dockerfiles.process import Started
    from shipway.check.dockerfiles.shell import Command
    from shipway.check.dockerfiles.subject import Dockerfile

_LOOPBACK = re.compile(r"(?:[a-z]+://)?(?:127\.\d+\.\d+\.\d+|localhost|\[?::1\]?)(?::\d+)?")
_HOST = ("--host", "--bind", "-b", "--address", "--server.address", "--hostname", "-h")
_CLIENTS = frozenset({"psql", "pg_isready", "redis-cli", "mysql", "mysqladmin", "curl", "wget", "nc"})
"""Programs whose --host is where they go to."""
GUNICORN = "gunicorn.conf.py"
_LAUNCHERS = frozenset({"uv", "poetry", "pipenv", "pdm"})
_DEBUG = frozenset({"FLASK_DEBUG", "PYTHONASYNCIODEBUG", "DJANGO_DEBUG", "PYTHONDEVMODE"})


@dataclass(frozen=True, slots=True)
class Server:
    """A program that serves, by its verb. `variable` says where it listens, if there is one.

    `local` is whether it listens on loopback when nothing is said; `development` whether it is made for that.
    """

    verb: str = ""
    variable: str = ""
    local: bool = True
    development: bool = False

    def is_told(self, command: Command, environment: Mapping[str, str]) -> bool:
        """Whether a file, a variable or a socket may say where it listens."""
        elsewhere = command.has("-c", "--config", "--uds", "--fd")
        return elsewhere or any("unix:" in a for a in command.arguments) or self.variable in environment


SERVERS: Mapping[str, tuple[Server, ...]] = {
    "uvicorn": (Server(variable="UVICORN_HOST"),),
    "gunicorn": (Server(variable="GUNICORN_CMD_ARGS"),),
    "hypercorn": (Server(),),
    "daphne": (Server(),),
    "granian": (Server(variable="GRANIAN_HOST"),),
    "fastapi": (Server("run", local=False), Server("dev", development=True)),
    "flask": (Server("run", variable="FLASK_RUN_HOST", development=True),),
    "langgraph": (Server("dev", development=True),),
    "adk": (Server("web", development=True), Server("api_server")),
    "streamlit": (Server("run", local=False),),
    "chainlit": (Server("run", variable="CHAINLIT_HOST"),),
}


def port_is_reachable(dockerfile: Dockerfile) -> Iterator[Seen]:
    """The server listens on all addresses of the container, not on loopback.

    What listens on 127.0.0.1 answers inside of the container alone: probes fail, and nobody reaches it. That
    is what most servers do when nothing is said.
    """
    configured = dockerfile.context.has(GUNICORN)
    for one in started(dockerfile):
        for message, fix in unreachable(one.command, dockerfile.stages.environment, configured):
            yield Seen(message, fix, one.line, one.file)


def unreachable(
    command: Command, environment: Mapping[str, str], configured: bool
) -> Iterator[tuple[str, str]]:
    """What is said, and the fix, where a command listens on loopback. `configured`: gunicorn has a file."""
    for inner in (command, *_launched(command)):
        name, host = inner.program, inner.option(*_HOST)
        fix = "--bind 0.0.0.0:8080" if name in ("gunicorn", "hypercorn") else "--host 0.0.0.0"
        if host and _LOOPBACK.fullmatch(host) and name not in _CLIENTS:
            yield f"{name} listens on {host}: nobody outside of the container reaches it", fix
        if host is not None or (configured and name == "gunicorn"):
            continue
        if any(server.local and not server.is_told(inner, environment) for server in _servers(inner)):
            yield f"{name} listens on 127.0.0.1 unless told otherwise: nobody outside reaches it", fix


def server_is_for_production(dockerfile: Dockerfile) -> Iterator[Seen]:
    """What starts is a server for production, without reload and debugger.

    A debugger runs whatever its visitors type. Reloading watches every file, keeps a second process, and
    hides crashes.
    """
    for one, name, server, command in _serving(dockerfile):
        switch = next((a for a in command.arguments if a in ("--reload", "--debug")), "")
        if switch or server.development:
            message = f"{' '.join(filter(None, (name, server.verb, switch)))} is for development"
            yield Seen(message, "start a server for production, without --reload", one.line, one.file)
    for instruction in dockerfile.stages.in_image("ENV"):
        for name, value in instruction.pairs.items():
            if name in _DEBUG and value.lower() in ("1", "true", "on", "yes"):
                yield Seen(f"{name}={value} is for development", f"remove {name}", instruction.line)


def workers_are_replicas(dockerfile: Dockerfile) -> Iterator[Seen]:
    """One container runs one process; more of them are replicas.

    Workers share one memory limit and hide behind one probe: one that hangs is not seen. What an agent keeps
    in memory, each worker keeps for itself: conversations, limits, metrics, connections to MCP servers.
    """
    for one, name, _, command in _serving(dockerfile):
        count = command.option("--workers", "-w") or ""
        if count.isdigit() and int(count) > 1:
            message = f"{name} starts {count} workers in one container"
            yield Seen(message, "start one, and set the number of replicas instead", one.line, one.file)


def _serving(dockerfile: Dockerfile) -> Iterator[tuple[Started, str, Server, Command]]:
    """The servers that are started, by themselves or through `uv run` and its like."""
    for one in started(dockerfile):
        for command in (one.command, *_launched(one.command)):
            for server in _servers(command):
                yield one, command.program, server, command


def _servers(command: Command) -> list[Server]:
    """What a command starts, by the table."""
    rows = SERVERS.get(command.program, ())
    return [server for server in rows if not server.verb or server.verb in command.arguments]


def _launched(command: Command) -> Iterator[Command]:
    """What `uv run` and its like start: the words from the name of a server on."""
    if command.program in _LAUNCHERS and command.says("run"):
        words = command.arguments[command.arguments.index("run") + 1 :]
        while words and words[0].startswith("-"):
            words = words[1:]
        yield from read_words(words)
