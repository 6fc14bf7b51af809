"""A JSON Web Key Set as an issuer publishes it, and which of its keys may verify a token.

In: the document. Out: `Published`, whose keys are public and asymmetric, each for the algorithms that fit it:
a token's own header chooses among those and no others. Keys for encryption, symmetric ones and those that
this version does not know are left out, and counted. KeySetError for what is no key set.
Sources: RFC 7517, RFC 7518, RFC 8037, RFC 8725.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

MOST = 100  # keys; issuers publish two or three
SHORTEST_RSA = 2048  # bits (RFC 7518 3.3)

_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = {"P-256": ("ES256",), "P-384": ("ES384",), "P-521": ("ES512",), "Ed25519": ("EdDSA",)}
_PUBLIC = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x")}
"""What makes the public key: a private one, published by mistake, is not even read."""


class KeySetError(Exception):
    """What an issuer answers is no key set; the message goes on after its URL."""


@dataclass(frozen=True, slots=True)
class Key:
    """`kid` is its name, None where it has none; `public` is what cryptography verifies with."""

    kid: str | None
    algorithms: tuple[str, ...]
    public: Any


@dataclass(frozen=True, slots=True)
class Published:
    """Every usable key of an issuer; `unusable` of them are left out."""

    keys: tuple[Key, ...]
    unusable: int
    text: bytes

    def find(self, kid: str | None, algorithm: str) -> Key | None:
        """The key of a token's header. Without a `kid` there has to be one alone that fits."""
        fitting = [key for key in self.keys if algorithm in key.algorithms and kid in (None, key.kid)]
        return fitting[0] if len(fitting) == 1 or (fitting and kid is not None) else None


def read(text: bytes) -> Published:
    """The key set of a document. It imports PyJWT and cryptography: call it in a thread."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise KeySetError("is not JSON") from None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise KeySetError('is no key set: expected {"keys": […]}')
    keys = [key for item in listed[:MOST] if (key := _key(item))]
    return Published(tuple(keys), len(listed) - len(keys), text)


def _key(item: Any) -> Key | None:
    if not isinstance(item, dict) or item.get("use", "sig") != "sig" or not _verifies(item.get("key_ops")):
        return None
    kind, kid, said = item.get("kty"), item.get("kid"), item.get("alg")
    fitting = _RSA if kind == "RSA" else _CURVES.get(str(item.get("crv")), ())
    algorithms = fitting if said is None else tuple(name for name in fitting if name == said)
    if kind not in _PUBLIC or not algorithms or not isinstance(kid, str | None):
        return None
    public = _public(algorithms[0], {name: item.get(name) for name in _PUBLIC[kind]})
    return Key(kid, algorithms, public) if public else None


def _verifies(operations: Any) -> bool:
    return operations is None or (isinstance(operations, list) and "verify" in operations)


def _public(algorithm: str, members: dict[str, Any]) -> Any:
    import jwt

    try:
        key = jwt.PyJWK(members, algorithm=algorithm).key
    except Exception:  # noqa: BLE001 - whatever cryptography says of another's numbers: it is no key
        return None
    too_short = members["kty"] == "RSA" and getattr(key, "key_size", 0) < SHORTEST_RSA
    return None if too_short else key
