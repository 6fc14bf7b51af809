"""Rules about secrets in manifests: where their values stand, and whether they can be replaced."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from shipway.build.secrets.scan import find_secrets
from shipway.check.rule import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.manifests.subject import Manifests

_TURNS = frozenset({"secret", "configMap", "projected"})


def texts_hold_no_secret(manifests: Manifests) -> Iterator[Seen]:
    """No manifest holds a key, a token or a password.

    Manifests are in Git, and everybody who may read a Deployment or a ConfigMap reads it there. A Secret that
    is committed is no better: base64 is no encryption. Looked for are the forms that services give to
    their keys, and random values of names that end with `password`, `token`, `api_key`.
    """
    fix = "keep it in the orchestrator's store and refer to it; replace it, for it is known"
    found = {
        (file.name, line): kind
        for file in manifests.files
        for line, kind in find_secrets("manifest.yaml", file.text.encode())
    }
    for file, line, text in _assigned(manifests):
        for _, kind in find_secrets("variable", text.encode()):
            found.setdefault((file, line), kind)
    for (file, line), kind in sorted(found.items()):
        yield Seen(
            f"this looks like a secret ({kind}), and whoever reads the manifest reads it", fix, line, file
        )


def _assigned(manifests: Manifests) -> Iterator[tuple[str, int, str]]:
    """Names with their values that stand on two lines, or in base64."""
    for workload in manifests.workloads:
        for container in workload.containers:
            for variable in container.env:
                if variable.value and not variable.value.startswith("$"):
                    yield workload.file, variable.line, f"{variable.name}={variable.value}"
    for thing in manifests.of_kind("Secret"):
        for name, value in thing.node["data"].pairs.items():
            try:
                text = base64.b64decode(value.text, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError, ValueError):
                continue
            yield thing.file, value.line, f"{name}={text}"


def secrets_can_rotate(manifests: Manifests) -> Iterator[Seen]:
    """Secrets and ConfigMaps are mounted whole, without `subPath`.

    Kubernetes renews the files of a mount when the secret changes, except where a `subPath` is mounted: that
    keeps its first content until the pod ends, and the old key with it.
    """
    for workload in manifests.workloads:
        for container in workload.containers:
            for mount in container.mounts:
                volume = workload.volume(mount.volume)
                if mount.part and volume and volume.source in _TURNS:
                    message = (
                        f"{mount.path} is a subPath of a {volume.source}: it never changes while the pod runs"
                    )
                    fix = "mount the volume as a directory, and read the file from it"
                    yield Seen(message, fix, mount.line, workload.file)
