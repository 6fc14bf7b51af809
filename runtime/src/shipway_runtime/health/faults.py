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
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
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
BROKEN = frozenset(
    {
        *("RemoteProtocolError", "ReadError"),  # httpx, httpx2
        *("ClientPayloadError", "ServerDisconnectedError", "ChunkedEncodingError"),  # aiohttp, requests
    }
)
LATE = frozenset({"ReadTimeout", "SocketTimeoutError", "ServerTimeoutError"})
UNREADABLE = frozenset({"UnknownApiResponseError", "APIResponseValidationError"})
"""What SDKs raise for an answer that is not what their API gives; others let the error of `json` through."""
OURS = frozenset({"PoolTimeout"})  # the agent's own limit on its connections
FAILING = frozenset({"overloaded_error", "api_error", "server_error", "rate_limit_error", "timeout_error"})
"""Types of errors that come in the midst of a stream, under HTTP 200."""

CREDENTIALS, REQUEST_TIMEOUT, TOO_MANY = (401, 403), 408, 429
LONGEST_CHAIN = 50
LONGEST_WAIT_S = 10_000

Error = TypeVar("Error", bound=BaseException)


@dataclass(frozen=True, slots=True)
class Fault:
    """What the model did. `reason` holds nothing that a caller or the model has said."""

    reason: str
    refused: bool = False
    """The key was refused: coming back does not help."""
    retry_s: float | None = None
    """How long the model API wants to be left alone, where it says so."""
    certain: bool = False
    """It needs no second one to be believed."""
    late: bool = False
    """It did not answer in time."""
    shown: bool = False
    """The reason is for the caller, too: it says how to set things up, and nothing that anybody said."""

    def __str__(self) -> str:
        return f"the model: {self.reason}"


def find_fault(error: BaseException, host: str) -> Fault | None:
    """The model's part in an error; `host` is where the model API is."""
    chain = list(_chain(error))
    if found := known(error):
        return found
    for link in chain:
        if _is_about(link, host):
            name = type(link).__name__
            status = _status(link)
            if status is not None:
                return of_status(status, name, next(filter(None, map(_wait, chain)), None))
            if (kind := _type_in_stream(link)) in FAILING:
                return Fault(f"{kind} ({name})")
            names = {cls.__name__ for cls in type(link).__mro__}
            if names & UNREACHABLE and not names & OURS:
                return of_connection(link, chain)
        if _is_unreadable(link):
            return Fault(f"an answer that cannot be read ({type(link).__name__})")
    return None


MARK = "shipway_fault"


def known(error: BaseException) -> Fault | None:
    """What an error, or one that it was made of, was marked with."""
    found = (getattr(part, MARK, None) for part in _parts(list(_chain(error))))
    return next((fault for fault in found if isinstance(fault, Fault)), None)


def marked(error: Error, fault: Fault) -> Error:
    """An error about to be raised, of which it is known what the model did."""
    setattr(error, MARK, fault)
    return error


def of_status(status: int, name: str = "", retry_s: float | None = None) -> Fault | None:
    """What a status says of the model; `name` is the error's."""
    if status in CREDENTIALS:
        told = ", ".join(filter(None, (f"HTTP {status}", name)))
        return Fault(f"refuses the key that the agent gives ({told})", refused=True)
    if status in (REQUEST_TIMEOUT, TOO_MANY) or status >= 500:
        return Fault(f"HTTP {status} ({name})" if name else f"HTTP {status}", retry_s=retry_s)
    return None


def of_connection(error: BaseException, chain: list[BaseException] | None = None) -> Fault:
    """What an error of a connection says: where it failed, with the system's own words where it is theirs."""
    chain = chain or list(_chain(error))
    name, names = type(error).__name__, {cls.__name__ for link in chain for cls in type(link).__mro__}
    if names & BROKEN:
        return Fault(f"broke off its answer ({name})")
    if names & LATE:
        return Fault(f"did not answer in time ({name})", late=True)
    system = next((part for part in _parts(chain) if isinstance(part, OSError) and part.errno), None)
    return Fault(f"cannot be reached ({name}: {words(system)})" if system else f"cannot be reached ({name})")


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
    return _is_of_sdk(type(link).__module__) or (bool(host) and _host(link) == host.lower())


def _is_of_sdk(module: str) -> bool:
    return any(module == sdk or module.startswith(f"{sdk}.") for sdk in SDKS)


def _host(link: BaseException) -> str | None:
    """Where the request went that an HTTP client's error is about."""
    for path in (("request", "url"), ("response", "url"), ("request_info", "url"), ("url",)):
        if (url := _get(link, *path)) is not None:
            with contextlib.suppress(ValueError):
                return (urlsplit(str(url)).hostname or "").lower()
    host = _get(link, "host")  # aiohttp's ClientConnectorError
    return host.lower() if isinstance(host, str) else None


def _status(link: BaseException) -> int | None:
    """A status that says no: an error in a stream may have the 200 of its answer beside its own."""
    for path in (("status_code",), ("code",), ("status",), ("response", "status_code")):
        value = _get(link, *path)
        if isinstance(value, int) and 400 <= value < 600:
            return value
    return None


def _type_in_stream(link: BaseException) -> str | None:
    body = _get(link, "body")
    inner = body.get("error", body) if isinstance(body, Mapping) else None
    kind = inner.get("type") if isinstance(inner, Mapping) else None
    return kind if isinstance(kind, str) else None


def _wait(link: BaseException) -> float | None:
    headers = _get(link, "response", "headers")
    return retry_after(headers) if isinstance(headers, Mapping) else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """How many seconds an answer asks to wait, where it says so, and not as a date."""
    found = ((headers.get("retry-after-ms"), 1000), (headers.get("retry-after"), 1))
    numbers = (float(said) / unit for said, unit in found if said and re.fullmatch(r"\d{1,7}(\.\d+)?", said))
    return next((seconds for seconds in numbers if seconds < LONGEST_WAIT_S), None)


def _parts(chain: list[BaseException]) -> Iterator[Any]:
    """The errors of a chain, and what they have as arguments: httpcore keeps a cause there."""
    return (part for link in chain for part in (link, *link.args))


def _is_unreadable(link: BaseException) -> bool:
    """Whether an SDK could not read what the model's API sent: it says so, or it was it that called json."""
    if type(link).__name__ in UNREADABLE and _is_of_sdk(type(link).__module__):
        return True
    if not isinstance(link, ValueError) or type(link).__name__ != "JSONDecodeError":
        return False
    frames = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(link.__traceback__)]
    callers = [module for module in frames if module.partition(".")[0] != "json"]
    return bool(callers) and _is_of_sdk(callers[-1])


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
