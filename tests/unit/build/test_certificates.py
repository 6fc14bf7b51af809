"""[image] ca: certificates and nothing else go into an image."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipway.build.certificates import join_certificates, read_certificates
from shipway.errors import SpecError

ONE = b"-----BEGIN CERTIFICATE-----\nMIIBAA==\n-----END CERTIFICATE-----\n"
KEY = b"-----BEGIN EC PRIVATE KEY-----\nMIIBAA==\n-----END EC PRIVATE KEY-----\n"


def test_what_stands_between_certificates_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(b"# ours\r\n" + ONE.replace(b"\n", b"\r\n") + b"Subject: x\n" + ONE)
    assert read_certificates(tmp_path, "ca.pem") == ONE + ONE


def test_they_join_the_bases_bundle() -> None:
    assert join_certificates(b"public\n\n", ONE) == b"public\n" + ONE


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (None, "cannot be read: No such file"),
        (ONE + KEY, "holds a private key"),
        (b"\x30\x82", "holds no certificate in PEM form"),
        (ONE.replace(b"MIIBAA==", b"hello***"), "holds no certificate in PEM form"),
        (b"", "holds no certificate in PEM form"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, content: bytes | None, seen: str) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    with pytest.raises(SpecError) as caught:
        read_certificates(tmp_path, "ca.pem")
    (finding,) = caught.value.findings
    assert (finding.rule, finding.file) == ("image-ca", "ca.pem")
    assert seen in finding.message
