"""Referrers are manifests of OCI 1.1, and annotations depend on the sources alone."""

import hashlib
import json

from shipway.build.referrers import EMPTY, Descriptor, image_annotations, refer

SUBJECT = Descriptor("application/vnd.oci.image.manifest.v1+json", "sha256:" + "12" * 32, 1234)
TYPE = "application/vnd.cyclonedx+json"


def test_a_referrer_names_its_subject_its_type_and_its_blobs():
    document = b'{"bomFormat":"CycloneDX"}'
    made = refer(SUBJECT, TYPE, document)
    manifest = json.loads(made.manifest)
    assert manifest["schemaVersion"] == 2
    assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert manifest["artifactType"] == made.artifact_type == TYPE
    assert manifest["subject"] == {"mediaType": SUBJECT.media_type, "digest": SUBJECT.digest, "size": 1234}
    blobs = {f"sha256:{hashlib.sha256(blob).hexdigest()}": len(blob) for blob in made.blobs}
    named = [*manifest["layers"], manifest["config"]]
    assert {descriptor["digest"]: descriptor["size"] for descriptor in named} == blobs
    assert manifest["layers"][0]["mediaType"] == TYPE
    assert manifest["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    assert manifest["config"]["digest"] == (
        "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    )
    assert EMPTY in made.blobs


def test_its_descriptor_is_of_its_manifest():
    made = refer(SUBJECT, TYPE, b"{}")
    assert made.descriptor.digest == f"sha256:{hashlib.sha256(made.manifest).hexdigest()}"
    assert made.descriptor.size == len(made.manifest)
    assert made == refer(SUBJECT, TYPE, b"{}")


def test_annotations_say_what_is_known_and_no_time():
    assert image_annotations("support") == {"org.opencontainers.image.title": "support"}
    made = image_annotations("support", "1.2", "MIT", "9f" * 20, "debian:trixie", "sha256:" + "1" * 64)
    assert made == {
        "org.opencontainers.image.title": "support",
        "org.opencontainers.image.version": "1.2",
        "org.opencontainers.image.licenses": "MIT",
        "org.opencontainers.image.revision": "9f" * 20,
        "org.opencontainers.image.base.name": "debian:trixie",
        "org.opencontainers.image.base.digest": "sha256:" + "1" * 64,
    }
