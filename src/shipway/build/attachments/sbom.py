"""What is in an image -> its bill of materials: CycloneDX 1.6, JSON.

In: the image's name and platform, the image below, Debian packages, distributions. Out: bytes, the same for
the same values: no time, and a serial number that is made from the content. cyclonedx takes long to import:
import this module only when there is a bill to write. Source: https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

import shipway
from shipway.build.debian.debs import DISTRO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shipway.build.debian.debs import Deb
    from shipway.build.environments.distributions import Distribution


def write_sbom(
    image: str,
    platform: str,
    debs: Sequence[Deb],
    distributions: Sequence[Distribution],
    base: tuple[str, str] = ("", ""),
) -> bytes:
    """The bill of materials of one platform's image; `image` is its repository, `platform` "linux/arm64".

    `base` is the reference and digest of the image below ours, if there is one.

    The image's digest is not in it: the referrer's `subject` binds the two, and an edit of the project's
    code leaves the bill as it was.
    """
    bom = Bom()
    subject = Component(type=ComponentType.CONTAINER, name=image, bom_ref="image")
    subject.properties.add(Property(name="shipway:platform", value=platform))
    tool = Component(type=ComponentType.APPLICATION, name="shipway", version=shipway.__version__)
    bom.metadata.component, bom.metadata.tools = subject, ToolRepository(components=[tool])
    below = [*([_base(*base)] if base[1] else []), *([_system()] if debs else [])]
    components = [*below, *map(_deb, debs), *map(_distribution, distributions)]
    for component in components:
        bom.components.add(component)
    bom.register_dependency(subject, components)
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string()
    return _without_chance(json.loads(text))


def _without_chance(document: dict[str, Any]) -> bytes:
    """The document without its time, and with a serial number that follows from the rest."""
    del document["metadata"]["timestamp"], document["serialNumber"]
    serial = uuid5(NAMESPACE_OID, json.dumps(document, sort_keys=True))
    return json.dumps(
        {**document, "serialNumber": serial.urn}, sort_keys=True, separators=(",", ":")
    ).encode()


def _system() -> Component:
    name, version = DISTRO
    return Component(type=ComponentType.OPERATING_SYSTEM, name=name, version=version, bom_ref="system")


def _base(reference: str, digest: str) -> Component:
    """Its version is its digest; what is in it, its own bill says."""
    return Component(type=ComponentType.CONTAINER, name=reference or "base", version=digest, bom_ref="base")


def _deb(deb: Deb) -> Component:
    """Without the address of its file: that is a mirror's, and may hold a password."""
    return Component(
        type=ComponentType.LIBRARY,
        name=deb.name,
        version=deb.version,
        purl=PackageURL.from_string(deb.purl),
        bom_ref=deb.purl,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=deb.sha256)],
    )


def _distribution(distribution: Distribution) -> Component:
    purl = PackageURL.from_string(distribution.purl)
    return Component(
        type=ComponentType.LIBRARY,
        group=purl.namespace,
        name=purl.name,
        version=distribution.version,
        purl=purl,
        bom_ref=f"{distribution.purl}#{distribution.environment}",
        hashes=[_hash(distribution.digest)] if distribution.digest else [],
        licenses=[_license(distribution.licence)] if distribution.licence else [],
        properties=[Property(name="shipway:environment", value=distribution.environment)],
    )


def _hash(digest: str) -> HashType:
    algorithm, _, value = digest.partition(":")
    return HashType(alg=HashAlgorithm(f"SHA-{algorithm.removeprefix('sha')}"), content=value)


def _license(stated: str) -> DisjunctiveLicense | LicenseExpression:
    """An SPDX expression where it is one, else the words as they are."""
    try:
        return LicenseExpression(canonicalize_license_expression(stated))
    except InvalidLicenseExpression:
        return DisjunctiveLicense(name=stated)
