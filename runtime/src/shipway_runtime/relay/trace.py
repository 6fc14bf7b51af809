"""Trace context on its way through the relay: W3C's headers, and the same in MCP's `params._meta`.

In: what a client sent, in headers and in `_meta`. Out: what its server is to see. A stdio server has no
headers, so a client's become members of `_meta`; an HTTP server gets headers, from `_meta` where the client
sent none. traceparent and tracestate go together and come from one place; baggage goes by itself. What is
malformed is dropped, never passed on in a new place. Pure.

Source: https://www.w3.org/TR/trace-context/, https://www.w3.org/TR/baggage/, and SEP-414 of MCP for the keys.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .messages import Json, meta_of

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


def trace_id(params: Json | None, headers: Mapping[str, str]) -> str | None:
    """The trace that a request belongs to, for log lines: 32 hexadecimal digits."""
    for carrier in (meta_of(params), headers):
        if parent := _parent(carrier.get("traceparent")):
            return parent[3:35]
    return None


def into_meta(params: Json | None, headers: Mapping[str, str]) -> Json | None:
    """Params for a stdio server. What the client put into `_meta` itself goes before its headers."""
    meta = meta_of(params)
    context = _context(meta, headers)
    rest = {key: value for key, value in meta.items() if key not in KEYS}
    if (new := {**rest, **context}) == meta:
        return params
    others = {key: value for key, value in (params or {}).items() if key != "_meta"}
    return {**others, "_meta": new} if new else others


def into_headers(params: Json | None, headers: Mapping[str, str]) -> dict[str, str]:
    """Headers for an HTTP server. The client's own go before what it put into `_meta`."""
    rest = {name: value for name, value in headers.items() if name not in KEYS}
    return rest | _context(headers, meta_of(params))


def _context(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, str]:
    """The valid values of two carriers, the first one's where both have some."""
    found = {}
    for carrier in (first, second):
        if parent := _parent(carrier.get("traceparent")):
            found["traceparent"] = parent
            if state := _state(carrier.get("tracestate")):
                found["tracestate"] = state
            break
    if baggage := _baggage(first.get("baggage")) or _baggage(second.get("baggage")):
        found["baggage"] = baggage
    return found


def _parent(value: object) -> str | None:
    match = _PARENT.fullmatch(value) if isinstance(value, str) and len(value) <= _LONGEST else None
    if not match or match["version"] == "ff" or (match["version"] == "00" and match["more"]):
        return None
    return match[0] if int(match["trace"], 16) and int(match["span"], 16) else None


def _state(value: object) -> str | None:
    members = _members(value)
    keys = [member.partition("=")[0] for member in members]
    if len(members) > _MOST_STATE_MEMBERS or len(set(keys)) < len(keys):
        return None
    return ",".join(members) if all(_STATE_MEMBER.fullmatch(member) for member in members) else None


def _baggage(value: object) -> str | None:
    members = _members(value)
    if len(members) > _MOST_BAGGAGE_MEMBERS:
        return None
    return ",".join(members) if all(_BAGGAGE_MEMBER.fullmatch(member) for member in members) else None


def _members(value: object) -> list[str]:
    """The members of a list; empty ones are allowed, and left out."""
    if not isinstance(value, str) or len(value) > _LONGEST:
        return []
    return [member for part in value.split(",") if (member := part.strip(" \t"))]
