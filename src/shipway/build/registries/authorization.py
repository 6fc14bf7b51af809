"""A registry's challenge -> the Authorization header that answers it.

In: the 401's `WWW-Authenticate`, and what the request wants to do. Out: `Basic …`, or `Bearer …` with a token
from the server that the challenge names. That server's address comes from the registry, so it is checked
before anything is sent there: HTTPS, or the registry's own host where the registry is plain HTTP itself; no
private address of somebody else; no redirect. Sources: distribution's token specification; RFC 7235.
"""

from __future__ import annotations

import ipaddress
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx2

from shipway.build.registries.clients import Clients
from shipway.build.registries.credentials import Found
from shipway.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Sequence


_PARAMETER = re.compile(r'(\w+)=("[^"]*"|[^\s,"]+)')
_CHALLENGE = re.compile(rf"(?:^|,)\s*(\w+)((?:(?:\s+|\s*,\s*){_PARAMETER.pattern})*)")


@dataclass(slots=True)
class Authorization:
    """What one registry has granted so far, by scopes. Threads may share it."""

    registry: httpx2.URL
    found: Found
    clients: Clients
    _headers: dict[tuple[str, ...], str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def header(self, scopes: tuple[str, ...]) -> str | None:
        """The header for these scopes, if the registry has asked for one before."""
        return self._headers.get(scopes) or self._headers.get(())

    def answer(self, challenge: str, scopes: tuple[str, ...], refused: str | None) -> bool:
        """Answer a 401; False when there is nothing else to try. `refused` is the header that was sent."""
        with self._lock:
            known = self.header(scopes)
            if known != refused:  # another thread has answered meanwhile
                return True
            asked = read_challenges(challenge)
            if "bearer" in asked:
                self._headers[scopes] = "Bearer " + self._token(asked["bearer"], scopes)
                return True
            credential = self.found.credential
            if "basic" in asked and credential and credential.username and refused is None:
                self._headers[()] = credential.basic
                return True
            return False

    def _token(self, challenge: dict[str, str], scopes: Sequence[str]) -> str:
        realm = check_realm(challenge.get("realm", ""), self.registry)
        service = challenge.get("service", "")
        fields = {"service": service} if service else {}
        credential = self.found.credential
        if credential and credential.identity_token:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": credential.identity_token,
                "client_id": "shipway",
                "scope": " ".join(scopes),
            }
            response = self.clients.at(realm).post(realm, data=form | fields)
        else:
            query = httpx2.QueryParams([*fields.items(), *(("scope", scope) for scope in scopes)])
            headers = {"Authorization": credential.basic} if credential else {}
            response = self.clients.at(realm).get(realm.copy_merge_params(query), headers=headers)
        return self._read(response, realm)

    def _read(self, response: httpx2.Response, realm: httpx2.URL) -> str:
        if response.status_code in (408, 429) or response.status_code >= 500:
            response.raise_for_status()
        try:
            document = response.json() if response.status_code == 200 else {}
            token = document.get("token") or document.get("access_token")
        except (ValueError, AttributeError):
            token = None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise BuildError(
                f"{self.registry.host}: its token server {realm.host} gives no token: "
                f"{response.status_code} {response.reason_phrase}\n{tried(self.found)}",
                f"log in again, for example `docker login {self.registry.netloc.decode()}`",
            )
        return token


def read_challenges(text: str) -> dict[str, dict[str, str]]:
    """Parameters by scheme, in lower case, of one or several challenges in one header."""
    return {
        match[1].lower(): {name.lower(): value.strip('"') for name, value in _PARAMETER.findall(match[2])}
        for match in _CHALLENGE.finditer(text)
    }


def check_realm(text: str, registry: httpx2.URL) -> httpx2.URL:
    """The token server's address, if credentials may go there. Raises BuildError if not."""
    try:
        realm = httpx2.URL(text)
    except httpx2.InvalidURL:
        realm = httpx2.URL()
    same = realm.host == registry.host
    if realm.scheme == "https" and not realm.userinfo and (same or not _is_private(realm.host)):
        return realm
    if realm.scheme == registry.scheme == "http" and same and not realm.userinfo:
        return realm
    raise BuildError(
        f"{registry.netloc.decode()} wants credentials sent to {text!r}, which is refused: expected an https "
        "address that is public or the registry's own",
        "nothing was sent; ask whoever runs the registry, or whoever sits between",
    )


def _is_private(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return not address.is_global


def tried(found: Found) -> str:
    """The places that were looked into, as lines of a message."""
    used = found.credential.origin if found.credential else "none, so anonymously"
    return "\n".join(
        [f"    credentials used: {used}", *(f"    looked into {place}" for place in found.tried)]
    )
