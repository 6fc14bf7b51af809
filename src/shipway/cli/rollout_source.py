"""Where a rollout is heard of: control, or the controller itself.

In: which deployment is meant, and where its control is. Out: a source that says what is known of its rollout.
Errors: ControlError and RolloutError, from the first question on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from shipway.cli.deployed import me
from shipway.control_client import ControlClient
from shipway.deploy.controller import Controller
from shipway.deploy.following import is_late
from shipway.errors import ControlError
from shipway.rollout_snapshot import ORDERS_PATH, PATH, Known, Order
from shipway_runtime import contract

if TYPE_CHECKING:
    from shipway.rollout_snapshot import What

T = TypeVar("T")


class Source(Protocol):
    """To be used by `with`."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...

    def known(self) -> Known:
        """What is known now."""

    def order(self, what: What, reason: str) -> str:
        """Say to the rollout that goes on what it is to do; returns what becomes of that, in words."""


@dataclass(frozen=True, slots=True)
class AtControl:
    """A deployment's rollout, through its control; to be used by `with`."""

    client: ControlClient

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def known(self) -> Known:
        """What control knows now."""
        return _decode(Known, self.client.ask("GET", PATH).content)

    def order(self, what: What, reason: str) -> str:
        """Say to the rollout that goes on what it is to do; returns what becomes of that, in words."""
        if not reason:
            raise ControlError(f"control keeps who orders to {what}, and why", "say it: --reason TEXT")
        rollout = self.known().rollout
        canary = {"canary": rollout.canary.revision} if rollout else {}
        body = {"what": what, "reason": reason} | canary
        order = _decode(Order, self.client.ask("POST", ORDERS_PATH, json=body).content)
        return f"order {order.number}, to {what} the rollout of {order.canary}: its controller hears it soon"


@dataclass(frozen=True, slots=True)
class AtController:
    """The same through the engine, of its controller itself."""

    controller: Controller

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def known(self) -> Known:
        """What the controller knows now."""
        status = self.controller.status()
        return Known(status.rollout, status.at, away=is_late(status, time.time()))

    def order(self, what: What, reason: str) -> str:
        """See AtControl."""
        return self.controller.order(what, me(), reason).words


def _decode(kind: type[T], text: bytes) -> T:
    try:
        return contract.decode(kind, text, "control's answer")
    except contract.ContractError as error:
        raise ControlError(str(error), "control and this shipway are of different versions") from None
