"""The two worlds of MCP, and the way between them.

Legacy (2024-11-05 to 2025-11-25): a connection begins with `initialize`. Modern (2026-07-28): every request
carries its version and the client's capabilities in `_meta`, and `server/discover` says what a server can
do.

The relay opens each stdio server once, for all of its clients (`opening`). A client of the other world is
translated: its envelope is taken off or put on, and a result gets the members that the modern schema
requires. So a client in `auto` mode of mcp 2.x works statelessly in front of a legacy server, which also
means that it does not notice when the server or the relay restarts.

In: messages, headers, the server's own introduction. Out: messages. Pure.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from .messages import HEADER_MISMATCH, INVALID_PARAMS, UNSUPPORTED_VERSION, Json, RpcError, meta_of

if TYPE_CHECKING:
    from collections.abc import Mapping

Era = Literal["legacy", "modern"]

LEGACY_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN_VERSIONS = ("2026-07-28",)

VERSION_HEADER = "mcp-protocol-version"
METHOD_HEADER = "mcp-method"
NAME_HEADER = "mcp-name"
SESSION_HEADER = "mcp-session-id"

_PREFIX = "io.modelcontextprotocol/"
_VERSION = _PREFIX + "protocolVersion"
_CAPABILITIES = _PREFIX + "clientCapabilities"
_CLIENT = _PREFIX + "clientInfo"
_SERVER = _PREFIX + "serverInfo"
_LOG_LEVEL = _PREFIX + "logLevel"
SUBSCRIPTION = _PREFIX + "subscriptionId"

CLIENT_INFO: Json = {"name": "shipway-relay", "version": "1"}
_NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_CACHEABLE = {"tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read"}
_MODERN_CAPABILITIES = {
    "completions",
    "experimental",
    "extensions",
    "logging",
    "prompts",
    "resources",
    "tools",
}
METHODS_OF_SESSIONS = frozenset(
    {"initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"}
)
"""Requests that the modern world does not have."""
_FEATURES = ("elicitation", "roots", "sampling")


@dataclass(frozen=True, slots=True)
class Peer:
    """A stdio server as it introduced itself; `era` is how the relay talks to it."""

    era: Era
    version: str
    info: Json = field(default_factory=dict)
    capabilities: Json = field(default_factory=dict)
    instructions: str | None = None


# -- The relay as a client of the server -------------------------------------------------------------------


def initialize_params(features: Json | None = None) -> Json:
    """`features` are what the server may ask of its client: none when many clients share it."""
    return {"protocolVersion": LEGACY_VERSIONS[-1], "capabilities": features or {}, "clientInfo": CLIENT_INFO}


def envelope(features: Json | None = None, level: str | None = None) -> Json:
    """The `_meta` of a modern request that the relay makes itself, or on behalf of a legacy client."""
    meta = {_VERSION: MODERN_VERSIONS[-1], _CAPABILITIES: features or {}, _CLIENT: CLIENT_INFO}
    return meta | ({_LOG_LEVEL: level} if level else {})


def peer_of_initialize(result: Json) -> Peer:
    version = str(result.get("protocolVersion", LEGACY_VERSIONS[0]))
    return _peer("legacy", version, result, result.get("serverInfo"))


def peer_of_discover(result: Json) -> Peer:
    return _peer("modern", MODERN_VERSIONS[-1], result, meta_of(result).get(_SERVER))


def _peer(era: Era, version: str, result: Json, info: object) -> Peer:
    capabilities, instructions = result.get("capabilities"), result.get("instructions")
    return Peer(
        era,
        version,
        info if isinstance(info, dict) else {},
        capabilities if isinstance(capabilities, dict) else {},
        instructions if isinstance(instructions, str) else None,
    )


# -- The relay as a server to its clients ------------------------------------------------------------------


def initialize_result(peer: Peer, name: str, asked: object) -> Json:
    """What a legacy client is told: the version it asked for when it is one of ours, else the newest."""
    result: Json = {
        "protocolVersion": asked if asked in LEGACY_VERSIONS else LEGACY_VERSIONS[-1],
        "capabilities": peer.capabilities,
        "serverInfo": {"name": name, "version": "0", **peer.info},
    }
    return result if peer.instructions is None else result | {"instructions": peer.instructions}


def discover_result(peer: Peer, name: str) -> Json:
    """What a modern client is told."""
    capabilities = {k: v for k, v in peer.capabilities.items() if k in _MODERN_CAPABILITIES}
    result: Json = {
        "supportedVersions": [*LEGACY_VERSIONS, *MODERN_VERSIONS],
        "capabilities": capabilities,
        "_meta": {_SERVER: {"name": name, "version": "0", **peer.info}},
        **_COMPLETE,
        **_UNCACHED,
    }
    return result if peer.instructions is None else result | {"instructions": peer.instructions}


_COMPLETE: Json = {"resultType": "complete"}
_UNCACHED: Json = {"ttlMs": 0, "cacheScope": "private"}


def input_required(questions: Mapping[str, Json], state: str) -> Json:
    """A result that asks a modern client for something. It sends the request again, with its answers."""
    return {"resultType": "input_required", "inputRequests": dict(questions), "requestState": state}


def needs_input(result: Json) -> bool:
    return result.get("resultType") == "input_required"


def features_of(capabilities: object) -> Json:
    """Of a client's capabilities, those by which a server may ask it something."""
    if not isinstance(capabilities, dict):
        return {}
    return {name: capabilities[name] for name in _FEATURES if isinstance(capabilities.get(name), dict)}


