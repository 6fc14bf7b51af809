"""Rules about how a manifest names its images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.check.rule import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.manifests.subject import Manifests
    from shipway.check.manifests.workload import Container, Workload


_MOVING = frozenset({"", "latest", "main", "master", "dev", "develop", "nightly", "edge", "stable"})
"""Tags that are moved at every build, by their own meaning."""


def tag_is_given(manifests: Manifests) -> Iterator[Seen]:
    """Images have a tag that stays: not `latest`, `main`, `nightly`.

    What `latest` is differs between two nodes of one rollout, and going back means to go back to the same
    word. In development it is what one has just built, so there it may be.
    """
    for workload, container in _images(manifests):
        if _moves(container.image):
            message = f"{container.image} is whatever it is when a node pulls it"
            fix = "name the release, best by its digest"
            yield Seen(message, fix, container.image_line, workload.file)


def digest_is_given(manifests: Manifests) -> Iterator[Seen]:
    """Images are named by digest.

    A tag can be moved. That what was tested, what was scanned and what runs are the same is certain by digest
    only.
    """
    for workload, container in _images(manifests):
        if not _moves(container.image):
            message = f"{container.image} is named by tag"
            yield Seen(message, "add @sha256:…", container.image_line, workload.file)


def _images(manifests: Manifests) -> Iterator[tuple[Workload, Container]]:
    """Those without digest that nothing else decides: no build, no variable, no kustomization."""
    for workload in manifests.workloads:
        for container in workload.containers if not workload.development else ():
            image = container.image
            open_ = bool(image) and "@" not in image and "$" not in image and not container.built
            if open_ and image.partition(":")[0] not in manifests.tagged:
                yield workload, container


def _moves(image: str) -> bool:
    tag = image.rpartition("/")[2].partition(":")[2]
    return tag in _MOVING or tag.endswith("-latest")
