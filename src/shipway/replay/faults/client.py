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
    return _told(url, _ask("POST", url, keys))


def armed(url: str) -> list[Told]:
    """What is armed, in the order in which it is asked."""
    return _told(url, _ask("GET", url))


def clear(url: str) -> int:
    """Forget what was demanded; how many faults it were."""
    return int(_ask("DELETE", url).get("cleared", 0))


def _told(url: str, document: dict[str, Any]) -> list[Told]:
    try:
        return [Told(**told) for told in document["faults"]]
    except (KeyError, TypeError):
        raise _other(url) from None


def _ask(method: str, url: str, keys: dict[str, Any] | None = None) -> dict[str, Any]:
    try:
        with httpx2.Client(timeout=_TIMEOUT_S, trust_env=False) as client:
            answer = client.request(method, f"{url.rstrip('/')}{PATH}", json=keys)
            document = answer.json()
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise StackError(f"no replay answers at {url} ({error})", "start it: shipway up") from None
    except ValueError:
        raise _other(url) from None
    if not isinstance(document, dict):
        raise _other(url)
    if answer.status_code >= 400:
        said = document.get("error")
        if not isinstance(said, dict) or "fix" not in said:
            raise _other(url)
        raise StackError(said["message"], said["fix"])
    return document


def _other(url: str) -> StackError:
    return StackError(f"what answers at {url} is no replay, or one of another version", "name it: --url")
