"""The tools that a request offers, by name, wherever its API has them.

In: the body of a request. Out: each tool's definition, without what only concerns caching.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_NESTED = ("functionDeclarations", "function_declarations")  # Gemini
_CACHING = "cache_control"


def of(body: Any) -> dict[str, Any]:
    """`{name: definition}`; a built-in tool has the name of its type. Whatever is no tool is left out."""
    tools = body.get("tools") if isinstance(body, dict) else None
    found = _each(tools) if isinstance(tools, list) else ()
    return {_name(tool): {k: v for k, v in tool.items() if k != _CACHING} for tool in found}


def _each(tools: list[Any]) -> Iterator[dict[str, Any]]:
    for tool in tools:
        if not isinstance(tool, dict):
            continue
        nested = next((tool[key] for key in _NESTED if isinstance(tool.get(key), list)), None)
        if nested is not None:
            yield from (each for each in nested if isinstance(each, dict))
        elif isinstance(tool.get("function"), dict):  # Chat Completions
            yield tool["function"]
        elif tool:
            yield tool


def _name(tool: dict[str, Any]) -> str:
    return str(tool.get("name") or tool.get("server_label") or tool.get("type") or next(iter(tool)))
