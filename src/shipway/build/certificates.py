"""Certificates that an image trusts beside the public ones: `[image] ca`.

In: the project's PEM file, and the bundle of a base. Out: one bundle. Private keys are refused: the file goes
into an image that others may pull.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from shipway.errors import Finding, SpecError

if TYPE_CHECKING:
    from pathlib import Path

_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s+(.*?)\s*-----END \1-----", re.DOTALL)
_CERTIFICATE = rb"CERTIFICATE"


def read_certificates(root: Path, name: str) -> bytes:
    """The certificates in a file of the project, without what stands between them. Raises SpecError."""
    file = root / name
    try:
        data = file.read_bytes()
    except OSError as error:
        raise _refused(name, f"cannot be read: {error.strerror}", "give the path of a PEM file") from None
    found = _PEM.findall(data)
    if any(kind.endswith(b"PRIVATE KEY") for kind, _ in found):
        raise _refused(name, "holds a private key", "take it out: the image needs the certificate alone")
    certificates = [body for kind, body in found if kind == _CERTIFICATE]
    if not certificates or not all(map(_is_der, certificates)):
        raise _refused(name, "holds no certificate in PEM form", "convert it: openssl x509 -inform der -in …")
    return b"".join(
        b"-----BEGIN CERTIFICATE-----\n%b\n-----END CERTIFICATE-----\n" % b"\n".join(body.split())
        for body in certificates
    )


def join_certificates(bundle: bytes, own: bytes) -> bytes:
    """The base's bundle, then the project's certificates; finishing.py does the same in a Dockerfile."""
    return bundle.rstrip(b"\n") + b"\n" + own


def _is_der(body: bytes) -> bool:
    try:
        return base64.b64decode(b"".join(body.split()), validate=True).startswith(b"\x30")
    except binascii.Error:
        return False


def _refused(name: str, seen: str, fix: str) -> SpecError:
    return SpecError([Finding("image-ca", f"the file of [image] ca {seen}", fix, name)])
