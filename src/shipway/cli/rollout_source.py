"""Where a rollout is heard of: control, or the controller itself.

In: which deployment is meant, and where its control is. Out: a source that says what is known of its rollout.
Errors: ControlError and RolloutError, from the first question on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

from shipway.control_client import ControlClient
from shipway.errors import ControlError
from shipway.rollout_snapshot import ORDERS_PATH, PATH, Known, Order
from shipway_runtime import contract

if TYPE_CHECKING:
    from shipway.rollout_snapshot import What

T = TypeVar("T")


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

    def order(self, what: What, reason: str, canary: str) -> Order:
        """Say to the rollout of this canary what it is to do; it is done when the controller has heard it."""
        body = {"what": what, "reason": reason, "canary": canary}
        return _decode(Order, self.client.ask("POST", ORDERS_PATH, json=body).content)


def _decode(kind: type[T], text: bytes) -> T:
    try:
        return contract.decode(kind, text, "control's answer")
    except contract.ContractError as error:
        raise ControlError(str(error), "control and this shipway are of different versions") from None
