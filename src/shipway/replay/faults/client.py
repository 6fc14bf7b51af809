"""Telling a running replay what to do wrong: the client of control.py.

In: the replay's address, and a rule's keys. Out: the faults that are armed. Raises StackError.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx2

from shipway.errors import StackError
from shipway.replay.faults.control import PATH

_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Told:
    """An armed fault, for which requests, who asked for it; requests it was about and hit; seconds left."""

    fault: str
    choice: str
    place: str
    seen: int
    hits: int
    for_s: float | None


def arm(url: str, keys: dict[str, Any]) -> list[Told]:
    """Arm the fault; `keys` are those of a [[fault]], and `for_s`."""
    return [Told(**told) for told in _ask("POST", url, keys)["faults"]]


def armed(url: str) -> list[Told]:
    """What is armed, in the order in which it is asked."""
    return [Told(**told) for told in _ask("GET", url)["faults"]]


def clear(url: str) -> int:
    """Forget what was demanded; how many faults it were."""
    return int(_ask("DELETE", url)["cleared"])


def _ask(method: str, url: str, keys: dict[str, Any] | None = None) -> Any:
    try:
        with httpx2.Client(timeout=_TIMEOUT_S, trust_env=False) as client:
            answer = client.request(method, f"{url.rstrip('/')}{PATH}", json=keys)
            document = answer.json()
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise StackError(f"no replay answers at {url} ({error})", "start it: shipway up") from None
    except ValueError:
        raise StackError(f"what answers at {url} is no replay", "name the replay: --url") from None
    if answer.status_code >= 400:
        said = document.get("error", {}) if isinstance(document, dict) else {}
        raise StackError(said.get("message", f"{url} answers {answer.status_code}"), said.get("fix", ""))
    return document
