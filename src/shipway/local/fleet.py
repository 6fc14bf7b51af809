"""A fleet's policy, by its control: read, changed, and seen to arrive on each replica.

In: control's URL and a token, a deployment, a change. Out: the policy with its version; the replicas, each
with what it enforces. Errors: ControlError in control's own words, and where others changed it meanwhile.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from shipway.control_client import ControlClient, words
from shipway.errors import ControlError
from shipway_runtime import contract
from shipway_runtime.contract import Policy

if TYPE_CHECKING:
    from collections.abc import Callable

LOOK_S = 0.5
_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Put:
    """A policy that control holds. Version 0, and nobody has put one: agents go by their own."""

    policy: Policy
    etag: str
    version: int = 0
    by: str = ""
    reason: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Enforced:
    """What a replica does: `behind` still enforces another policy, and one that is `away` is not heard of."""

    replica: str
    revision: str
    state: Literal["in force", "behind", "away"]


class Fleet:
    """One deployment, and its control, to be closed by `with`. Every call raises ControlError."""

    def __init__(self, url: str, token: str | None, name: str, environment: str) -> None:
        self._client = ControlClient(url, token, name, environment)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def policy(self) -> Put:
        """The policy in force."""
        versions = self._client.ask("GET", "/v1/policy/versions", query={"limit": "1"}).json()
        return self._read(versions[0]) if versions else Put(Policy(), contract.NO_POLICY)

    def change(self, change: Callable[[Put], Policy], reason: str) -> Put:
        """Put what `change` makes of the policy in force; once more where somebody else was first."""
        said = ""
        for _ in range(_ATTEMPTS):
            before = self.policy()
            body = {"policy": json.loads(contract.encode(change(before))), "reason": reason}
            answer = self._client.ask(
                "PUT", contract.CONTROL_POLICY, headers={"if-match": before.etag}, json=body, taken=(412,)
            )
            if answer.status_code != 412:
                return self._read(answer.json())
            said = words(answer)
        raise ControlError(
            f"the policy was changed by others, {_ATTEMPTS} times in between: {said}",
            "look at it (`shipway policy show`), and do it again",
        )

    def enforced(self, etag: str) -> list[Enforced]:
        """Each replica that control has heard of, and whether it has the policy of this ETag."""
        revisions = self._client.ask("GET", "/v1/fleet").json()["revisions"]
        return [
            Enforced(
                replica["replica"],
                revision["revision"],
                "away" if replica["away"] else "in force" if replica["policy"] == etag else "behind",
            )
            for revision in revisions
            for replica in revision["replicas"]
        ]

    def arrive(self, etag: str, patience_s: float) -> list[Enforced]:
        """Wait until no replica is behind, `patience_s` seconds at most."""
        deadline = time.monotonic() + patience_s
        while True:
            found = self.enforced(etag)
            if all(one.state != "behind" for one in found) or time.monotonic() >= deadline:
                return found
            time.sleep(LOOK_S)

    def _read(self, document: dict[str, Any]) -> Put:
        policy = contract.decode(Policy, json.dumps(document["policy"]), "control's policy")
        return Put(policy, *(document[key] for key in ("etag", "version", "by", "reason", "at")))
