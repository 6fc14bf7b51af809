"""Why a request was not let in, and what it shows of itself.

In: an ASGI scope. Out: the credentials in its headers; or Refused, which says what the caller is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Scope

LONGEST = 16_384  # bytes of a credential; tokens with many claims have a few thousand


class Refused(Exception):
    """`status` and `code` are for the caller's program; with 401, `error` is RFC 6750's word for it."""

    def __init__(
        self, status: int, code: str, message: str, *, error: str | None = None, retry_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.error, self.retry_s = status, code, error, retry_s


def bearers(scope: Scope) -> set[bytes]:
    """Every token that the request shows as `Authorization: Bearer`."""
    shown = [value.partition(b" ") for name, value in scope["headers"] if name == b"authorization"]
    return {token.strip() for scheme, _, token in shown if scheme.lower() == b"bearer"} - {b""}


def api_keys(scope: Scope) -> set[bytes]:
    """Every key that the request shows as `x-api-key`."""
    return {value.strip() for name, value in scope["headers"] if name == b"x-api-key"} - {b""}


def only(shown: set[bytes], what: str, how: str) -> bytes:
    """The one credential of a request. Raises Refused."""
    if not shown:
        raise Refused(401, f"missing_{what}", f"this agent has to know who calls; send {how}")
    if len(shown) > 1:
        raise Refused(400, "several_credentials", "the request shows several credentials; send one")
    (credential,) = shown
    if len(credential) > LONGEST:
        raise Refused(401, f"invalid_{what}", "the credential is too long", error="invalid_token")
    return credential
