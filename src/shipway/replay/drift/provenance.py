"""Where a recording comes from: the `meta` by which `shipway replay verify` can say what has changed since.

In: a request as it came, the directory of the project's prompts. Out: JSON values; a key that nothing is
known of is left out. docs/reference/replays.md documents the keys.
"""

from __future__ import annotations

import calendar
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import shipway
from shipway.replay.apis import providers
from shipway.replay.drift import definitions
from shipway.replay.drift.prompts import read, used
from shipway.replay.matching import canonical
from shipway_runtime.contract import env

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipway.replay.exchange import Request
    from shipway.replay.traffic import Incoming

DATE = "%Y-%m-%dT%H:%M:%SZ"
_DEPLOYMENT = re.compile(r"/deployments/([^/]+)")  # Azure's
_GOOGLE = re.compile(r"(google-genai)-sdk/(\S+)(?:.*?\bgl-(\w+))?")
_SHORT = 12  # hexadecimal digits of a digest


def describe(incoming: Incoming, prompts: Path | None, declared: str = "") -> dict[str, Any]:
    """The `meta` of a new recording.

    `prompts` is their directory, None where the project has none; `declared` the model that agent.toml names:
    a request that asks for another one does not follow it, and does not go stale with it.
    """
    request = incoming.request
    meta = {
        "recorded": time.strftime(DATE, time.gmtime()),
        "sdk": sdk(incoming.headers, request.path),
        "model": model(request),
        "declared_model": declared,
        "prompts": used(read(prompts), request.body),
        "tools": tools(request),
        "shipway": shipway.__version__,
    }
    return {key: value for key, value in meta.items() if value}


def surroundings(environ: Mapping[str, str]) -> tuple[Path | None, str]:
    """The directory of the prompts and the model of agent.toml, as `shipway up` tells the replay."""
    directory = environ.get(env.PROMPTS)
    return Path(directory) if directory else None, environ.get(env.MODEL, "")


def recorded_at(meta: Mapping[str, Any]) -> float | None:
    """When a recording was made, in seconds since the epoch; None where its meta does not say."""
    try:
        return calendar.timegm(time.strptime(str(meta.get("recorded")), DATE))
    except ValueError:
        return None


def model(request: Request) -> str:
    """The model that is asked; empty where the request does not say."""
    provider = providers.find(request.path)
    deployment = _DEPLOYMENT.search(request.path)
    return (provider.model(request) if provider else "") or (deployment[1] if deployment else "")


def tools(request: Request) -> dict[str, str]:
    """`{name: short digest of its definition}` of the tools that the request offers."""
    offered = definitions.of(request.body)
    return {
        name: canonical.digest(canonical.text(canonical.settle(tool)))[:_SHORT]
        for name, tool in sorted(offered.items())
    }


def sdk(headers: Mapping[str, str], path: str) -> str:
    """Name and version, such as `anthropic-python/2.12.0`; what the user agent begins with where it is none.

    The SDKs of Anthropic and OpenAI say their version in headers of its own, whoever has put another user
    agent in its place.
    """
    if version := headers.get("x-stainless-package-version"):
        vendor = "anthropic" if "/messages" in path else "openai"
        return f"{vendor}-{headers.get('x-stainless-lang', 'unknown')}/{version}"
    if found := _GOOGLE.search(headers.get("x-goog-api-client", "")):
        name, version, language = found.groups()
        return f"{name}-{language or 'unknown'}/{version}"
    return next(iter(headers.get("user-agent", "").split()), "")
