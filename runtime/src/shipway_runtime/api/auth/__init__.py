"""Who may call the API: one file for each value of `[api] auth`, chosen by `open_auth`.

In: the settings and the secrets. Out: `Auth`, which knows the caller of a request or refuses it; guard.py
puts it in front of an application. Nothing here imports starlette, or what only one kind needs, before it is
used: the process starts with this.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import TYPE_CHECKING, Any, Protocol

from ...errors import StartError
from ...health.readiness import Check
from ...telemetry import log

if TYPE_CHECKING:
    from starlette.types import Scope

    from ...contract import Api
    from ...secrets.declared import Secrets
    from ..callers import Caller

PYJWT = "pyjwt[crypto]>=2.8"


class Auth(Protocol):
    """One way to know who calls. All but `caller` may be called from any thread."""

    async def caller(self, scope: Scope) -> Caller:
        """Who the request of `scope` comes from. Raises Refused."""

    def problem(self) -> str | None:
        """Why nobody can be let in; None when all is well."""

    def detail(self) -> dict[str, Any]:
        """What /readyz shows beside that."""

    async def keep(self) -> None:
        """Keep what is needed current, until cancelled; on the control loop. Returns when that is nothing."""


def open_auth(api: Api, secrets: Secrets) -> Auth:
    """What guards the API of this deployment. Raises StartError."""
    if api.auth == "keys":
        from .keys import KeyAuth

        if not api.keys or api.keys not in secrets:
            raise StartError(f"api.keys: expected the name of a secret, one of [secrets]; saw {api.keys}")
        return KeyAuth(api.keys, functools.partial(secrets.value, api.keys))
    if api.auth == "jwt":
        return _open_jwt(api)
    from .proxies import ProxyAuth

    return ProxyAuth(api.trusted_proxies)


def _open_jwt(api: Api) -> Auth:
    from .issuer import Issuer
    from .tokens import TokenAuth

    if not all(importlib.util.find_spec(name) for name in ("jwt", "cryptography")):
        raise StartError(f'api.auth = "jwt" needs a package that is not installed: pip install "{PYJWT}"')
    for key in ("jwks", "tenant_claim"):
        if not getattr(api, key):
            raise StartError(f'api.{key} is not set, and api.auth is "jwt"')
    if not api.audience:
        log.warning("api.audience is not set: a token that its issuer made for another service is taken, too")
    return TokenAuth(api, Issuer(api.jwks or ""))


def list_checks(api: Api, auth: Auth, secrets: Secrets) -> list[Check]:
    """What readiness has to know: nothing where there is nothing to check callers by."""

    async def probe() -> str | None:
        problem = auth.problem()
        return problem and secrets.redact(problem)

    return [Check("auth", probe, detail=auth.detail)] if api.auth in ("keys", "jwt") else []
