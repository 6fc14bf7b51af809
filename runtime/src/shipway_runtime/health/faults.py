"""Whether what an agent raised was the model's doing: unreachable, failing, or refusing the key.

In: an exception, as SDKs and frameworks wrap it, and the model API's host. Out: `Fault`, or None. Nothing is
imported: SDKs' errors are recognised by where their classes live and by the attributes that they carry. An
error of a plain HTTP client counts when its request went to the model's host, for an agent calls others too.

A request that the model finds wrong (400, 404, 413, 422) is no fault: one caller's bad requests must not make
an instance look broken.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

SDKS = (
    "anthropic",
    "openai",
    "google.genai",
    "pydantic_ai",
    "litellm",
    "mistralai",
    "cohere",
    "groq",
    "ollama",
)
"""Packages whose errors are about a model, whatever host it is on."""

UNREACHABLE = frozenset(
    {
        *("APIConnectionError", "APITimeoutError"),  # anthropic, openai and what is generated like them
        *("NetworkError", "TimeoutException", "RemoteProtocolError", "ProxyError"),  # httpx, httpx2
        *("ClientConnectionError", "ServerTimeoutError", "ClientPayloadError"),  # aiohttp
        *("ConnectionError", "Timeout", "ChunkedEncodingError"),  # requests, litellm
    }
)
OURS = frozenset({"PoolTimeout"})  # the agent's own limit on its connections
FAILING = frozenset({"overloaded_error", "api_error", "server_error", "rate_limit_error", "timeout_error"})
"""Types of errors that come in the midst of a stream, under HTTP 200."""

CREDENTIALS, LATE, TOO_MANY = (401, 403), 408, 429
LONGEST_CHAIN = 50


@dataclass(frozen=True, slots=True)
class Fault:
    """What the model did. `reason` holds nothing that a caller or the model has said."""

    reason: str
    refused: bool = False
    """The key was refused: coming back does not help."""
    retry_s: float | None = None
    """How long the model API wants to be left alone, where it says so."""


def find_fault(error: BaseException, host: str) -> Fault | None:
    """The model's part in an error; `host` is where the model API is."""
    chain = list(_chain(error))
    for link in chain:
        if not _is_about(link, host):
            continue
        name = type(link).__name__
        status = _status(link)
        if status is not None and status >= 400:
            return _fault_of(status, name, link)
        if (kind := _type_in_stream(link)) in FAILING:
            return Fault(f"{kind} ({name})")
        names = {cls.__name__ for cls in type(link).__mro__}
        if names & UNREACHABLE and not names & OURS:
            return Fault(f"cannot be reached ({_cause(chain, name)})")
    return None


def _fault_of(status: int, name: str, link: BaseException) -> Fault | None:
    if status in CREDENTIALS:
        return Fault(f"refuses the key that the agent gives (HTTP {status}, {name})", refused=True)
    if status in (LATE, TOO_MANY) or status >= 500:
        return Fault(f"HTTP {status} ({name})", retry_s=_retry_after(link))
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from, and the members of groups; outermost first."""
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < LONGEST_CHAIN:
        link = waiting.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        waiting += getattr(link, "exceptions", ()) if isinstance(link, BaseExceptionGroup) else ()
        if before := link.__cause__ or (None if link.__suppress_context__ else link.__context__):
            waiting.append(before)


def _is_about(link: BaseException, host: str) -> bool:
    module = type(link).__module__
    if any(module == sdk or module.startswith(f"{sdk}.") for sdk in SDKS):
        return True
    return bool(host) and _host(link) == host.lower()


def _host(link: BaseException) -> str | None:
    """Where the request went that an HTTP client's error is about."""
    for path in (("request", "url"), ("response", "url"), ("request_info", "url"), ("url",)):
        if (url := _get(link, *path)) is not None:
            with contextlib.suppress(ValueError):
                return (urlsplit(str(url)).hostname or "").lower()
    host = _get(link, "host")  # aiohttp's ClientConnectorError
    return host.lower() if isinstance(host, str) else None


def _status(link: BaseException) -> int | None:
    for path in (("status_code",), ("response", "status_code"), ("code",), ("status",)):
        value = _get(link, *path)
        if isinstance(value, int) and 100 <= value < 600:
            return value
    return None


def _type_in_stream(link: BaseException) -> str | None:
    body = _get(link, "body")
    inner = body.get("error", body) if isinstance(body, Mapping) else None
    kind = inner.get("type") if isinstance(inner, Mapping) else None
    return kind if isinstance(kind, str) else None


def _retry_after(link: BaseException) -> float | None:
    headers = _get(link, "response", "headers")
    said = headers.get("retry-after") if isinstance(headers, Mapping) else None
    return float(said) if isinstance(said, str) and re.fullmatch(r"\d{1,4}(\.\d+)?", said) else None


def _cause(chain: list[BaseException], name: str) -> str:
    """The system's own words, where the error came from it: connection refused, no such name."""
    within = (part for link in chain for part in (link, *link.args))  # httpcore keeps it as an argument
    system = next((part for part in within if isinstance(part, OSError) and part.errno), None)
    return f"{name}: {words(system)}" if system else name


def words(error: Exception) -> str:
    """An error of the system in its own words, without the address that libraries put there."""
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return getattr(error, "strerror", None) or str(error)


def _get(link: Any, *path: str) -> Any:
    """An attribute of an attribute; None where there is none. httpx raises for a request that is not set."""
    try:
        for name in path:
            link = getattr(link, name)
    except Exception:  # noqa: BLE001 - others' properties
        return None
    return link
