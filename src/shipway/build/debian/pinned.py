"""Debian packages of shipway.lock -> files, from whichever mirror still has them.

In: `LockedDeb` values, and this machine's mirrors; out: `Deb` values and their files. The lock knows a
package's path, never its mirror. What was downloaded once stays in the cache; no index is asked, as the
lock's SHA-256 decides.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from shipway.build.debian.debs import Deb, fetch_debs
from shipway.errors import BuildError, ResolveError, TamperedError, UnreachableError
from shipway.spec.shipwaylock import LockedDeb

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from shipway.build.debian.mirrors import Mirror


def locked_debs(debs: Sequence[Deb], mirrors: Sequence[Mirror]) -> tuple[LockedDeb, ...]:
    """What a selection came to, without the mirrors that it came from."""
    return tuple(
        LockedDeb(d.name, d.version, d.architecture, _path(d, mirrors), d.sha256, d.size) for d in debs
    )


def pinned_debs(locked: Sequence[LockedDeb], mirrors: Sequence[Mirror]) -> tuple[Deb, ...]:
    """The packages with the address where each most probably is."""
    return tuple(
        Deb(d.name, d.version, d.architecture, _places(d.filename, mirrors)[0], d.sha256, d.size)
        for d in locked
    )


def fetch_pinned(
    debs: Sequence[Deb], mirrors: Sequence[Mirror], cache: Path, say: Callable[[str], None]
) -> tuple[Path, ...]:
    """Each package's file, from the cache, its own place, or another mirror.

    Raises ResolveError that names what is in no mirror any more, TamperedError and UnreachableError.
    """
    try:
        return fetch_debs(debs, cache, say)
    except (TamperedError, UnreachableError):
        raise
    except BuildError as error:
        found = [_anywhere(deb, mirrors, cache) for deb in debs]
        gone = [f"{deb.name} {deb.version}" for deb, path in zip(debs, found, strict=True) if path is None]
        if not gone:
            return tuple(path for path in found if path)
        raise ResolveError(
            f"shipway.lock has {len(gone)} Debian packages that neither the mirrors nor the cache have any "
            f"more: {', '.join(gone)}\n    {error}",
            "mirrors drop a version when its successor comes: name a snapshot as [image] mirror, which keeps "
            "them all, or lock the versions of today: `shipway lock --upgrade`",
        ) from error


def _anywhere(deb: Deb, mirrors: Sequence[Mirror], cache: Path) -> Path | None:
    for url in _places(_path(deb, mirrors), mirrors):
        try:
            (path,) = fetch_debs([dataclasses.replace(deb, url=url)], cache, _quietly)
        except (TamperedError, UnreachableError):
            raise
        except BuildError:
            continue
        return path
    return None


def _quietly(_: str) -> None:
    pass


def _path(deb: Deb, mirrors: Sequence[Mirror]) -> str:
    return next(deb.url.removeprefix(f"{m.url}/") for m in mirrors if deb.url.startswith(f"{m.url}/"))


def _places(filename: str, mirrors: Sequence[Mirror]) -> tuple[str, ...]:
    """Addresses to try, the most probable first.

    Packages of the security archive are below pool/updates there, and move to the main archive, without
    that part, at the next point release.
    """
    security = filename.startswith("pool/updates/")
    first = sorted(mirrors, key=lambda m: any(s.endswith("-security") for s in m.suites) is not security)
    own = [f"{mirror.url}/{filename}" for mirror in first]
    moved = re.sub("^pool/updates/", "pool/", filename)
    return tuple(dict.fromkeys([*own, *(f"{mirror.url}/{moved}" for mirror in first[::-1])]))
