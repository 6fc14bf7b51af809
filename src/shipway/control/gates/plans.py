"""The plan of a gate, as a request has it.

In: `{"stable", "share", "metrics": {NAME: {"margin"}}, "alpha"}`, with `judges`, `since` and `idle_s` where
they are meant. Out: a GatePlan; Refused says what is wrong with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shipway.control.http.answers import Refused
from shipway.gate import IDLE_S, Calibration, GatePlan

if TYPE_CHECKING:
    from collections.abc import Mapping

_REVISION = 256  # characters
_KEYS = {"stable", "share", "metrics", "alpha", "judges", "since", "idle_s"}
_FORM = '{"stable", "share", "metrics": {NAME: {"margin"}}, "alpha", "idle_s"}'


def read(canary: str, data: Mapping[str, Any], at: float) -> GatePlan:
    """The plan of a request's body. Raises Refused."""
    if unknown := sorted(set(data) - _KEYS):
        raise Refused(
            422, "no_gate", f"{unknown[0][:80]!r} is no key here; expected {', '.join(sorted(_KEYS))}"
        )
    stable = data.get("stable")
    if not (_is_revision(canary) and _is_revision(stable)):
        raise Refused(422, "no_gate", f"stable and canary: expected revisions, 1 to {_REVISION} characters")
    try:
        return GatePlan(
            canary=canary,
            stable=str(stable),
            share=_number(data.get("share")),
            metrics={name: _margin(**(one or {})) for name, one in data.get("metrics", {}).items()},
            alpha=_number(data.get("alpha", 0.05)) or 0.0,
            judges={name: _judge(**one) for name, one in data.get("judges", {}).items()},
            since=_since(data.get("since", at), at),
            idle_s=_number(data.get("idle_s", IDLE_S)) or 0.0,
        )
    except (TypeError, AttributeError):
        raise Refused(422, "no_gate", f"expected {_FORM}, with numbers") from None
    except ValueError as error:
        raise Refused(422, "no_gate", str(error)[:500]) from None


def _is_revision(name: Any) -> bool:
    return isinstance(name, str) and 0 < len(name) <= _REVISION and name.isprintable()


def _margin(margin: Any = None) -> float | None:
    return _number(margin)


def _judge(sensitivity: Any, specificity: Any) -> Calibration:
    found = _number(sensitivity), _number(specificity)
    if not all(value is not None and 0 <= value <= 1 for value in found):
        raise ValueError("judges: expected sensitivity and specificity, from 0 to 1")
    return Calibration(found[0] or 0.0, found[1] or 0.0)


def _number(value: Any) -> float | None:
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return None if value is None else float(value)
    raise TypeError


def _since(value: Any, at: float) -> float:
    """When the canary began: now, or a moment of the past."""
    since = _number(value)
    if since is None or not 0 < since <= at:
        raise ValueError("since: expected a time that is not in the future, in seconds since the epoch")
    return since
