"""W3C's trace context and baggage: which values are valid.

In: header values as somebody sent them. Out: the same values, without empty list members, or None for what
the specifications do not allow. Pure.

Source: https://www.w3.org/TR/trace-context/ and https://www.w3.org/TR/baggage/
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

KEYS = ("traceparent", "tracestate", "baggage")

_PARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-[0-9a-f]{2}"
    r"(?P<more>-[\x21-\x7e]*)?"
)
_STATE_MEMBER = re.compile(
    r"(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
# Possessive quantifiers: no value takes more than one pass.
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"  # noqa: S105 - RFC 7230's, not a secret
_VALUE = r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*+"
_SPACE = r"[ \t]*+"
_PAIR = rf"{_TOKEN}{_SPACE}={_SPACE}{_VALUE}"
_BAGGAGE_MEMBER = re.compile(rf"{_PAIR}(?:{_SPACE};{_SPACE}(?:{_PAIR}|{_TOKEN}))*+")
_MOST_STATE_MEMBERS = 32
_MOST_BAGGAGE_MEMBERS = 180
_LONGEST = 8192  # bytes of one value


def ids(traceparent: str) -> tuple[str, str]:
    """Trace and span of a valid traceparent, in hexadecimal digits."""
    return traceparent[3:35], traceparent[36:52]


def context(first: Mapping[str, object], second: Mapping[str, object] | None = None) -> dict[str, str]:
    """The valid values of two carriers, the first one's where both have some.

    traceparent and tracestate go together and come from one place; baggage goes by itself.
    """
    found = {}
    carriers = (first,) if second is None else (first, second)
    for carrier in carriers:
        if valid := parent(carrier.get("traceparent")):
            found["traceparent"] = valid
            if members := state(carrier.get("tracestate")):
                found["tracestate"] = members
            break
    if carried := next(filter(None, (baggage(carrier.get("baggage")) for carrier in carriers)), None):
        found["baggage"] = carried
    return found


def parent(value: object) -> str | None:
    """A traceparent."""
    match = _PARENT.fullmatch(value) if isinstance(value, str) and len(value) <= _LONGEST else None
    if not match or match["version"] == "ff" or (match["version"] == "00" and match["more"]):
        return None
    return match[0] if int(match["trace"], 16) and int(match["span"], 16) else None


def state(value: object) -> str | None:
    """A tracestate."""
    members = _members(value)
    keys = [member.partition("=")[0] for member in members]
    if len(members) > _MOST_STATE_MEMBERS or len(set(keys)) < len(keys):
        return None
    return ",".join(members) if all(_STATE_MEMBER.fullmatch(member) for member in members) else None


def baggage(value: object) -> str | None:
    """A baggage."""
    members = _members(value)
    if len(members) > _MOST_BAGGAGE_MEMBERS:
        return None
    return ",".join(members) if all(_BAGGAGE_MEMBER.fullmatch(member) for member in members) else None


def _members(value: object) -> list[str]:
    """The members of a list; empty ones are allowed, and left out."""
    if not isinstance(value, str) or len(value) > _LONGEST:
        return []
    return [member for part in value.split(",") if (member := part.strip(" \t"))]
