"""Image references: what people write -> where the image is.

In: text such as `registry.example.com:5000/team/agent:1.2@sha256:…`. Out: `Reference`, with Docker's defaults
made explicit: no registry means Docker Hub, one word there means `library/`. Source: distribution's grammar.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from shipway import loopback
from shipway.errors import BuildError

HUB = "docker.io"
_HUB_NAMES = (HUB, "index.docker.io", "registry-1.docker.io")
_HUB_HOST = "registry-1.docker.io"  # Docker Hub's name is not where its registry answers

_DOMAIN = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Reference:
    """One image by name. Without tag and digest it means the tag `latest`."""

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"

    @property
    def host(self) -> str:
        """Host and port that answer for the registry."""
        return host_of(self.registry)

    @property
    def wanted(self) -> str:
        """What a manifest is asked for by: the digest if there is one, else the tag."""
        return self.digest or self.tag or "latest"

    def at(self, digest: str) -> Reference:
        """The same repository by digest alone."""
        return replace(self, tag=None, digest=digest)


def parse_reference(text: str) -> Reference:
    """Read a reference. Raises BuildError that says which part is wrong."""
    if "://" in text:
        raise _wrong(text, "it starts with a scheme", "leave out https://")
    name, at, digest = text.partition("@")
    if at and not is_digest(digest):
        raise _wrong(text, f"{digest!r} is not a digest", "expected sha256: and 64 hexadecimal digits")
    head, slash, rest = name.partition("/")
    if slash and (set(head) & set(".:[") or head == "localhost" or head != head.lower()):
        registry, path = head, rest
    else:
        registry, path = HUB, name
    repository, colon, tag = path.partition(":")
    if not re.fullmatch(_DOMAIN, registry):
        raise _wrong(text, f"{registry!r} is not a host", "expected host or host:port before the first /")
    if colon and not _TAG.fullmatch(tag):
        raise _wrong(text, f"{tag!r} is not a tag", "letters, digits, _ . - and at most 128 of them")
    if not _REPOSITORY.fullmatch(repository):
        fix = "lower-case letters and digits, separated by . _ - and /"
        raise _wrong(text, f"{repository!r} is not a repository", fix)
    if registry in _HUB_NAMES:
        registry, repository = HUB, repository if "/" in repository else f"library/{repository}"
    return Reference(registry, repository, tag or None, digest or None)


def without_tag(reference: str) -> str:
    """The repository that a reference without a digest is in."""
    head, slash, name = reference.rpartition("/")
    return f"{head}{slash}{name.partition(':')[0]}"


def is_digest(text: object) -> bool:
    """Whether this is a SHA-256 digest as registries write it; only such text may become a path."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def host_of(registry: str) -> str:
    """Host and port that answer for a registry's name."""
    return _HUB_HOST if registry in _HUB_NAMES else registry


def is_loopback(host: str) -> bool:
    """Whether this host, with or without port, is this machine whatever a name server says."""
    return loopback.is_loopback(
        host[1:].partition("]")[0] if host.startswith("[") else host.rpartition(":")[0] or host
    )


def _wrong(text: str, seen: str, expected: str) -> BuildError:
    return BuildError(f"{text!r} is not an image reference: {seen}", expected)
