"""Whether a revision is ready, and why not: its agent's own words.

In: the address of a pod. Out: its health and the checks that its /readyz names. Nothing is raised: who does
not answer is not ready, and that is the cause.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2

from shipway.rollout.service.messages import Check
from shipway_runtime import contract

if TYPE_CHECKING:
    from shipway.rollout_snapshot import Health

TIMEOUT_S = 3.0


def ask(host: str | None) -> tuple[Health, tuple[Check, ...]]:
    """Of the pod at this address; None: it is nowhere."""
    if host is None:
        return "absent", ()
    try:
        with httpx2.Client(timeout=TIMEOUT_S, trust_env=False) as client:
            answer = client.get(f"http://{host}:{contract.ADMIN_PORT}/readyz")
    except httpx2.HTTPError as error:
        said = str(error) or type(error).__name__
        return "unready", (Check("agent", "down", error=f"does not answer: {said}"),)
    health: Health = "ready" if answer.status_code == 200 else "unready"
    return health, checks(_document(answer))


def checks(document: dict[str, Any]) -> tuple[Check, ...]:
    """The checks of an answer of /readyz, in its order."""
    found = document.get("checks", {})
    return tuple(
        Check(name, str(one.get("state", "")), one.get("since"), one.get("last_error") or "")
        for name, one in found.items()
        if isinstance(one, dict)
    )


def causes(found: tuple[Check, ...]) -> tuple[str, ...]:
    """What is wrong, a line for people each: `mcp git: connection refused`."""
    wrong = [one for one in found if one.state in ("down", "starting", "yes")]
    return tuple(f"{one.name}: {one.error or one.state}" for one in wrong)


def _document(answer: httpx2.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
