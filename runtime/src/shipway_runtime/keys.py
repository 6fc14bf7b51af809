"""API keys at rest, and how to make one: `python -m shipway_runtime.keys TENANT`.

In: the text of the secret that `api.keys` names. Out: which key is whose. A line is

    TENANT sha256:HEX          # a note

and a tenant may have several. KeysError names the line that is something else, and never its content.

Only a digest of each key is kept. A plain SHA-256 is enough because a key is 256 random bits: slow hashes
(bcrypt, scrypt) make guessing of passwords expensive, and there is nothing here that could be guessed.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import sys

from .api.callers import TENANT
from .contract import TENANT_WORDS

PREFIX = "shipway_"  # so that a key is recognised where it does not belong
FORM = "`TENANT sha256:…` with 64 hexadecimal digits"

_DIGEST = re.compile(r"sha256:([0-9a-fA-F]{64})")
_USAGE = """\
usage: python -m shipway_runtime.keys TENANT

Makes an API key. The key is on stderr, once; the line for the secret that `api.keys` names is on stdout.
"""

Keys = dict[bytes, str]
"""The SHA-256 digest of each key, and its tenant."""


class KeysError(ValueError):
    """A line that is not one of a key; the message names it by its number."""


def digest(key: bytes) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(key).digest()


def parse(text: str) -> Keys:
    """Every key of the secret. Raises KeysError."""
    keys: Keys = {}
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        found = _DIGEST.fullmatch(words[1]) if len(words) == 2 else None
        if not found:
            raise KeysError(f"line {number}: expected {FORM}")
        if not TENANT.fullmatch(words[0]):
            raise KeysError(f"line {number}: a tenant's name has {TENANT_WORDS}")
        if keys.setdefault(bytes.fromhex(found[1]), words[0]) != words[0]:
            raise KeysError(f"line {number}: the same key is another tenant's, in a line above")
    return keys


def line(tenant: str, key: str) -> str:
    """The line that lets `key` in as `tenant`."""
    return f"{tenant} sha256:{digest(key.encode()).hex()}"


def main(arguments: list[str]) -> int:
    """Make a key; returns the exit code."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write(_USAGE)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    tenant = arguments[0]
    if not TENANT.fullmatch(tenant):
        sys.stderr.write(f"a tenant's name has {TENANT_WORDS}\n")
        return 2
    key = PREFIX + secrets.token_urlsafe(32)
    sys.stderr.write(f"{key}\n  is the key of {tenant}; it is not kept anywhere\n")
    sys.stdout.write(line(tenant, key) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
