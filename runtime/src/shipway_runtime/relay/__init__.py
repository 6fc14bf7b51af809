"""One loopback endpoint for every MCP server, whatever its shape."""
