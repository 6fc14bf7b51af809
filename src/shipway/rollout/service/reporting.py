"""Control and the controller: how the rollout stands goes there, people's orders come from there.

In: a rollout after a round. Out: its snapshot at control; orders among the records, from where the next round
takes them. Errors: RolloutError, where control is away; no rollout waits for it.
"""

from __future__ import annotations

import dataclasses
import json
import time
from typing import TYPE_CHECKING

from shipway.control_client import ControlClient
from shipway.errors import ControlError, RolloutError
from shipway.rollout.service import readiness
from shipway.rollout.service.snapshots import revision, snapshot
from shipway.rollout_snapshot import ORDERS_PATH, PATH, TELL_EVERY_S, Order
from shipway_runtime import contract
from shipway_runtime.contract import ContractError

if TYPE_CHECKING:
    from shipway.plan.deployment import Deployment
    from shipway.rollout.service.host import Host
    from shipway.rollout.store import Rollout
    from shipway.rollout_snapshot import GateSeen, RevisionSeen, Snapshot


def look(host: Host, rollout: Rollout, gate: GateSeen | None, trouble: str) -> Snapshot:
    """How a rollout stands now."""
    return snapshot(
        rollout,
        _seen(host, rollout.state.canary),
        _seen(host, rollout.state.stable),
        gate=gate,
        trail=host.store.history(rollout),
        trouble=trouble,
        heard=host.records.heard,
        now=time.time(),
    )


def _seen(host: Host, name: str) -> RevisionSeen:
    return revision(name, *readiness.ask(host.pod(name)))


class Reporting:
    """Of one deployment."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._client: ControlClient | None = None
        self._told: Snapshot | None = None
        self._told_at = 0.0

    def close(self) -> None:
        """End its connections."""
        if self._client:
            self._client.close()
        self._client = None

    def report(self, deployment: Deployment, rollout: Rollout, gate: GateSeen | None, trouble: str) -> None:
        """Say how it stands, where that is news; take orders. After its end it is said once."""
        if rollout.state.ended and self._told and self._told.ended and self._told.begun == rollout.begun:
            return
        client = self._client_at(self._host.control_url(deployment), deployment)
        try:
            if not rollout.state.ended:
                self._take_orders(client, rollout)
            self._tell(client, look(self._host, rollout, gate, trouble))
        except ControlError as error:
            raise RolloutError(str(error), error.hint) from None

    def _tell(self, client: ControlClient, now: Snapshot) -> None:
        quiet = now.at - self._told_at < TELL_EVERY_S
        if quiet and self._told and _is_same(self._told, now):
            return
        client.ask("PUT", PATH, json=dataclasses.asdict(now))
        self._told, self._told_at = now, now.at

    def _take_orders(self, client: ControlClient, rollout: Rollout) -> None:
        records = self._host.records
        answer = client.ask("GET", ORDERS_PATH, query={"after": str(records.heard)})
        for order in _orders(answer.text):
            if (order.canary, order.begun) == (rollout.state.canary, rollout.begun):
                records.order(rollout.id, order.what, order.by, order.reason)
            records.hear(order.number)

    def _client_at(self, url: str, deployment: Deployment) -> ControlClient:
        if self._client is None or self._client.url != url:
            self.close()
            token = self._host.secrets.own_token
            self._client = ControlClient(url, token, deployment.name, deployment.environment)
        return self._client


def _orders(text: str) -> tuple[Order, ...]:
    try:
        return tuple(contract.decode(Order, json.dumps(one), "orders") for one in json.loads(text))
    except (ValueError, KeyError, TypeError, ContractError) as error:
        raise ControlError(f"control's orders are not understood: {error}") from None


def _is_same(told: Snapshot, now: Snapshot) -> bool:
    """Whether nothing has changed but the clock."""
    return dataclasses.replace(now, at=told.at, held_s=told.held_s) == told
