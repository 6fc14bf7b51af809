"""Who calls: what a request is known to come from, once it was let in.

In: an ASGI scope. Out: `Caller`. Whoever authenticates puts one into the scope with `admit`; everybody else
reads it with `caller`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..contract import TENANT_NAME

if TYPE_CHECKING:
    from starlette.types import Scope

KEY = "shipway.caller"
TENANT = re.compile(TENANT_NAME)


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
