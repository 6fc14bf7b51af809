"""Plans for people: an indented outline without what is empty, and with where a value was written.

In: a plan, and the provenance of its settings. Out: text.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shipway.plan import codec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CONFIG, _SETTINGS, _TENANTS = "config.", "config.settings.", "config.tenants."
_NAMES = {"timeout_s": "timeout", "grace_s": "grace", "limits": "policy", "spend_usd": "spend"}
_NAMES |= {"url_secret": "url.secret"}
"""Keys of the contract that agent.toml spells in another way."""


def outline(plan: object, provenance: Mapping[str, str] | None = None) -> str:
    """The plan as lines of `key: value`; a setting that is not a default says where it was written."""
    data = json.loads(codec.encode(plan))
    if isinstance(data, dict) and "config" in data:
        data["config"].pop("provenance", None)
    return "".join(f"{line}\n" for line in _lines(_pruned(data), "", "", provenance or {}))


def _pruned(value: Any) -> Any:
    """The value without what is empty, and without what holds nothing else."""
    if isinstance(value, list):
        return [_pruned(item) for item in value]
    if not isinstance(value, dict):
        return value
    items = {key: _pruned(item) for key, item in value.items()}
    return {key: item for key, item in items.items() if item not in (None, [], {}, "")}


def _lines(value: Any, indent: str, path: str, provenance: Mapping[str, str]) -> Iterator[str]:
    pairs = enumerate(value) if isinstance(value, list) else value.items()
    for key, item in pairs:
        name, here = ("-", path) if isinstance(value, list) else (f"{key}:", f"{path}{key}")
        if isinstance(item, dict) or (isinstance(item, list) and any(isinstance(i, dict) for i in item)):
            yield f"{indent}{name}"
            yield from _lines(item, indent + "  ", f"{here}.", provenance)
        else:
            text = item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)
            yield f"{indent}{name} {text}{_origin(here, provenance)}"


def _origin(path: str, provenance: Mapping[str, str]) -> str:
    if not path.startswith((_SETTINGS, _TENANTS)):
        return ""
    named = path.removeprefix(_SETTINGS if path.startswith(_SETTINGS) else _CONFIG)
    key = ".".join(_NAMES.get(part, part) for part in named.split("."))
    origin = provenance.get(key, "default")
    return "" if origin == "default" else f"    # {origin}"
