"""What is left of a document without its wrong values, so that the rules across keys can look at the rest.

In: the data and the paths that validation refused. Out: data that is likely to validate. What goes is chosen
so that no rule blames what only follows from a finding that is there already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shipway.spec.positions import Path

PLACEHOLDERS: Mapping[str, Any] = {"name": "unnamed", "entrypoint": "unnamed:agent", "storage": {}}
"""What stands in for a section that others refer to."""
NAMED = ("mcp", "services", "config", "env", "tenants")
"""Sections of which one entry can go and the others stay."""
SOURCE = ("run", "url", "shape")
"""Without one of these nothing sensible can be said about an MCP server."""


def sound(data: Mapping[str, Any], wrong: Iterable[Path]) -> dict[str, Any]:
    """`data` without the values at the paths in `wrong`, or without the tables around them."""
    kept: dict[str, Any] = {"name": "unnamed", "entrypoint": "unnamed:agent", **data}
    for path in wrong:
        section = str(path[0])
        table = kept.get(section)
        if len(path) == 1 or not isinstance(table, dict):
            _drop(kept, section)
        elif section == "secrets":
            table = _without(table, path[1])
            kept[section] = {**table, path[1]: "env"} if str(path[1]).isidentifier() else table
        elif section == "mcp" and len(path) > 2 and path[1] in table and path[2] not in SOURCE:
            kept[section] = {**table, path[1]: _without(table[path[1]], path[2])}
        elif section in NAMED:
            kept[section] = _without(table, path[1])
        else:
            _drop(kept, section)
    return kept


def _drop(kept: dict[str, Any], section: str) -> None:
    kept.pop(section, None)
    if section in PLACEHOLDERS:
        kept[section] = PLACEHOLDERS[section]


def _without(table: Mapping[str, Any], name: object) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key != name}
