"""Certificates and their key in PEM, as a router has to have them.

In: a text with all of them, in any order. Out: the same, certificates first. Errors: ValueError, in words.
"""

from __future__ import annotations

import re
import ssl
import tempfile

_BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.DOTALL)
_CERTIFICATE, _KEY = "CERTIFICATE", "PRIVATE KEY"


def arrange(text: str) -> str:
    """Raises ValueError where the key is not that of the first certificate, or one of them is not there."""
    blocks = [(match[1], f"{match[0]}\n") for match in _BLOCK.finditer(text)]
    certificates = [block for kind, block in blocks if kind == _CERTIFICATE]
    keys = [block for kind, block in blocks if kind.endswith(_KEY)]
    if not certificates or len(keys) != 1:
        found = f"{len(certificates)} certificates and {len(keys)} keys"
        raise ValueError(f"expected certificates and one key in PEM, saw {found}")
    pem = "".join((*certificates, *keys))
    _try(pem)
    return pem


def _try(pem: str) -> None:
    """As a server would load it; OpenSSL reads files alone."""
    with tempfile.NamedTemporaryFile("w", prefix="shipway-", suffix=".pem") as file:  # for its owner alone
        file.write(pem)
        file.flush()
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file.name, password=_no_password)
        except ssl.SSLError as error:
            words = (error.reason or str(error)).replace("_", " ").lower()
            raise ValueError(f"no server could use this: {words}") from None


def _no_password() -> bytes:
    raise ValueError("the key has a password, and nobody is there to type it")
