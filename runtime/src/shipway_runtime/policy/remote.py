"""The policy as control gives it: GET /v1/policy, asked each second.

In: control's address, a token. Out: the policy, or None while it is the one already known. Errors:
RemoteError with what came instead. `ETag` and `If-None-Match` make an unchanged policy a 304 without a body.
The caller paces: `pause` says how long to wait, and not exactly, so that a fleet that started together does
not ask together.
"""

from __future__ import annotations

import asyncio
import importlib
import random
from typing import TYPE_CHECKING

from .. import __version__, contract
from ..contract import ContractError, Policy, env
from ..errors import StartError
from ..secrets.declared import Given, Mounted

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx2

    from ..config import Deployment
    from ..secrets.declared import Secret, Secrets

EVERY_S = 1.0
LONGEST_PAUSE_S = 4.0  # while control is away: it must be heard soon after it is back
TIMEOUT_S = 3.0
LIMIT = 1_000_000  # bytes of a policy


class RemoteError(Exception):
    """Control gave no policy."""


class Remote:
    """Control, for one agent. `fetch` and `close` belong to the control loop."""

    def __init__(
        self, url: str, deployment: Deployment, secrets: Secrets, environ: Mapping[str, str]
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise StartError(f'{env.CONTROL_URL}: expected a URL such as "https://control:8443", saw "{url}"')
        self._url = url.rstrip("/") + contract.CONTROL_POLICY
        self._query = deployment.control_query
        self._secrets = secrets
        self._token = control_token(deployment, environ)
        self._client: httpx2.AsyncClient | None = None
        self.etag: str | None = None

    @property
    def silent(self) -> bool:
        """Whether nobody has put a policy there for this agent."""
        return self.etag == contract.NO_POLICY

    @property
    def source(self) -> str:
        """Whose policy this is, in one line."""
        return f"{self._url} ({self._query['name']}, {self._query['environment']})"

    async def fetch(self) -> Policy | None:
        """Ask once. Raises RemoteError."""
        httpx2 = await asyncio.to_thread(importlib.import_module, "httpx2")
        self._client = self._client or httpx2.AsyncClient(timeout=TIMEOUT_S)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await self._client.get(self._url, params=self._query, headers=self._headers())
        except TimeoutError:
            raise RemoteError(f"{self._url}: no answer within {TIMEOUT_S:g} s") from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise RemoteError(f"{self._url}: {str(error) or type(error).__name__}") from None
        return self._read(answer)

    async def close(self) -> None:
        if self._client:
            await self._client.aclose()

    def _headers(self) -> dict[str, str]:
        headers = {"user-agent": f"shipway-runtime/{__version__}", "accept": "application/json"}
        if self.etag:
            headers["if-none-match"] = self.etag
        if token := self._token.get():
            self._secrets.learn(token)
            headers["authorization"] = f"Bearer {token}"
        return headers

    def _read(self, answer: httpx2.Response) -> Policy | None:
        if answer.status_code == 304 and self.etag:
            return None
        if answer.status_code in (401, 403):
            raise RemoteError(f"{self._url}: {answer.status_code}, it does not take {env.CONTROL_TOKEN}")
        if answer.status_code != 200:
            raise RemoteError(f"{self._url}: expected 200 or 304, saw {answer.status_code}")
        if len(answer.content) > LIMIT:
            raise RemoteError(f"{self._url}: expected at most {LIMIT} bytes, saw {len(answer.content)}")
        try:
            policy = contract.decode(Policy, answer.content, self._url)
        except ContractError as error:
            raise RemoteError(str(error)) from None
        self.etag = answer.headers.get("etag")
        return policy


def pause(failures: int) -> float:
    """Seconds until the next attempt, after so many failures in a row."""
    wait: float = min(EVERY_S * 2 ** min(failures, 8), LONGEST_PAUSE_S)
    return wait * random.uniform(0.8, 1.1)  # noqa: S311


def control_token(deployment: Deployment, environ: Mapping[str, str]) -> Secret:
    """What this process shows to control: from the environment, or a file among the secrets."""
    if given := environ.get(env.CONTROL_TOKEN):
        return Given(env.CONTROL_TOKEN, given)
    return Mounted(env.CONTROL_TOKEN, deployment.places.secrets / env.CONTROL_TOKEN)
