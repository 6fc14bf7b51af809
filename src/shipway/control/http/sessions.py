"""The door: a request shows a token, or the cookie that the page got for one.

In: a request, and the roles that its endpoint takes. Out: the holder; Refused 401 or 403. A cookie is
`expiry.name.mac`, keyed by the digest of the token that it stands for: it needs no memory, so it outlives a
restart and holds at every control of a fleet, and it ends when its token is taken away. Scripts cannot read
it, other sites cannot have it sent, and a change by cookie must come from this origin and say so in a header
that other sites cannot set.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.responses import Response

from shipway.control.http.answers import Refused, document, failure
from shipway.control.http.bodies import body_of, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from shipway.control.http.tokens import Holder, Roles, Tokens

COOKIE = "shipway-session"
HEADER = "x-shipway-page"  # of each change that the page makes; its value does not matter
HOURS = 12
_BODY_LIMIT = 2_000


class Doorkeeper:
    """Who is let in, by the tokens as they are now."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens

    def admit(self, request: Request, roles: Roles) -> Holder:
        """Who asks. Raises Refused for nobody, and for somebody who may not."""
        holder = self._by_token(request) or self._by_cookie(request)
        if holder is None:
            raise Refused(
                401,
                "unauthorized",
                "show a token, as `Authorization: Bearer TOKEN`",
                www_authenticate="Bearer",
            )
        if holder.role not in roles:
            message = f"{holder.name} has the role {holder.role}, and this takes {' or '.join(roles)}"
            raise Refused(403, "forbidden", message)
        return holder

    async def enter(self, request: Request) -> Response:
        """POST /session: a token, for a cookie."""
        try:
            _own(request)
            holder = self._told(await body_of(request, _BODY_LIMIT))
        except Refused as refused:
            return failure(refused.status, refused.code, refused.message)
        answer = document({"name": holder.name, "role": holder.role})
        expiry = int(time.time()) + HOURS * 3600
        value = f"{expiry}.{holder.name}.{_mac(holder, expiry)}"
        answer.set_cookie(
            COOKIE, value, HOURS * 3600, secure=_secure(request), httponly=True, samesite="strict"
        )
        return answer

    async def leave(self, request: Request) -> Response:
        """DELETE /session: the cookie is forgotten."""
        answer = Response(status_code=204)
        answer.delete_cookie(COOKIE, secure=_secure(request), httponly=True, samesite="strict")
        return answer

    async def show(self, request: Request) -> Response:
        """GET /session: whose the cookie is."""
        holder = self._by_token(request) or self._by_cookie(request)
        if holder is None:
            return failure(401, "unauthorized", "there is no session")
        return document({"name": holder.name, "role": holder.role})

    def _by_token(self, request: Request) -> Holder | None:
        scheme, _, token = request.headers.get("authorization", "").strip().partition(" ")
        return self.tokens.find(token.strip()) if scheme.lower() == "bearer" else None

    def _by_cookie(self, request: Request) -> Holder | None:
        expiry, _, rest = request.cookies.get(COOKIE, "").partition(".")
        name, _, mac = rest.rpartition(".")
        if not expiry.isascii() or not expiry.isdecimal() or len(expiry) > 12 or int(expiry) < time.time():
            return None
        found = None
        for holder in self.tokens.holders():
            same = hmac.compare_digest(_mac(holder, int(expiry)), mac.encode().decode("latin-1"))
            found = holder if same and holder.name == name else found
        if found and request.method not in ("GET", "HEAD"):
            _own(request)
        return found

    def _told(self, body: bytes) -> Holder:
        data = parse(body)
        token = data.get("token") if isinstance(data, dict) else None
        if not isinstance(token, str):
            raise Refused(400, "bad_body", 'the body is {"token": TOKEN}')
        if holder := self.tokens.find(token.strip()):
            return holder
        raise Refused(401, "unauthorized", "this is none of control's tokens")


def _own(request: Request) -> None:
    """Raises Refused for a request that another site may have made a browser send."""
    origin = request.headers.get("origin")
    if HEADER not in request.headers or (origin and urlsplit(origin).netloc != request.headers.get("host")):
        message = f"a change with a cookie comes from control's own page, with the header {HEADER}"
        raise Refused(403, "foreign_origin", message)


def _secure(request: Request) -> bool:
    """Whether the browser came by TLS, of ours or of the proxy in front: then the cookie stays with it."""
    headers: Mapping[str, str] = request.headers
    return request.url.scheme == "https" or headers.get("x-forwarded-proto", "").strip().lower() == "https"


def _mac(holder: Holder, expiry: int) -> str:
    said = f"{expiry}.{holder.name}.{holder.role}".encode()
    return hmac.new(holder.digest, said, hashlib.sha256).hexdigest()
