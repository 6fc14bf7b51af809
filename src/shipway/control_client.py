"""Control, asked over HTTP: one deployment of one server.

In: its URL, a token, the deployment. Out: answers that control gave. Errors: ControlError, in control's own
words where it has any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import httpx2

from shipway.errors import ControlError
from shipway.loopback import is_loopback
from shipway_runtime.contract import env

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_S = 30.0
NOTHING: Mapping[str, str] = {}


class ControlClient:
    """To be closed, or used by `with`. `name` and `environment` are the deployment that is meant."""

    def __init__(self, url: str, token: str | None, name: str, environment: str) -> None:
        self.url = url.rstrip("/")
        self._query = {"name": name, "environment": environment}
        headers = {"authorization": f"Bearer {token}"} if token else {}
        try:
            here = is_loopback(urlsplit(url).hostname)  # a port that was forwarded: no proxy gets there
            self._client = httpx2.Client(
                base_url=self.url, headers=headers, timeout=TIMEOUT_S, trust_env=not here
            )
        except (httpx2.InvalidURL, ValueError) as error:
            raise ControlError(f"{url}: {error}", "give control's URL: http://HOST:8083") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End its connections."""
        self._client.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
        json: Any = None,
        taken: tuple[int, ...] = (),
    ) -> httpx2.Response:
        """An answer of 2xx, or with a status that is `taken`. Raises ControlError."""
        params = {**self._query, **query}
        try:
            answer = self._client.request(method, path, params=params, headers=dict(headers), json=json)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            said = str(error) or type(error).__name__
            raise ControlError(
                f"control at {self.url} is not reached: {said}", f"look at {env.CONTROL_URL}"
            ) from None
        if answer.is_success or answer.status_code in taken:
            return answer
        raise ControlError(
            f"control at {self.url} answers {answer.status_code}: {words(answer)}", _hint(answer)
        )


def words(answer: httpx2.Response) -> str:
    """What control says of a request that it refused."""
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return "not as a control does"


def _hint(answer: httpx2.Response) -> str:
    if answer.status_code == 401:
        return f"{env.CONTROL_TOKEN} is missing or wrong"
    if answer.status_code == 403:
        return f"{env.CONTROL_TOKEN} is a token of another role"
    return ""
