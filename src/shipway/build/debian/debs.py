"""Names of Debian packages -> verified .deb files in the cache.

In: an architecture, names, mirrors. Out: `Deb` values, and their files. What a selection came to is kept
with the hashes of the indexes it was made from: while those are the same nothing is decompressed or
parsed, and for an hour the mirror is not even asked.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from shipway.build.cache import read_record
from shipway.build.debian.mirrors import Mirror, find_mirrors
from shipway.build.writing import is_whole, replace_text
from shipway.errors import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shipway.build.debian.closure import Package

__all__ = ["Deb", "Mirror", "Selection", "fetch_debs", "find_mirrors", "select_debs"]

FRESH_S = 3600.0
"""How long a selection stands before the mirror is asked again, in seconds."""

DISTRO = ("debian", "13")
"""What the packages are of, as bills of materials name it."""

_THREADS = 8


@dataclass(frozen=True, slots=True)
class Deb:
    """One package file. `size` in bytes; `sha256` was signed for; `url` may hold the mirror's password."""

    name: str
    version: str
    architecture: str
    url: str
    sha256: str
    size: int

    @property
    def purl(self) -> str:
        """The package URL, https://github.com/package-url/purl-spec."""
        version, distro = quote(self.version, safe="~.-"), "-".join(DISTRO)
        return f"pkg:deb/debian/{self.name}@{version}?arch={self.architecture}&distro={distro}"


@dataclass(frozen=True, slots=True)
class Selection:
    """What is wanted: `base` as it is, `extras` with what they depend on, without `left_out`."""

    arch: str
    base: Sequence[str]
    extras: Sequence[str]
    left_out: Collection[str]

    def key(self, mirrors: Sequence[Mirror]) -> str:
        places = [(mirror.url, mirror.suites) for mirror in mirrors]
        wanted = [self.arch, sorted(self.base), sorted(self.extras), sorted(self.left_out)]
        return hashlib.sha256(json.dumps([places, wanted]).encode()).hexdigest()


def select_debs(
    selection: Selection,
    mirrors: Sequence[Mirror],
    cache: Path,
    say: Callable[[str], None],
    fresh_s: float = FRESH_S,
) -> tuple[Deb, ...]:
    """The packages of a selection, sorted by name.

    Raises ResolveError, TamperedError, UnreachableError, BuildError.
    """
    record = cache / "selections" / f"{selection.key(mirrors)}.json"
    known = read_record(record, dict)
    if known and 0 <= time.time() - known["asked"] < fresh_s:
        return tuple(Deb(**deb) for deb in known["debs"])
    # OpenPGP, HTTP and deb822 take a quarter of a second to import: only when something is asked
    from shipway.build.debian.archive import fetch_packages, fetch_release
    from shipway.build.debian.closure import Index, resolve
    from shipway.build.debian.download import Downloads

    places = [(mirror, suite) for mirror in mirrors for suite in mirror.suites]
    with Downloads() as downloads, ThreadPoolExecutor(_THREADS) as pool:
        arch = selection.arch
        releases = list(pool.map(lambda at: fetch_release(at[0], at[1], arch, downloads, cache, say), places))
        hashes = [release.packages.sha256 for release in releases]
        if known and known["indexes"] == hashes:
            debs = [Deb(**deb) for deb in known["debs"]]
        else:
            texts = pool.map(lambda release: fetch_packages(release, downloads, cache), releases)
            indexes = [Index(r.suite, text, r.mirror.url) for r, text in zip(releases, texts, strict=True)]
            debs = [_deb(p) for p in resolve(selection.base, selection.extras, selection.left_out, indexes)]
    asked = 0.0 if any(release.from_cache for release in releases) else time.time()
    document = {"asked": asked, "indexes": hashes, "debs": [dataclasses.asdict(deb) for deb in debs]}
    replace_text(record, json.dumps(document))
    return tuple(debs)


def fetch_debs(debs: Sequence[Deb], cache: Path, say: Callable[[str], None]) -> tuple[Path, ...]:
    """Each package's file, in the order of `debs`; what is not in the cache is downloaded and verified.

    Raises TamperedError, UnreachableError, BuildError.
    """
    directory = cache / "debs"
    paths = tuple(directory / deb.sha256 for deb in debs)
    missing = [
        deb
        for deb, path in zip(debs, paths, strict=True)
        if not is_whole(path, f"sha256:{deb.sha256}", deb.size)
    ]
    if not missing:
        return paths
    from shipway.build.debian.download import Downloads

    say(f"downloading {len(missing)} Debian packages, {sum(deb.size for deb in missing) / 1e6:.1f} MB")
    with Downloads() as downloads, ThreadPoolExecutor(_THREADS) as pool:
        try:
            list(pool.map(lambda deb: downloads.file(deb.url, deb.sha256, deb.size, directory), missing))
        except UnreachableError as error:
            pool.shutdown(cancel_futures=True)
            cached = len(debs) - len(missing)
            message = f"{error}; {cached} of the {len(debs)} packages are in the cache"
            raise UnreachableError(message, error.hint) from error
    return paths


def _deb(package: Package) -> Deb:
    return Deb(package.name, package.version, package.architecture, package.url, package.sha256, package.size)
