"""Which tools of a server may be seen and called: agent.toml's filter, and what the policy kills now.

In: a server, a way to the policy of the moment. Out: a denied tool is in no list, and a call of it is
refused. Of a server that is switched off nothing is shown and nothing reaches it but introductions and pings,
so that an agent which opens a connection at each turn goes on without its tools.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..contract import Kill
from .messages import INVALID_PARAMS, UNAVAILABLE, Denied, Json, SwitchedOff

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..contract import McpServer

_LISTS = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
}
_HARMLESS = frozenset(
    {"initialize", "ping", "logging/setLevel", "server/discover", "subscriptions/listen", *_LISTS}
)
"""Methods; a message without one answers a question of the server's, for a call that is under way."""


class Switches:
    """What the policy switches off now, and a count of what it has refused, by rule."""

    def __init__(self, kill: Callable[[], Kill] = Kill, refused: Callable[[str], None] | None = None) -> None:
        self.kill = kill
        self._refused = refused

    def count(self, rule: str) -> None:
        if self._refused:
            self._refused(f"kill.{rule}")


class Tools:
    """The filter of one server. Every method looks at the policy of the moment."""

    def __init__(self, server: McpServer, switches: Switches | None = None) -> None:
        self._server, self._switches = server, switches or Switches()

    @property
    def filters(self) -> bool:
        """Whether anything may be hidden or refused now."""
        declared, kill = self._server.tools, self._switches.kill()
        return bool(declared.allow or declared.deny or kill.tools or self._server.name in kill.servers)

    def check(self, method: str, params: Json | None) -> None:
        """Raises Denied for the call of a tool that is not let through, and for most else of a server that is
        switched off."""
        name, kill = self._server.name, self._switches.kill()
        if method != "tools/call":
            silent = not method or method.startswith("notifications/")
            if name in kill.servers and not silent and method not in _HARMLESS:
                self._switches.count("servers")
                raise Denied(UNAVAILABLE, f"MCP server {name!r} is switched off for now by the policy")
            return
        tool = str((params or {}).get("name"))
        if not self._server.tools.allows(tool):
            key = f"mcp.{name}.tools"
            raise Denied(INVALID_PARAMS, f"tool {tool!r} of MCP server {name!r} is not allowed by {key}")
        if rule := kill.rule(tool, name):
            self._switches.count(rule)
            what = f"tool {tool!r}" if rule == "tools" else f"MCP server {name!r}"
            raise SwitchedOff(f"{what} is switched off for now by the policy; go on without it")

    def show(self, method: str, result: Json) -> Json:
        """A result without what is denied; as it is where nothing is."""
        key = _LISTS.get(method)
        listed = result.get(key) if key else None
        if key is None or not isinstance(listed, list):
            return result
        kept = [item for item in listed if isinstance(item, dict) and self._visible(key, item)]
        return result if len(kept) == len(listed) else {**result, key: kept}

    def _visible(self, key: str, item: Json) -> bool:
        kill = self._switches.kill()
        if key != "tools":
            return self._server.name not in kill.servers
        tool = str(item.get("name"))
        return self._server.tools.allows(tool) and kill.rule(tool, self._server.name) is None
