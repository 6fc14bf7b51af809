"""GET, PUT and DELETE /policy on the admin port, as documents.

In: the policy that stands, the counters of admission; a body. Out: a status and a document. Who may change is
decided before: admin/port.py asks for the token.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

from .. import contract
from ..contract import RESTRICTION_LIMIT_S, ContractError, Policy, Restricted, Restriction
from .merge import public
from .rules import PolicyError

if TYPE_CHECKING:
    from ..admin.port import Change
    from ..health.heart import Document
    from .admission import Admission
    from .standing import Standing

LONGEST_WORD = 500  # characters of `by` and `reason`


class Endpoint:
    """The three of them."""

    def __init__(self, standing: Standing, admission: Admission) -> None:
        self._standing, self._admission = standing, admission

    def show(self) -> Document:
        """GET: base, restriction, what both allow, and what of it is used."""
        standing = self._standing
        effective, base, restricted = standing.effective, standing.base, standing.restricted
        return 200, {
            "effective": public(effective) if effective else None,
            "since": round(standing.changed, 3),
            "base": base and dataclasses.asdict(base),
            "restriction": restricted and _restriction(restricted),
            "confirmed": round(standing.confirmed, 3),
            "problem": standing.problem,
            "usage": self._admission.document(),
            "denied": dict(standing.refused + self._admission.denied),
        }

    async def put(self, change: Change) -> Document:
        """PUT: lay a restriction over the base."""
        try:
            restriction = contract.decode(Restriction, change.body, "the body")
            _check(restriction)
            kept = self._standing.restrict(Restricted(restriction, time.time(), change.peer))
        except (ContractError, PolicyError) as error:
            return 400, {"error": str(error)}
        return 200, {"kept": kept, **self.show()[1]}

    async def delete(self, change: Change) -> Document:
        """DELETE: the base alone again. The body may say by whom and why, as in a restriction."""
        try:
            text = change.body or contract.encode(Restriction(Policy()))
            said = contract.decode(Restriction, text, "the body")
            _check(said)
        except (ContractError, PolicyError) as error:
            return 400, {"error": str(error)}
        kept = self._standing.lift(by=said.by, reason=said.reason, peer=change.peer)
        return 200, {"kept": kept, **self.show()[1]}


def _check(restriction: Restriction) -> None:
    if not 0 < restriction.for_s <= RESTRICTION_LIMIT_S:
        days = RESTRICTION_LIMIT_S / 86400
        raise PolicyError(
            f"for_s: expected more than 0 s and at most {days:g} days, saw {restriction.for_s:g}; "
            "what is to stay belongs into the policy itself: the file, or control"
        )
    if max(len(restriction.by), len(restriction.reason)) > LONGEST_WORD:
        raise PolicyError(f"by, reason: expected at most {LONGEST_WORD} characters")


def _restriction(restricted: Restricted) -> dict[str, Any]:
    return {
        "policy": dataclasses.asdict(restricted.restriction.policy),
        "since": round(restricted.since, 3),
        "until": round(restricted.until, 3),
        "remaining_s": round(max(restricted.until - time.time(), 0.001), 3),
        "by": restricted.restriction.by,
        "reason": restricted.restriction.reason,
        "peer": restricted.peer,
    }
