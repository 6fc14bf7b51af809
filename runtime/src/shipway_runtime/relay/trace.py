"""Trace context on its way through the relay: W3C's headers, and the same in MCP's `params._meta`.

In: what a client sent, in headers and in `_meta`. Out: what its server is to see. A stdio server has no
headers, so a client's become members of `_meta`; an HTTP server gets headers, from `_meta` where the client
sent none. What is malformed is dropped, never passed on in a new place. Pure.

Source: SEP-414 of MCP for the keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..telemetry import w3c
from .messages import Json, meta_of

if TYPE_CHECKING:
    from collections.abc import Mapping


def trace_id(params: Json | None, headers: Mapping[str, str]) -> str | None:
    """The trace that a request belongs to, for log lines: 32 hexadecimal digits."""
    for carrier in (meta_of(params), headers):
        if parent := w3c.parent(carrier.get("traceparent")):
            return w3c.ids(parent)[0]
    return None


def into_meta(params: Json | None, headers: Mapping[str, str]) -> Json | None:
    """Params for a stdio server. What the client put into `_meta` itself goes before its headers."""
    meta = meta_of(params)
    rest = {key: value for key, value in meta.items() if key not in w3c.KEYS}
    if (new := {**rest, **w3c.context(meta, headers)}) == meta:
        return params
    others = {key: value for key, value in (params or {}).items() if key != "_meta"}
    return {**others, "_meta": new} if new else others


def into_headers(params: Json | None, headers: Mapping[str, str]) -> dict[str, str]:
    """Headers for an HTTP server. The client's own go before what it put into `_meta`."""
    rest = {name: value for name, value in headers.items() if name not in w3c.KEYS}
    return rest | w3c.context(headers, meta_of(params))
