"""[api] auth = "none": somebody in front has checked who calls, or nobody needs to.

In: the networks of proxies that are trusted. Out: the caller of a request: the tenant that its header names
when it comes from one of them, else none. The header counts by the address of the connection itself; what a
request says about its way here (X-Forwarded-For) is not looked at.
"""

from __future__ import annotations

import functools
import ipaddress
from typing import TYPE_CHECKING, Any

from ...contract import TENANT_HEADER, TENANT_WORDS
from ...errors import StartError
from ..callers import TENANT, Caller
from .refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Scope

ANYBODY = Caller()
_HEADER = TENANT_HEADER.encode()

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ProxyAuth:
    """Lets everybody in, and believes `trusted` proxies whose request it is."""

    def __init__(self, trusted: Iterable[str]) -> None:
        self._trusted = tuple(map(_network, trusted))
        self._is_trusted = functools.lru_cache(1024)(self._look_up)

    async def caller(self, scope: Scope) -> Caller:
        if not self._trusted or not (peer := scope.get("client")) or not self._is_trusted(peer[0]):
            return ANYBODY
        names = {value for name, value in scope["headers"] if name == _HEADER}
        if not names:
            return ANYBODY
        text = names.pop().decode("latin-1")
        if names or not TENANT.fullmatch(text):
            raise Refused(
                400, "invalid_tenant", f"{TENANT_HEADER} has to be one tenant's name: {TENANT_WORDS}"
            )
        return Caller(text)

    def problem(self) -> str | None:
        return None

    def detail(self) -> dict[str, Any]:
        return {}

    async def keep(self) -> None:
        """Nothing to fetch."""

    def _look_up(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:  # not an address: a test client, a unix socket
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped  # a socket for both families shows IPv4 like this
        return any(address in network for network in self._trusted)


def _network(text: str) -> Network:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise StartError(
            f'api.trusted_proxies: expected a network such as "10.0.0.0/8", saw "{text}"'
        ) from None
    if not network.prefixlen:
        raise StartError(f'api.trusted_proxies: "{text}" is everybody, who could name any tenant')
    return network
