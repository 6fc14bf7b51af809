"""One suite of a Debian archive: its signed Release, and the package index that it vouches for.

In: a mirror, a suite, an architecture. Out: `Release` values whose every byte was signed, and the verified
text of Packages. The chain: InRelease is signed by a key we trust -> it gives the SHA-256 of Packages ->
that gives the SHA-256 of each .deb. When the mirror does not answer, the last Release that was verified
from it is used, and said so; it is verified again on the way.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import pysequoia
from debian.deb822 import Release as ReleaseFile

from shipway.build.debian.mirrors import Mirror
from shipway.build.writing import replacing
from shipway.errors import BuildError, TamperedError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shipway.build.debian.download import Downloads

_RELEASE_LIMIT = 4_000_000  # bytes; Debian's largest has 0.2 MB
_READERS: dict[str, Callable[[bytes], bytes]] = {".xz": lzma.decompress, ".gz": gzip.decompress, "": bytes}


@dataclass(frozen=True, slots=True)
class PackagesFile:
    """Where a suite's index of packages is, and what it must hash to. `path` is below dists/SUITE/."""

    path: str
    compression: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Release:
    """What a signed InRelease says of one suite and one architecture.

    `from_cache` says that the mirror did not answer, and this is what it said before.
    """

    mirror: Mirror
    suite: str
    date: datetime
    valid_until: datetime | None
    packages: PackagesFile
    from_cache: bool = False

    @property
    def packages_url(self) -> str:
        return f"{self.mirror.url}/dists/{self.suite}/{self.packages.path}"


def fetch_release(
    mirror: Mirror, suite: str, arch: str, downloads: Downloads, cache: Path, say: Callable[[str], None]
) -> Release:
    """The suite's Release, verified and not expired; the last known one when the mirror does not answer.

    Raises TamperedError for a signature, a suite or a date that is wrong, UnreachableError when there is
    neither an answer nor a Release in the cache.
    """
    url = f"{mirror.url}/dists/{suite}/InRelease"
    kept = cache / "releases" / hashlib.sha256(url.encode()).hexdigest()
    try:
        signed = downloads.document(url, _RELEASE_LIMIT)
    except UnreachableError as error:
        if not kept.is_file():
            message = f"{error}; no index of {suite} from {mirror.shown} is in the cache"
            raise UnreachableError(message, f"the mirror is known from {mirror.origin}") from error
        release = read_release(kept.read_bytes(), mirror, suite, arch)
        date = f"{release.date:%Y-%m-%d %H:%M}"
        say(f"{mirror.shown} cannot be reached: using its {suite} of {date} from the cache")
        return replace(release, from_cache=True)
    release = read_release(signed, mirror, suite, arch)
    _check_valid(release, datetime.now(UTC))
    with replacing(kept) as sink:
        sink.write(signed)
    return release


def read_release(signed: bytes, mirror: Mirror, suite: str, arch: str) -> Release:
    """Verify an InRelease file and read what was signed, never the rest of the file."""
    what = f"{mirror.shown}/dists/{suite}/InRelease"
    fields = ReleaseFile(_verified(signed, mirror, what))
    if fields.get("Codename") != suite:
        seen = fields.get("Codename") or "no codename"
        raise TamperedError(f"{what}: expected the index of {suite}, saw a signed index of {seen}")
    dated, until = _date(fields, "Date", what), _date(fields, "Valid-Until", what)
    if dated is None:
        raise BuildError(f"{what} carries no date")
    return Release(mirror, suite, dated, until, _packages_file(fields, arch, what))


def fetch_packages(release: Release, downloads: Downloads, cache: Path) -> bytes:
    """The text of the suite's Packages, verified."""
    wanted = release.packages
    path = downloads.file(release.packages_url, wanted.sha256, wanted.size, cache / "indexes")
    return _READERS[wanted.compression](path.read_bytes())


# -- Signature, dates, hashes -------------------------------------------------------------------------------


def _verified(signed: bytes, mirror: Mirror, what: str) -> str:
    certs = [*_bundled_certs(), *(cert for ring in mirror.keyrings for cert in _certs(ring))]
    try:
        verified = pysequoia.verify(bytes=signed, store=lambda _: certs)
    except RuntimeError as error:
        keys = ", ".join(sorted({cert.fingerprint[-16:].upper() for cert in certs}))
        raise TamperedError(
            f"{what} is not signed by a key that is trusted for it: {str(error).splitlines()[0]} "
            f"Trusted: {keys}",
            f"{mirror.origin} names this mirror; if it signs with a key of its own, name the key file in "
            "Signed-By of the apt source; also check this machine's clock",
        ) from None
    return (verified.bytes or b"").decode()


@cache
def _bundled_certs() -> tuple[pysequoia.Cert, ...]:
    folder = resources.files("shipway.build.debian") / "keyring"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".asc")), key=lambda f: f.name)
    return tuple(cert for file in files for cert in _certs(file.read_bytes()))


def _certs(keyring: bytes) -> list[pysequoia.Cert]:
    try:
        return pysequoia.Cert.split_bytes(keyring)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise BuildError(f"a keyring of the host's apt sources cannot be read: {reason}") from None


def _date(fields: ReleaseFile, name: str, what: str) -> datetime | None:
    text = fields.get(name)
    try:
        return parsedate_to_datetime(text) if text else None
    except ValueError:
        raise BuildError(f"{what}: {name}: expected a date, saw {text!r}") from None


def _check_valid(release: Release, now: datetime) -> None:
    until = release.valid_until
    if until and until < now and not release.mirror.snapshot:
        raise TamperedError(
            f"{release.mirror.shown}: its {release.suite} was valid until {until:%Y-%m-%d %H:%M} UTC, and it "
            f"is {now:%Y-%m-%d %H:%M} UTC: updates are being held back",
            "use a mirror that is up to date, or a snapshot on purpose; also check this machine's clock",
        )


def _packages_file(fields: ReleaseFile, arch: str, what: str) -> PackagesFile:
    hashes = {entry["name"]: entry for entry in fields.get("SHA256", [])}
    for compression in _READERS:
        name = f"main/binary-{arch}/Packages{compression}"
        if entry := hashes.get(name):
            digest = entry["sha256"].lower()
            if not re.fullmatch("[0-9a-f]{64}", digest):
                raise BuildError(f"{what}: {name}: expected a SHA-256, saw {digest!r}")
            by_hash = fields.get("Acquire-By-Hash") == "yes"
            path = f"main/binary-{arch}/by-hash/SHA256/{digest}" if by_hash else name
            return PackagesFile(path, compression, digest, int(entry["size"]))
    raise BuildError(f"{what} has no packages for {arch}", "use a mirror that carries this architecture")
