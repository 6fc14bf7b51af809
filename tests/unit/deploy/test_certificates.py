"""Certificates and their key, as people keep them in files."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from shipway.deploy import certificates
from shipway.errors import SpecError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, engine: Callable[[str], str]) -> Path:
    engine("openssl")
    place = tmp_path_factory.mktemp("certificates")
    for name in ("one", "other"):
        subprocess.run(
            (
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
                *("-nodes", "-days", "2", "-subj", f"/CN={name}"),
                *("-keyout", str(place / f"{name}.key"), "-out", str(place / f"{name}.crt")),
            ),
            check=True,
            capture_output=True,
        )
    return place


def test_the_certificate_comes_first_wherever_it_is(made: Path, tmp_path: Path) -> None:
    pem = certificates.read([made / "one.key", made / "one.crt"])
    assert pem.startswith("-----BEGIN CERTIFICATE-----")
    assert pem.rstrip().endswith("PRIVATE KEY-----")
    (both := tmp_path / "both.pem").write_text(pem)
    assert certificates.read([both]) == pem


def test_a_key_of_another_is_refused(made: Path) -> None:
    with pytest.raises(SpecError, match="no server could use this: key values mismatch"):
        certificates.read([made / "one.crt", made / "other.key"])


def test_what_is_not_there_is_said(made: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="saw 1 certificates and 0 keys"):
        certificates.read([made / "one.crt"])
    with pytest.raises(SpecError, match=r"gone.pem cannot be read: No such file"):
        certificates.read([tmp_path / "gone.pem"])


def test_a_key_with_a_password_is_refused(made: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked.key"
    command = (
        "openssl",
        "pkcs8",
        "-topk8",
        "-in",
        str(made / "one.key"),
        "-passout",
        "pass:x",
        "-out",
        str(locked),
    )
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(SpecError, match="the key has a password"):
        certificates.read([made / "one.crt", locked])
