"""What one MCP server is shown: `auth` as a bearer token, and further headers, each from a secret.

In: the names of secrets, and a way to their values. Out: headers for one request to that server. Values are
asked for at each request, and a value that no header can carry is never handed to the HTTP client, which
would repeat it in its error.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ..messages import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...contract import McpServer

Renew = Callable[[str, str], Awaitable[bool]]
"""(a secret's name, the value that was refused) -> whether there is another value now."""

_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")


class Credentials:
    """The credentials of one server."""

    def __init__(
        self, server: McpServer, secret: Callable[[str], str | None], renew: Renew | None = None
    ) -> None:
        self._server = server.name
        self._auth = server.auth
        self._headers = {header.lower(): name for header, name in server.headers.items()}
        self._secret, self._renew = secret, renew

    def values(self) -> dict[str, str]:
        """The value of each secret that the server is shown, by name. Raises Unavailable."""
        names = [*self._headers.values(), *([self._auth] if self._auth else [])]
        return {name: self._value(name) for name in names}

    def headers(self, values: Mapping[str, str]) -> dict[str, str]:
        """The headers that show `values`, with names in lower case."""
        shown = {header: values[name] for header, name in self._headers.items()}
        return shown | ({"authorization": f"Bearer {values[self._auth]}"} if self._auth else {})

    async def renew(self, used: Mapping[str, str]) -> bool:
        """After a 401: whether any of the values is another one now."""
        if self._renew is None:
            return False
        return any([await self._renew(name, value) for name, value in used.items()])

    def _value(self, name: str) -> str:
        where = f"MCP server {self._server!r} needs the secret {name!r}"
        if not (value := self._secret(name)):
            raise Unavailable(f"{where}, which is not there")
        if not _VALUE.fullmatch(value):
            raise Unavailable(f"{where}, which holds characters that no header can carry")
        return value
