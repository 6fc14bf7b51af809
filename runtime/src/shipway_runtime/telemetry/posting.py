"""POST to control, one after another, and what came of each.

In: a path of control's, bodies. Out: `Answer`. On the control loop; httpx2 is imported by the first, in a
thread. After a failure the next attempt has a connection of its own, and sees a new CA and a new token.
"""

from __future__ import annotations

import asyncio
import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import __version__, contract
from ..policy.remote import control_token

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx2

    from ..config import Deployment
    from ..secrets.declared import Secrets

HINTS = {
    401: f": {contract.env.CONTROL_TOKEN} is missing or wrong",
    403: f": {contract.env.CONTROL_TOKEN} may not do this",
    404: ": this is no control server, or an older one",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What control said. `status` is 0 where it said nothing; `retry_s` is how long it asks to wait.

    `said` tells people what was wrong; of a good answer it is not meant for them.
    """

    status: int
    said: str
    retry_s: float = 0.0

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


class Posting:
    """The way to one path of control's, which knows from `query` whose it is."""

    def __init__(
        self,
        url: str,
        query: Mapping[str, str],
        token: Callable[[], str | None],
        content_type: str,
        timeout_s: float,
    ) -> None:
        self.url, self._query = url, dict(query)
        self._token, self._type, self._timeout_s = token, content_type, timeout_s
        self._client: httpx2.AsyncClient | None = None

    async def post(self, body: bytes) -> Answer:
        """Ask once."""
        answer = await self._ask(body)
        if not answer.good:
            await self.close()
        return answer

    async def close(self) -> None:
        """Close the connection, if there is one; the next attempt opens another."""
        if self._client:
            client, self._client = self._client, None
            await client.aclose()

    async def _ask(self, body: bytes) -> Answer:
        httpx: Any = await asyncio.to_thread(importlib.import_module, "httpx2")
        try:
            if self._client is None:
                self._client = await asyncio.to_thread(httpx.AsyncClient, timeout=self._timeout_s)
            client: httpx2.AsyncClient = self._client  # type: ignore[assignment]
            async with asyncio.timeout(self._timeout_s):
                answer = await client.post(
                    self.url, params=self._query, headers=self._headers(), content=body
                )
        except TimeoutError:
            return Answer(0, f"no answer within {self._timeout_s:g} s")
        except (httpx.TransportError, OSError) as error:
            return Answer(0, f"{type(error).__name__}: {error}")
        wait = answer.headers.get("retry-after", "")
        said = f"it answered {answer.status_code}{HINTS.get(answer.status_code, '')}"
        return Answer(answer.status_code, said, float(wait) if wait.isdecimal() else 0.0)

    def _headers(self) -> dict[str, str]:
        token = self._token()
        headers = {"user-agent": f"shipway-runtime/{__version__}", "content-type": self._type}
        return headers | ({"authorization": f"Bearer {token}"} if token else {})


def shown_token(
    deployment: Deployment, secrets: Secrets, environ: Mapping[str, str]
) -> Callable[[], str | None]:
    """What this process shows to control, as it is now; the log never has it."""
    known = control_token(deployment, environ)

    def token() -> str | None:
        if value := known.get():
            secrets.learn(value)
        return value

    return token