def declared_features(message: Json) -> Json:
    """What a modern request lets the server ask."""
    return features_of(meta_of(message.get("params")).get(_CAPABILITIES))


def log_level(message: Json) -> str | None:
    """The least severe log message that a modern request wants to see; None for none at all."""
    level = meta_of(message.get("params")).get(_LOG_LEVEL)
    return level if isinstance(level, str) else None


def era_of(headers: Mapping[str, str], method: str) -> Era:
    """A request's world, by its version header; an `initialize` of no known version is still to negotiate."""
    version = headers.get(VERSION_HEADER)
    if version in MODERN_VERSIONS:
        return "modern"
    return "legacy" if version is None or version in LEGACY_VERSIONS or method == "initialize" else "modern"


def check_envelope(message: Json, headers: Mapping[str, str]) -> None:
    """Raises RpcError when a modern request lacks its envelope, or its headers say something else."""
    meta = meta_of(message.get("params"))
    if missing := [key for key in (_VERSION, _CAPABILITIES) if key not in meta]:
        raise RpcError(INVALID_PARAMS, f"params._meta lacks {' and '.join(missing)}")
    expected = {VERSION_HEADER: meta[_VERSION], METHOD_HEADER: message["method"]}
    if (key := _NAMED.get(message["method"])) and key in message["params"]:
        expected[NAME_HEADER] = message["params"][key]
    for header, value in expected.items():
        if (seen := _decode_header(headers.get(header))) != value:
            raise RpcError(
                HEADER_MISMATCH, f"header {header}: expected {value!r} as in the body, saw {seen!r}"
            )
    if meta[_VERSION] not in MODERN_VERSIONS:
        supported = [*LEGACY_VERSIONS, *MODERN_VERSIONS]
        data = {"supported": supported, "requested": meta[_VERSION]}
        raise RpcError(UNSUPPORTED_VERSION, f"MCP {meta[_VERSION]} is not spoken here", data=data)


def _decode_header(value: str | None) -> str | None:
    """Text that fits no header travels as `=?base64?…?=`; None when that is malformed."""
    if value is None or not (value.startswith("=?base64?") and value.endswith("?=")):
        return value
    try:
        return base64.b64decode(value[9:-2], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


# -- Between the two ---------------------------------------------------------------------------------------


def to_server(params: Json | None, client: Era, server: Era, meta: Json | None = None) -> Json | None:
    """A client's params in the server's world. `meta`: the envelope of a legacy client."""
    if client == server:
        return params
    if server == "modern":
        return {**(params or {}), "_meta": {**meta_of(params), **(meta or envelope())}}
    if not (meta := meta_of(params)):
        return params
    kept = {key: value for key, value in meta.items() if not key.startswith(_PREFIX)}
    rest = {key: value for key, value in (params or {}).items() if key != "_meta"}
    return {**rest, "_meta": kept} if kept else rest


def to_client(result: Json, method: str, client: Era, server: Era) -> Json:
    """A server's result in the client's world. A legacy client ignores what a modern server adds."""
    if client == server or client == "legacy":
        return result
    return {**_COMPLETE, **(_UNCACHED if method in _CACHEABLE else {}), **result}
