"""The gate of a rollout, at control: begun, told the canary's share, asked.

In: control's address and a token with the role `operate`, a plan. Out: what the gate says. Errors:
RolloutError, in control's own words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shipway.control_client import ControlClient
from shipway.errors import ControlError, RolloutError
from shipway.rollout_snapshot import GateSeen
from shipway_runtime import contract
from shipway_runtime.contract import ContractError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from httpx2 import Response

    from shipway.plan.rollout import RolloutPlan

TOO_LITTLE = "too-little"
"""Why a gate is inconclusive that has seen nothing to speak of."""


class Judge:
    """One deployment's gates at a control server."""

    def __init__(self, url: str, token: str | None, plan: RolloutPlan) -> None:
        self._client, self._plan = ControlClient(url, token, plan.name, plan.environment), plan

    def close(self) -> None:
        self._client.close()

    def begin(self, canary: str, stable: str, share: float | None, since: float) -> None:
        """Judge a canary from `since` on, or tell the gate that judges it of another share."""
        body = {"stable": stable, "share": share, "since": since, **self._plan.gate}
        self._ask("PUT", f"/v1/gates/{canary}", {}, body)

    def ask(self, canary: str) -> GateSeen:
        """What is known of a canary now."""
        answer = self._ask("GET", "/v1/verdict", {"canary": canary})
        try:
            return contract.decode(GateSeen, answer.text, "the verdict")
        except ContractError as error:
            raise RolloutError(f"control says what this controller does not know: {error}") from None

    def _ask(self, method: str, path: str, query: Mapping[str, str], body: Any = None) -> Response:
        try:
            return self._client.ask(method, path, query=query, json=body)
        except ControlError as error:
            raise RolloutError(str(error), error.hint) from None
