"""The relay alone, in front of one stdio server: how a sidecar runs.

    python -m shipway_runtime.relay NAME --port 8100 [--host 127.0.0.1] [--memory BYTES] -- COMMAND [ARG…]

In: a command. Out: its MCP over HTTP at /mcp and /mcp/NAME; /healthz while this process lives; /readyz when
the server answers; /metrics. Log lines are JSON, or plain with --plain; they, answers and a metric name the
revision that SHIPWAY_REVISION says. The server inherits this process's
environment as it is: a stack gives a sidecar what its server may see, and nothing else. Time and
concurrency are bounded tightly by the agent's relay and only loosely here. `--memory` is for where no
container engine limits the sidecar as a whole.
Exit codes: 0 after SIGTERM or SIGINT, 1 when the port cannot be used, 2 for a wrong command line.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

import uvicorn

from .. import __version__
from ..api.protocol import Bounded
from ..contract import MESSAGE_LIMIT, REVISION_HEADER, SIDECAR_PORT, UNRELEASED, McpServer, env
from ..reaper import Reaper
from ..telemetry.logs import Json, Plain
from ..telemetry.metrics import Metrics
from .app import collect, with_proxy
from .endpoint import LOOPBACK, Endpoint
from .exchange import Receive, Reply, Request, Scope, Send, deliver, json_reply
from .stdio.inside import Inside
from .stdio.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from prometheus_client import Metric

_GRACE = 8.0  # seconds for the server to end; `docker stop` waits ten
_DRAIN = 1  # seconds for open requests after SIGTERM
_REAP_S = 2.0
_OWN = ("/healthz", "/readyz", "/metrics")


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    server: McpServer
    host: str
    port: int
    plain: bool = False


def parse(arguments: Sequence[str]) -> Options:
    """The command line as values. Exits with 2 and the usage when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m shipway_runtime.relay",
        usage="%(prog)s NAME [--port PORT] [--host HOST] [--memory BYTES] -- COMMAND [ARG ...]",
        description="Serve a stdio MCP server over HTTP.",
    )
    parser.add_argument("name", help="the server's name, as in /mcp/NAME")
    parser.add_argument("--port", type=int, default=SIDECAR_PORT)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--plain", action="store_true", help="log lines for people, not JSON")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for one call")
    parser.add_argument("--concurrency", type=int, default=64, help="calls at the same time")
    parser.add_argument("--message-limit", type=int, default=MESSAGE_LIMIT, help="bytes of one message")
    parser.add_argument("--memory", type=int, help="bytes that the server's process may allocate")
    own, command = _split(arguments)
    options = parser.parse_args(own)
    if not command:
        parser.error("expected the server's command after --")
    server = McpServer(
        options.name,
        "inside",
        tuple(command),
        timeout_s=options.timeout,
        concurrency=options.concurrency,
        message_limit=options.message_limit,
        memory=options.memory,
    )
    return Options(server, options.host, options.port, options.plain)


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    words = list(arguments)
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def revision(environ: Mapping[str, str]) -> str:
    """The revision that this sidecar was deployed with."""
    return environ.get(env.REVISION) or UNRELEASED


def about(server: str, revision: str) -> Iterator[Metric]:
    """What runs in this process, as a source of metrics; not `shipway_build`, by which agents are counted."""
    from prometheus_client.core import InfoMetricFamily

    labels = {"server": server, "revision": revision, "runtime": __version__}
    yield InfoMetricFamily("shipway_sidecar", "What runs in this process", labels)


class Alone:
    """The ASGI application: the server at two paths, and this process's health."""

    def __init__(self, server: McpServer, environ: Mapping[str, str], *, loopback: bool) -> None:
        self.watcher = Watcher()
        seen = {name: value for name, value in environ.items() if name != env.REVISION}  # that is ours
        self.inside = Inside(server, lambda: with_proxy(server, seen), self.watcher)
        self._metrics = Metrics()
        self._metrics.add(lambda: about(server.name, revision(environ)))
        self._metrics.add(lambda: collect([self.inside]))
        self._endpoint = Endpoint({"": self.inside, server.name: self.inside}, loopback=loopback)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in _OWN:
            request = Request(scope, receive)
            await deliver(await self._reply(request), request, send)
        else:
            await self._endpoint(scope, receive, send)

    async def _reply(self, request: Request) -> Reply:
        if request.path == "/metrics":
            content_type, page = await self._metrics.page(request.headers.get("accept", ""))
            return Reply(200, page, {"content-type": content_type})
        error = await self.inside.probe() if request.path == "/readyz" else None
        self.inside.calls.probed(error)
        state = dataclasses.asdict(self.inside.state)
        document = {"status": "unready" if error else "ok", "error": error, "server": state}
        return json_reply(document, 503 if error else 200)


class _Server(uvicorn.Server):
    """A uvicorn that leaves signals to us: it would raise them again at its end, and we exit with 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(options: Options, environ: Mapping[str, str]) -> None:
    """Serve until SIGTERM or SIGINT; then end the server and return."""
    app = Alone(options.server, environ, loopback=options.host in LOOPBACK)
    config = uvicorn.Config(
        app,
        options.host,
        options.port,
        http=Bounded,
        lifespan="off",
        access_log=False,
        log_config=None,
        headers=[(REVISION_HEADER, revision(environ))],
        timeout_graceful_shutdown=_DRAIN,
    )
    http = _Server(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, setattr, http, "should_exit", True)
    reaping = asyncio.create_task(_reap()) if os.getpid() == 1 else None
    await app.watcher.start()
    await app.inside.start()
    try:
        await http.serve()
    except SystemExit:  # uvicorn has logged why, and would exit with 3
        raise SystemExit(1) from None
    finally:
        await app.inside.close(_GRACE)
        await app.watcher.close()
        if reaping:
            reaping.cancel()


async def _reap() -> None:
    """The duty of process 1, which this is in a sidecar's container."""
    reaper = Reaper()
    while True:
        await asyncio.sleep(_REAP_S)
        reaper.look()


def main(arguments: Sequence[str]) -> None:
    options = parse(arguments)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Plain() if options.plain else Json(revision(os.environ)))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    asyncio.run(serve(options, os.environ))


if __name__ == "__main__":
    main(sys.argv[1:])
