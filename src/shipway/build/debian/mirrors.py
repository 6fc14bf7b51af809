"""Where Debian's archive is: the project's setting, else the environment's, else the host's own apt sources.

In: `[image] mirror`, the environment, /etc/apt. Out: `Mirror` values, the main archive and the security
archive of trixie. No mirror is built in. Nothing is asked over the network here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.build.debian.apt_sources import Source, read_sources
from shipway.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SUITE = "trixie"
VARIABLE = "SHIPWAY_DEBIAN_MIRROR"

_MAIN = (SUITE, f"{SUITE}-updates")
_SECURITY = (f"{SUITE}-security",)

_RELEASE = "(?:old)*stable|testing|unstable|sid|buster|bullseye|bookworm|trixie|forky|duke"
_PART = "-updates|-security|-proposed-updates|-backports(?:-sloppy)?|/updates"
_DEBIAN_SUITE = re.compile(f"(?:{_RELEASE})(?:{_PART})?")
_SNAPSHOT = re.compile(r"/\d{8}T\d{6}Z(?:/|$)")


@dataclass(frozen=True, slots=True)
class Mirror:
    """One archive. `keyrings` (the bytes of key files) count beside the keys that come with shipway.

    `url` has no trailing slash and may hold a user and password: show `shown`. `origin` says where the
    mirror is known from.
    """

    url: str
    suites: tuple[str, ...]
    origin: str
    keyrings: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def shown(self) -> str:
        return without_password(self.url)

    @property
    def snapshot(self) -> bool:
        """Frozen at a time that its address names: old on purpose, so nothing in it expires."""
        return bool(_SNAPSHOT.search(self.url))


def without_password(url: str) -> str:
    """A URL as it may be shown."""
    return re.sub(r"(?<=://)[^/@]*@", "", url)


def find_mirrors(
    configured: str | None, environ: Mapping[str, str], sources: Path = Path("/etc/apt")
) -> tuple[Mirror, ...]:
    """The archives to use, the main one first.

    `configured` and SHIPWAY_DEBIAN_MIRROR hold one URL, or two separated by a space, the second one that of
    the security archive. Raises BuildError when no mirror is known.
    """
    for text, origin in ((configured, "[image] mirror"), (environ.get(VARIABLE), VARIABLE)):
        if urls := (text or "").split():
            return _configured(urls, origin)
    found = sorted((s for s in read_sources(sources) if _is_debian(s)), key=lambda s: not _has_archive_key(s))
    main = next((source for source in found if not _is_security(source)), None)
    if main is None:
        raise BuildError(
            f"no Debian mirror is known for the minimal base: {_seen(sources)}",
            f'name one: mirror = "https://…/debian" under [image] in agent.toml, or {VARIABLE} in the '
            f"environment, or a Debian source in {sources} of this host",
        )
    security = next((source for source in found if _is_security(source)), None)
    derived = Mirror(_security_of(main.url, str(main.file)), _SECURITY, str(main.file), _keys(main))
    return _of(main, _MAIN), _of(security, _SECURITY) if security else derived


def _configured(urls: Sequence[str], origin: str) -> tuple[Mirror, ...]:
    for url in urls:
        if not re.match(r"https?://[^/]", url):
            raise BuildError(f"{origin}: {url!r} is not an HTTP address", 'write it as "https://host/debian"')
    if len(urls) > 2:
        raise BuildError(f"{origin}: {len(urls)} addresses; expected the main and the security archive")
    main = urls[0].rstrip("/")
    security = urls[1].rstrip("/") if len(urls) == 2 else _security_of(main, origin)
    return Mirror(main, _MAIN, origin), Mirror(security, _SECURITY, origin)


def _security_of(url: str, origin: str) -> str:
    """`…/debian` has its security archive beside it, as `…/debian-security`; so have snapshots."""
    beside, count = re.subn(r"^(.*[^/])/debian(?=/|$)", r"\1/debian-security", url)
    if not count:
        raise BuildError(
            f"{origin}: {without_password(url)} does not say where the security archive is",
            "add its address after the first, separated by a space",
        )
    return beside


# -- Which of the host's sources are Debian's ------------------------------------------------------------


def _is_debian(source: Source) -> bool:
    """By suite and component, and by the key's name, or where no key is named by the path."""
    if "main" not in source.components or not all(map(_DEBIAN_SUITE.fullmatch, source.suites)):
        return False
    if source.keyrings:
        return any("debian" in path.name for path in source.keyrings)
    return source.url.rpartition("/")[2] in ("debian", "debian-security")


def _has_archive_key(source: Source) -> bool:
    return any(path.name.startswith("debian-archive") for path in source.keyrings)


def _is_security(source: Source) -> bool:
    return any(suite.endswith(("-security", "/updates")) for suite in source.suites)


def _of(source: Source, suites: tuple[str, ...]) -> Mirror:
    return Mirror(source.url, suites, str(source.file), _keys(source))


def _keys(source: Source) -> tuple[bytes, ...]:
    files = [path.read_bytes() for path in source.keyrings if path.is_file()]
    return (*files, source.keys.encode()) if source.keys else tuple(files)


def _seen(sources: Path) -> str:
    others = sorted({without_password(source.url) for source in read_sources(sources)})
    return f"{sources} names only {', '.join(others)}" if others else f"{sources} names no archive"
