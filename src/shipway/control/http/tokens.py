"""Who may do what: the tokens of control, and the roles they have.

In: lines `role name token`, from SHIPWAY_CONTROL_TOKENS or the secret file of that name, which is read again
when it changes. Out: `Tokens.find`, who shows a token, if anybody does. Values are compared by their digests,
all of them each time, so how long it takes says nothing. Errors: TokenError.

Where nobody gives tokens and control listens on loopback alone, one of each role is made, printed once, and
kept beside the database.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from shipway.errors import ShipwayError

if TYPE_CHECKING:
    from pathlib import Path

Role = Literal["report", "read", "operate"]
ROLES: tuple[Role, ...] = get_args(Role)
Roles = tuple[Role, ...]
"""Who may: the roles that an endpoint takes."""
SHORTEST = 16  # characters of a token
FILE = "tokens"  # in control's directory, for those that were made there
_FORM = "a line for each token: role name token"


class TokenError(ShipwayError):
    """The tokens that control was given cannot be used."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose token it is: `name` is who did it, in the audit trail. `digest` is the token's."""

    role: Role
    name: str
    digest: bytes = field(repr=False)


class Tokens:
    """The tokens as they are now. With a file, that is looked at whenever one is asked for."""

    def __init__(self, text: str, file: Path | None = None) -> None:
        self._file, self._stamp = file, _stamp(file)
        self._holders = parse(text, str(file) if file else "the tokens")
        self.problem: str | None = None

    def holders(self) -> tuple[Holder, ...]:
        """All of them. A file that became unreadable, or wrong, changes nothing; `problem` says so."""
        if self._file and (stamp := _stamp(self._file)) != self._stamp:
            self._stamp = stamp
            try:
                self._holders, self.problem = parse(self._file.read_text(), str(self._file)), None
            except (OSError, UnicodeError, TokenError) as error:
                self.problem = f"{self._file}: {error}; the tokens that were there before count on"
        return self._holders

    def find(self, token: str) -> Holder | None:
        """Who shows this token."""
        shown, found = digest(token), None
        for holder in self.holders():
            if hmac.compare_digest(holder.digest, shown):
                found = holder
        return found


def parse(text: str, where: str) -> tuple[Holder, ...]:
    """The holders that lines name; empty ones and comments (#) do not count. Raises TokenError."""
    holders: list[Holder] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if words and not words[0].startswith("#"):
            holders.append(_holder(words, f"{where}, line {number}"))
    if not holders:
        raise TokenError(f"{where}: there is no token", f"expected {_FORM}")
    if len({holder.digest for holder in holders}) < len(holders):
        raise TokenError(f"{where}: one token is there twice", "give each name a token of its own")
    return tuple(holders)


def _holder(words: list[str], place: str) -> Holder:
    """Messages never hold a word of the line: any of them may be the token."""
    if len(words) != 3:
        raise TokenError(f"{place}: expected three words, saw {len(words)}", f"expected {_FORM}")
    role = next((role for role in ROLES if role == words[0]), None)
    if role is None:
        raise TokenError(f"{place}: expected one of {', '.join(ROLES)} as the first word")
    if not re.fullmatch(r"[A-Za-z0-9._@+-]{1,64}", words[1]):
        raise TokenError(f"{place}: a name is letters, digits and . _ @ + -, at most 64")
    if len(words[2]) < SHORTEST:
        raise TokenError(
            f"{place}: a token has at least {SHORTEST} characters", "make one with `openssl rand -hex 32`"
        )
    return Holder(role, words[1], digest(words[2]))


def make(directory: Path) -> tuple[str, bool]:
    """The lines of `directory`'s own tokens, made now where there are none; and whether they are new.

    Raises TokenError."""
    path = directory / FILE
    try:
        if path.exists():
            return path.read_text(), False
        text = "".join(f"{role} local-{role} {secrets.token_urlsafe(32)}\n" for role in ROLES)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
    except OSError as error:
        raise TokenError(
            f"tokens cannot be kept in {path}: {error.strerror}",
            "--data must be a directory that can be written",
        ) from None
    return text, True


def digest(token: str) -> bytes:
    """What of a token is kept and compared."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _stamp(file: Path | None) -> tuple[int, int, int] | None:
    try:
        found = file.stat() if file else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if found else None
