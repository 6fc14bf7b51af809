"""[api] auth = "jwt": a token that the issuer signed, with a claim that names the tenant.

In: the issuer's keys, and what a token has to say. Out: the caller of a request. The signature comes first,
by an algorithm that fits the issuer's key; then `exp` (which has to be there), `nbf` and `iat` with LEEWAY_S
for clocks that differ, `aud` and `iss` where they are configured.

Verifying takes some 100 µs, so tokens that were verified are remembered until they expire, or until the
issuer's keys change.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...contract import TENANT_WORDS
from ..callers import TENANT, Caller
from .refusal import Refused, bearers, only

if TYPE_CHECKING:
    from starlette.types import Scope

    from ...contract import Api
    from .issuer import Issuer
    from .published import Key, Published

LEEWAY_S = 30.0
REMEMBERED = 4096  # tokens
RETRY_S = 2.0
HOW = "a token as `Authorization: Bearer TOKEN`"


@dataclass(frozen=True, slots=True)
class Verified:
    caller: Caller
    until: float  # seconds since the epoch


class TokenAuth:
    """Lets in who shows a token of the issuer that is for this agent."""

    def __init__(self, api: Api, issuer: Issuer) -> None:
        self._issuer = issuer
        self._audience, self._from, self._claim = api.audience, api.issuer, api.tenant_claim or ""
        self._verified: dict[bytes, Verified] = {}
        self._verified_by: Published | None = None

    async def caller(self, scope: Scope) -> Caller:
        published = self._issuer.current
        if published is None or not published.keys:
            raise Refused(503, "auth_unavailable", "no token can be verified now; try again", retry_s=RETRY_S)
        token = only(bearers(scope), "token", HOW)
        if published is not self._verified_by:
            self._verified.clear()
            self._verified_by = published
        name = hashlib.sha256(token).digest()
        known = self._verified.get(name)
        if known and time.time() < known.until:
            return known.caller
        return await self._verify(token, name)

    def problem(self) -> str | None:
        return self._issuer.problem()

    def detail(self) -> dict[str, Any]:
        return self._issuer.detail()

    async def keep(self) -> None:
        await self._issuer.keep()

    async def _verify(self, token: bytes, name: bytes) -> Caller:
        key, algorithm = await self._key(token)
        claims = self._claims(token, key, algorithm)
        caller = Caller(self._tenant(claims))
        self._verified.pop(name, None)
        while len(self._verified) >= REMEMBERED:
            del self._verified[next(iter(self._verified))]
        self._verified[name] = Verified(caller, float(claims["exp"]) + LEEWAY_S)
        return caller

    async def _key(self, token: bytes) -> tuple[Key, str]:
        """The issuer's key that the token's header names. Raises Refused."""
        import jwt

        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise _invalid("this is not a JSON Web Token") from None
        kid, algorithm = header.get("kid"), header.get("alg")
        if not isinstance(kid, str | None) or not isinstance(algorithm, str) or "crit" in header:
            raise _invalid("the token's header is not one that is understood here")
        for fetched in (False, True):
            if fetched:
                await self._issuer.look_again()
            if self._issuer.current and (key := self._issuer.current.find(kid, algorithm)):
                return key, algorithm
        raise _invalid("the token is not signed with a key that its issuer publishes")

    def _claims(self, token: bytes, key: Key, algorithm: str) -> dict[str, Any]:
        """What the token says, once that is known to be its issuer's word. Raises Refused."""
        import jwt

        try:
            return jwt.decode(
                token,
                key.public,
                algorithms=[algorithm],  # one that fits the issuer's key: see published.py
                audience=self._audience,
                issuer=self._from,
                leeway=LEEWAY_S,
                options={"require": ["exp"], "verify_aud": self._audience is not None},
            )
        except jwt.ExpiredSignatureError:
            raise _invalid("the token has expired") from None
        except jwt.ImmatureSignatureError:
            raise _invalid("the token is not valid yet") from None
        except jwt.InvalidAudienceError:
            raise _invalid(f'the token is not for "{self._audience}"') from None
        except jwt.InvalidIssuerError:
            raise _invalid(f'the token is not from "{self._from}"') from None
        except jwt.MissingRequiredClaimError as error:
            raise _invalid(f"the token has no claim {error.claim}") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise _invalid("the token is not valid") from None

    def _tenant(self, claims: dict[str, Any]) -> str:
        tenant = claims.get(self._claim)
        if not isinstance(tenant, str):
            raise Refused(403, "missing_tenant", f"the token has no claim {self._claim} that names a tenant")
        if not TENANT.fullmatch(tenant):
            message = f"the claim {self._claim} is not the name of a tenant: {TENANT_WORDS}"
            raise Refused(403, "invalid_tenant", message)
        return tenant


def _invalid(message: str) -> Refused:
    return Refused(401, "invalid_token", message, error="invalid_token")
