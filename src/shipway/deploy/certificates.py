"""Certificates and their key, from files -> the PEM that the router shows.

In: paths, one file with both or several, as certbot and lego write them. Out: one text, certificates first.
Errors: SpecError, for what a router could not use.
"""

from __future__ import annotations

import re
import ssl
import tempfile
from typing import TYPE_CHECKING

from shipway.errors import Finding, SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RULE = "tls"

_BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----\n?", re.DOTALL)
_CERTIFICATE, _KEY = "CERTIFICATE", "PRIVATE KEY"
_FIX = "give --tls a file with the certificate, those above it, and its key; or --tls twice, one for each"


def read(paths: Sequence[Path]) -> str:
    """The PEM. Raises SpecError where the key is not that of the first certificate, or one of them is not
    there."""
    blocks = [block for path in paths for block in _blocks(path)]
    certificates = [text for kind, text in blocks if kind == _CERTIFICATE]
    keys = [text for kind, text in blocks if kind.endswith(_KEY)]
    names = " and ".join(map(str, paths))
    if not certificates or len(keys) != 1:
        found = f"{len(certificates)} certificates and {len(keys)} keys"
        raise _refusal(f"{names}: expected certificates and one key in PEM, saw {found}")
    pem = "".join(f"{text.strip()}\n" for text in (*certificates, *keys))
    _try(pem, names)
    return pem


def _blocks(path: Path) -> list[tuple[str, str]]:
    try:
        text = path.read_text("ascii")
    except OSError as error:
        raise _refusal(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _refusal(f"{path} is not PEM") from None
    return [(match[1], match[0]) for match in _BLOCK.finditer(text)]


def _try(pem: str, names: str) -> None:
    """As a server would load it; OpenSSL reads files alone."""
    with tempfile.NamedTemporaryFile("w", prefix="shipway-", suffix=".pem") as file:  # 0600
        file.write(pem)
        file.flush()
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file.name, password=_no_password)
        except (ssl.SSLError, ValueError) as error:
            said = error.reason if isinstance(error, ssl.SSLError) and error.reason else str(error)
            words = said.replace("_", " ").lower()
            raise _refusal(f"{names}: no server could use this: {words}") from None


def _no_password() -> bytes:
    raise ValueError("the key has a password, and nobody is there to type it")


def _refusal(message: str) -> SpecError:
    return SpecError([Finding(RULE, message, _FIX)])
