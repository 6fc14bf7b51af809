"""How an image was made -> an in-toto statement with SLSA's provenance.

In: the image's digest, and what went into it. Out: bytes, the same for the same values.
No time, host or user is in it: who needs those signs the statement where it is made. Sources:
https://in-toto.io/Statement/v1, https://slsa.dev/provenance/v1
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import shipway

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shipway.build.attachments.attach import Origin
    from shipway.build.environments.distributions import Distribution
    from shipway_runtime.contract import Source

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:shipway:build:image:1"
BUILDER = "urn:shipway:builder:unisolated"
"""Whoever runs the command: nothing keeps the build from its host. A CI service may name itself instead."""


def write_provenance(
    digest: str, origin: Origin, distributions: Sequence[Distribution], builder: str = BUILDER
) -> bytes:
    """The statement about one platform's image, whose `digest` is "sha256:…".

    Distributions without the hash of their file are named by version alone.
    """
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": origin.repository, "digest": _digest_set(digest)}],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": dict(origin.parameters),
                "resolvedDependencies": _dependencies(origin, distributions),
            },
            "runDetails": {"builder": {"id": builder, "version": {"shipway": shipway.__version__}}},
        },
    }
    return json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()


def _dependencies(origin: Origin, distributions: Sequence[Distribution]) -> list[dict[str, Any]]:
    known_last = sorted(distributions, key=lambda distribution: distribution.digest)
    wheels = {d.purl: _digest_set(d.digest) for d in known_last}
    packages = {deb.purl: {"sha256": deb.sha256} for deb in origin.debs} | wheels
    found = [
        {"uri": uri} | ({"digest": digest} if digest else {}) for uri, digest in sorted(packages.items())
    ]
    return [*_source(origin.source), *_base(origin), *found]


def _base(origin: Origin) -> list[dict[str, Any]]:
    """The image below ours, if there is one."""
    if not origin.base_digest:
        return []
    return [{"name": origin.base_name or "base", "digest": _digest_set(origin.base_digest)}]


def _digest_set(digest: str) -> dict[str, str]:
    """in-toto's form of "sha256:…"; of nothing, nothing."""
    algorithm, _, value = digest.partition(":")
    return {algorithm: value} if value else {}


def _source(source: Source) -> list[dict[str, Any]]:
    """The project's revision. Where files differed from it, that is said: the digest is then of less."""
    if source.revision is None:
        return []
    changed = {"annotations": {"dirty": True}} if source.dirty else {}
    return [{"name": "source", "digest": {"gitCommit": source.revision}} | changed]
