"""One loopback endpoint for every MCP server, whatever its shape."""

from __future__ import annotations

from .app import Relay
from .backend import ServerState

__all__ = ["Relay", "ServerState"]
