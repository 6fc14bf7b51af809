"""The readiness checks of one deployment.

In: the deployment, its secrets, its relay if it has MCP servers. Out: a list of `Check`. The model is
asked for a TCP connection and nothing more: paid calls are no health check, real traffic tells the rest.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from . import config
from .health import Check

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from . import contract
    from .config import Deployment
    from .relay import Relay
    from .secrets import Secrets

SEEN = ("state", "since", "last_error", "last_error_at")
"""What the relay saw of a server by itself, beside the check, which waits for a third failure."""


def list_checks(
    deployment: Deployment, secrets: Secrets, relay: Relay | None, environ: Mapping[str, str]
) -> list[Check]:
    """Every check this deployment needs, in the order they are shown."""
    checks = []
    if model := deployment.settings.model:
        required = deployment.settings.health.when_model_down == "unready"
        url = config.model_url(model, environ)
        checks.append(Check("model", functools.partial(connect, url, environ), required))
    if secrets:
        checks.append(Check("secrets", functools.partial(_secrets_present, secrets)))
    if relay:
        checks += [_server_check(relay, server) for server in deployment.manifest.mcp]
    return [dataclasses.replace(check, probe=_redacted(check, secrets)) for check in checks]


async def connect(url: str, environ: Mapping[str, str]) -> str | None:
    """Open and close a TCP connection to a URL's host, or to the proxy that leads there."""
    host, port = route(url, environ)
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        return f"{host}:{port}: {error.strerror or error}"
    writer.close()
    return None


def route(url: str, environ: Mapping[str, str]) -> tuple[str, int]:
    """Host and port that a client of `url` connects to, a proxy of the environment included."""
    target = urlsplit(url)
    proxy = _variable(environ, f"{target.scheme}_proxy") or _variable(environ, "all_proxy")
    if proxy and not _bypassed(target.hostname or "", _variable(environ, "no_proxy") or ""):
        target = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return target.hostname or "", target.port or (443 if target.scheme == "https" else 80)


def _variable(environ: Mapping[str, str], name: str) -> str | None:
    return environ.get(name) or environ.get(name.upper())


def _bypassed(host: str, no_proxy: str) -> bool:
    suffixes = [part.strip().lstrip(".") for part in no_proxy.split(",") if part.strip()]
    return any(part == "*" or host == part or host.endswith(f".{part}") for part in suffixes)


def _redacted(check: Check, secrets: Secrets) -> Callable[[], Awaitable[str | None]]:
    """The check's probe. Its reasons are shown on the admin port, and servers may repeat what they got."""

    async def probe() -> str | None:
        reason = await check.probe()
        return reason and secrets.redact(reason)

    return probe


async def _secrets_present(secrets: Secrets) -> str | None:
    return "; ".join(secrets.problems()) or None


def _server_check(relay: Relay, server: contract.McpServer) -> Check:
    def detail() -> dict[str, Any]:
        state = dataclasses.asdict(relay.states()[server.name])
        shown = {key: state[key] for key in ("shape", "protocol", "restarts", "pid")}
        return shown | {"server": {key: state[key] for key in SEEN}}

    probe = functools.partial(relay.probe, server.name)
    return Check(f"mcp:{server.name}", probe, not server.optional, detail)
