"""The gate of a rollout, at control: begun, told the canary's share, asked.

In: control's address and a token with the role `operate`, a deployment. Out: what the gate says. Errors:
RolloutError, in control's own words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import httpx2

from shipway.errors import RolloutError

if TYPE_CHECKING:
    from shipway.plan.rollout import RolloutPlan

TIMEOUT_S = 10.0
TOO_LITTLE = "too-little"


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the gate says; `words` are for people."""

    verdict: Literal["pass", "fail", "inconclusive"]
    too_little: bool
    pause: bool
    words: str


class Judge:
    """One deployment's gates at a control server."""

    def __init__(self, url: str, token: str | None, plan: RolloutPlan) -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._url, self._plan = url.rstrip("/"), plan
        self._client = httpx2.Client(base_url=self._url, headers=headers, timeout=TIMEOUT_S, trust_env=False)

    def close(self) -> None:
        self._client.close()

    def begin(self, canary: str, stable: str, share: float | None, since: float) -> None:
        """Judge a canary from `since` on, or tell the gate that judges it of another share."""
        metrics = {
            name: {} if margin is None else {"margin": margin} for name, margin in self._plan.metrics.items()
        }
        body = {
            "stable": stable,
            "share": share,
            "metrics": metrics,
            "alpha": self._plan.alpha,
            "since": since,
        }
        self._ask("PUT", f"/v1/gates/{canary}", {}, body)

    def opinion(self, canary: str) -> Opinion:
        """What is known of a canary now."""
        said = self._ask("GET", "/v1/verdict", {"canary": canary})
        return Opinion(said["verdict"], said["why"] == TOO_LITTLE, said["pause"], said["words"])

    def _ask(self, method: str, path: str, query: dict[str, str], body: Any = None) -> Any:
        query = {"name": self._plan.name, "environment": self._plan.environment, **query}
        try:
            answer = self._client.request(method, path, params=query, json=body)
        except httpx2.HTTPError as error:
            said = str(error) or type(error).__name__
            raise RolloutError(f"control at {self._url} is not reached: {said}") from None
        if answer.is_success:
            return answer.json()
        raise RolloutError(f"control at {self._url} answers {answer.status_code}: {_words(answer)}")


def _words(answer: httpx2.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]
