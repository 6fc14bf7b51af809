"""The engine's HTTP API, through its socket.

In: a path of the API, a body. Out: what the engine answers. Errors: RolloutError, in the engine's own words.
Without a version in the path an engine answers by its newest; what is asked here is the same in all of them
since Docker 20.10.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx2

from shipway.errors import RolloutError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TIMEOUT_S = 120.0
"""Making a container takes a moment on a machine that is busy."""


class Engine:
    """One engine; may be used from several threads, and has to be closed."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        transport = httpx2.HTTPTransport(uds=socket)
        self._client = httpx2.Client(transport=transport, base_url="http://engine", timeout=TIMEOUT_S)

    def close(self) -> None:
        """End its connections."""
        self._client.close()

    def find(self, path: str, **query: object) -> Any:
        """What is at a path; None where nothing is."""
        return self._ask("GET", path, query, absent=True)

    def do(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        absent: bool = False,
        timeout_s: float = TIMEOUT_S,
        **query: object,
    ) -> Any:
        """Change something; what is so already is no error. None where `absent` things may be, and are."""
        return self._ask(method, path, query, body, absent=absent, timeout_s=timeout_s)

    def wait_for_events(self, filters: str) -> Iterator[None]:
        """Comes back whenever something happens to what `filters` name, until the engine ends it."""
        query = {"filters": filters}
        forever = httpx2.Timeout(TIMEOUT_S, read=None)
        try:
            with self._client.stream("GET", "/events", params=query, timeout=forever) as answer:
                for _ in answer.iter_bytes():
                    yield
        except httpx2.HTTPError as error:
            raise RolloutError(f"the container engine says no more: {error}") from None

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, object],
        body: Mapping[str, Any] | None = None,
        *,
        absent: bool,
        timeout_s: float = TIMEOUT_S,
    ) -> Any:
        try:
            answer = self._client.request(method, path, params=_written(query), json=body, timeout=timeout_s)
        except httpx2.HTTPError as error:
            said = str(error) or type(error).__name__
            raise RolloutError(f"the container engine does not answer at {self._socket}: {said}") from None
        if answer.status_code == 404 and absent:
            return None
        if answer.is_success or answer.status_code == 304:
            return answer.json() if answer.headers.get("content-type", "") == "application/json" else None
        raise RolloutError(f"the container engine refuses: {_words(answer)}")


def labelled(labels: Mapping[str, str]) -> str:
    """A filter for lists: what has all these labels."""
    return json.dumps({"label": [f"{name}={value}" for name, value in labels.items()]})


def seconds(text: str) -> float | None:
    """A time of the engine's, RFC 3339 with nanoseconds, in seconds since the epoch; None for never."""
    whole, _, rest = text.partition(".")
    if not rest:
        whole, rest = whole.rstrip("Z"), "0Z"
    if whole.startswith("0001-"):
        return None
    fraction = rest.rstrip("Z") or "0"
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction}")


def _written(query: Mapping[str, object]) -> dict[str, str]:
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in query.items()
    }


def _words(answer: httpx2.Response) -> str:
    try:
        return " ".join(str(answer.json()["message"]).split())
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code}"
