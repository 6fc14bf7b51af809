"""The tool filter: a denied tool is in no list, and a call of it is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .messages import INVALID_PARAMS, Denied, Json

if TYPE_CHECKING:
    from ..contract import McpServer


def check_call(server: McpServer, method: str, params: Json | None) -> None:
    """Raises Denied for the call of a tool that agent.toml does not let through."""
    if method != "tools/call":
        return
    tool = str((params or {}).get("name"))
    if not server.tools.allows(tool):
        key = f"mcp.{server.name}.tools"
        raise Denied(INVALID_PARAMS, f"tool {tool!r} of MCP server {server.name!r} is not allowed by {key}")


def filter_result(server: McpServer, method: str, result: Json) -> Json:
    """A result of `tools/list` without the denied ones; any other result as it is."""
    tools = result.get("tools") if method == "tools/list" else None
    if not isinstance(tools, list):
        return result
    named = (tool for tool in tools if isinstance(tool, dict))
    kept = [tool for tool in named if server.tools.allows(str(tool.get("name")))]
    return result if len(kept) == len(tools) else {**result, "tools": kept}
