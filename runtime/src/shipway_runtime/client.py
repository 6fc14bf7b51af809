"""One request to a server that others run: token endpoints, key sets.

In: method, URL, headers, body, and how much the answer may hold and take. Out: `Answer`; or ClientError, in
one sentence that begins with the URL. Redirects are not followed: what is sent is for one place. Proxies and
certificates are those of the environment; what is on loopback is reached without a proxy.

httpx2 is imported by the first request, in a thread, and so are certificates read: both take longer than a
probe of the control loop may wait.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx2

_CONNECT_TIMEOUT_S = 5.0
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever its status. Names of headers may be asked for in any case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class ClientError(Exception):
    """There is no whole answer. `words` are another's, and may hold anything; None where they are ours."""

    def __init__(self, message: str, words: str | None = None) -> None:
        super().__init__(message)
        self.words = words


async def request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
    *,
    limit: int,
    timeout_s: float,
) -> Answer:
    """Ask once. The client is made anew, so that a new CA is seen. Raises ClientError."""
    httpx = await asyncio.to_thread(importlib.import_module, "httpx2")
    given = {"accept": "application/json", "accept-encoding": "identity", **headers}
    try:
        async with asyncio.timeout(timeout_s):
            client: httpx2.AsyncClient = await asyncio.to_thread(_make_client, httpx, url, timeout_s)
            async with client, client.stream(method, url, headers=given, content=body) as response:
                content = await _read(response, url, limit)
                return Answer(response.status_code, response.headers, content)
    except TimeoutError:
        raise ClientError(f"{url} did not answer within {timeout_s:g} s") from None
    except (httpx.TransportError, httpx.InvalidURL, OSError) as error:
        raise ClientError(f"{url} cannot be reached", str(error) or type(error).__name__) from None


def _make_client(httpx: Any, url: str, timeout_s: float) -> Any:
    parts = urlsplit(url)
    return httpx.AsyncClient(
        follow_redirects=False,
        timeout=httpx.Timeout(timeout_s, connect=_CONNECT_TIMEOUT_S),
        trust_env=parts.hostname not in _LOOPBACK,  # proxies
        verify=httpx.create_ssl_context() if parts.scheme == "https" else False,  # SSL_CERT_FILE included
    )


async def _read(response: httpx2.Response, url: str, limit: int) -> bytes:
    content = b""
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > limit:
            raise ClientError(f"{url} answered with more than {limit} bytes")
    return content
