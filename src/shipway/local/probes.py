"""Is a process started, is the agent ready: asked over loopback, never through a proxy.

In: a probe, an address. Out: None when it is started, else the reason; the readiness document.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx2

if TYPE_CHECKING:
    from shipway.local.plan import Probe

_TIMEOUT_S = 3.0
_NO_ANSWER = (OSError, httpx2.HTTPError, ValueError, KeyError)  # TimeoutError is an OSError

Client = httpx2.AsyncClient


def connect() -> Client:
    """A client for every probe of one event loop."""
    return Client(trust_env=False, timeout=_TIMEOUT_S)


async def ask(probe: Probe, client: Client) -> str | None:
    """Probe once: None for yes, else what was seen."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return await _ask(probe, client)
    except _NO_ANSWER as error:
        return str(error) or type(error).__name__


async def _ask(probe: Probe, client: Client) -> str | None:
    if probe.kind == "command":
        return await _run(probe.target)
    if probe.kind == "tcp":
        _, writer = await asyncio.open_connection(probe.target[0], int(probe.target[1]))
        writer.close()
        return None
    answer = await client.get(probe.target[0])
    if probe.kind == "agent":
        imported = answer.json()["checks"]["agent"]["state"] == "up"
        return None if imported else "the agent is not imported yet"
    return None if answer.status_code == 200 else f"status {answer.status_code}"


async def readiness(admin: str, client: Client) -> dict[str, Any] | None:
    """The document of /readyz, None when the admin port does not answer."""
    return await _document(f"{admin}/readyz", client)


async def health(address: str, client: Client) -> dict[str, Any] | None:
    """The document of /healthz, None when nobody answers."""
    return await _document(f"{address}/healthz", client)


async def _document(url: str, client: Client) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = (await client.get(url)).json()
    except _NO_ANSWER:
        return None
    return document


def unready(document: dict[str, Any] | None) -> list[str]:
    """One line for each check that is not up, the required ones and the others."""
    if document is None:
        return ["the agent does not answer"]
    down = {name: check for name, check in document["checks"].items() if check["state"] not in ("up", "no")}
    return [f"{name} is {check['state']}{_why(check)}" for name, check in down.items()]


def _why(check: dict[str, Any]) -> str:
    return f": {check['last_error']}" if check.get("last_error") else ""


async def _run(argv: tuple[str, ...]) -> str | None:
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        code = await process.wait()
    except asyncio.CancelledError:
        process.kill()
        raise
    return None if code == 0 else f"{argv[0]} says {code}"
