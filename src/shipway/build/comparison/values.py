"""Settings, configs and MCP servers as flat keys -> which values differ: pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class ValueChange:
    """A value that differs, as JSON has it; None where it is not there, or not set."""

    key: str
    before: Any
    after: Any


def compare_values(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[ValueChange]:
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            yield ValueChange(key, old.get(key), new.get(key))


def of_file(contents: contract.Contents) -> dict[str, Any]:
    """What agent.toml says for every environment."""
    live = contents.live
    evals = {"live": live.entrypoint, "sample": live.sample} if live else {}
    return _flat({"entrypoint": contents.entrypoint, "evals": evals} | _plain(contents.settings))


def of_config(config: contract.Config | None) -> dict[str, Any]:
    """What one environment has; a tenant's as `tenants.NAME.…`."""
    said = _plain(config) if config else {}
    return _flat(said.get("settings", {}) | {"tenants": said.get("tenants", {})})


def of_tools(contents: contract.Contents, *, programs: bool) -> dict[str, Any]:
    """Each MCP server's values, as `NAME.key`; without `programs` only what an image knows as well."""
    hidden = () if programs else ("run", "args")
    servers = {name: _plain(server) for name, server in contents.tools.items()}
    return _flat({n: {k: v for k, v in one.items() if k not in hidden} for n, one in servers.items()})


def _plain(value: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(contract.encode(value))
    return found


def _flat(value: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Dotted keys of what is set."""
    found: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(inner, dict):
            found |= _flat(inner, f"{path}{key}.")
        elif inner not in (None, [], ""):
            found[f"{path}{key}"] = inner
    return found
