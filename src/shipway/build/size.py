"""How large an image is -> a finding, or an error that names its largest parts.

In: an image in the cache, and its budget. Out: nothing when it is small enough. What an image consists of is
looked at only when it is too large.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.errors import BuildError, Finding

if TYPE_CHECKING:
    from shipway.build.cache import Cache
    from shipway.build.oci import PlatformImage
    from shipway.plan.image import ImagePlan

LARGE = 1_000_000_000
"""Bytes unpacked from which an image is a finding even without a budget."""


def large(reference: str, unpacked: int) -> Finding | None:
    """The finding about an image of 1 GB and more, whatever its budget."""
    if unpacked < LARGE:
        return None
    return Finding(
        "image-large",
        f"{reference} has {unpacked / 1e9:.1f} GB unpacked; an agent's image seldom needs a tenth of that",
        "`shipway inspect` shows the largest packages and who requires them; CPU builds of machine learning "
        "libraries and a smaller base help most",
    )


def check_size(plan: ImagePlan, image: PlatformImage, cache: Cache) -> None:
    """Raise BuildError for an image over its plan's limit."""
    if plan.size_limit is None or image.unpacked <= plan.size_limit:
        return
    from shipway.build.inspection.image_source import built_image
    from shipway.build.inspection.inspect import inspect, largest

    found = inspect(built_image(plan.repository, image, cache))
    layers = [la for la in found.layers if la.unpacked > found.unpacked / 20]
    lines = [*largest(found, 12), *(f"{la.unpacked / 1e6:7.1f} MB  layer: {la.name}" for la in layers)]
    listed = "\n".join(f"    {line}" for line in sorted(lines, reverse=True)[:14])
    raise BuildError(
        f"the {plan.role} image has {image.unpacked / 1e6:.1f} MB unpacked, over the limit of "
        f"{plan.size_limit / 1e6:.0f} MB ([image] size); its largest parts:\n{listed}",
        "drop a dependency, or raise [image] size",
    )
