"""Who calls: what a request is known to come from, once it was let in.

In: an ASGI scope. Out: `Caller`. Whoever authenticates puts one into the scope with `admit`; everybody else
reads it with `caller`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Scope

KEY = "shipway.caller"
TENANT = re.compile(r"[A-Za-z0-9._@|:+-]{1,128}")
"""What a tenant's name may be: what identities in use are made of, and a header and a log line can carry."""
TENANT_WORDS = "letters, digits and . _ - @ | : +, at most 128"


@dataclass(frozen=True, slots=True)
class Caller:
    """`tenant` is None where callers are not told apart."""

    tenant: str | None = None


def admit(scope: Scope, caller: Caller) -> None:
    """Say who the request of `scope` comes from."""
    scope[KEY] = caller


def caller(scope: Scope) -> Caller:
    """Who the request of `scope` comes from."""
    found = scope.get(KEY)
    return found if isinstance(found, Caller) else Caller()
