"""Amazon ECS asks whether a canary may go on: the function behind a deployment's lifecycle hook.

In: ECS's event at PRE_PRODUCTION_TRAFFIC_SHIFT, before the canary's share and again before all of the
traffic; its `hookDetails` say what is judged. Out: a `hookStatus`. ECS calls again where that is IN_PROGRESS,
with the `hookDetails` that it was given. This file is the whole function: it is rendered as it is, and needs
nothing but Python, SHIPWAY_CONTROL_URL, and SHIPWAY_CONTROL_TOKEN with the role `operate`.
"""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from typing import Any

AGAIN_S = 30
TIMEOUT_S = 10

Details = dict[str, Any]
"""`deployment` (a query), `canary`, `gate` (the body that begins it), `hold_s`, `enough` (a query, or empty);
`since` when it was first asked with users on the canary."""


class Refused(Exception):
    """Control's answer that is no yes: its status, and its own words."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"control answers {status}: {text}")
        self.status, self.text = status, text


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """What ECS is to do. It takes a function that fails for a no, so this one does not fail."""
    details: Details = dict(event["hookDetails"])
    execution = event["executionDetails"]
    weights = execution.get("productionTrafficWeights") or {}
    try:
        if weights.get(execution["targetServiceRevisionArn"]):
            return decide(details)
        return begin(details)
    except (Refused, OSError, ValueError) as error:  # whoever is away, or has a wrong token, is asked again
        print(error)
        return later(details)


def begin(details: Details) -> dict[str, Any]:
    """Control judges from now on. The first deployment has nothing to be compared with."""
    try:
        ask("PUT", details, f"/v1/gates/{details['canary']}", body=details["gate"])
    except Refused as refused:
        if "no_stable" not in refused.text:
            raise
    return {"hookStatus": "SUCCEEDED"}


def decide(details: Details) -> dict[str, Any]:
    """Worse: back, at once. Else, after the hold, what control says."""
    try:
        answer: dict[str, Any] = ask("GET", details, "/v1/verdict", f"&as=ecs{details['enough']}")
    except Refused as refused:
        if refused.status != 404:
            raise
        return begin(details)
    since = details.setdefault("since", time.time())
    held = time.time() >= since + details["hold_s"]
    if answer["hookStatus"] == "IN_PROGRESS" or (answer["hookStatus"] == "SUCCEEDED" and not held):
        return later(details)
    ask("DELETE", details, f"/v1/gates/{details['canary']}")
    return answer


def later(details: Details) -> dict[str, Any]:
    """ECS calls again, with what is known so far."""
    return {"hookStatus": "IN_PROGRESS", "callBackDelay": AGAIN_S, "hookDetails": details}


def ask(method: str, details: Details, path: str, more: str = "", body: Any = None) -> Any:
    """What control answers; None where that is nothing. Raises Refused, or OSError where it is away."""
    query = f"{details['deployment']}&canary={details['canary']}{more}"
    request = urllib.request.Request(  # noqa: S310 - the account's own address
        f"{os.environ['SHIPWAY_CONTROL_URL'].rstrip('/')}{path}?{query}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"authorization": f"Bearer {os.environ['SHIPWAY_CONTROL_TOKEN']}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            text = answer.read()
    except urllib.error.HTTPError as refused:
        raise Refused(refused.code, refused.read().decode(errors="replace")) from None
    return json.loads(text) if text else None
