"""Whether a revision is ready, and why not: its agent's own words.

In: the address of a pod. Out: its health and the checks that its /readyz names. Nothing is raised: who does
not answer is not ready, and that is the cause.
"""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

from shipway.rollout.service.messages import Check
from shipway_runtime import contract

if TYPE_CHECKING:
    from shipway.rollout_snapshot import Health

TIMEOUT_S = 3.0


def ask(host: str | None) -> tuple[Health, tuple[Check, ...]]:
    """Of the pod at this address; None: it is nowhere."""
    if host is None:
        return "absent", ()
    connection = HTTPConnection(host, contract.ADMIN_PORT, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, HTTPException) as error:
        said = str(error) or type(error).__name__
        return "unready", (Check("agent", "down", error=f"does not answer: {said}"),)
    finally:
        connection.close()
    health: Health = "ready" if answer.status == 200 else "unready"
    return health, checks(_document(text))


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


def _document(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
