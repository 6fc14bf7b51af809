"""Referrers are manifests of OCI 1.1, and annotations depend on the sources alone."""

import hashlib
import json

import pytest

from shipway.build.attachments.referrers import image_annotations, is_attached, refer
from shipway.build.cache import Cache
from shipway.build.registries.descriptor import Descriptor

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
SUBJECT = Descriptor(MANIFEST, "sha256:" + "12" * 32, 1234)
TYPE = "application/vnd.cyclonedx+json"
DOCUMENT = b'{"bomFormat":"CycloneDX"}'


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path)


def made(cache, annotations=None):
    document = Descriptor(TYPE, cache.store(DOCUMENT), len(DOCUMENT))
    return refer(SUBJECT, document, "sbom.json", cache, annotations or {})


def read(cache, descriptor):
    data = cache.blob(descriptor.digest).read_bytes()
    assert (f"sha256:{hashlib.sha256(data).hexdigest()}", len(data)) == (descriptor.digest, descriptor.size)
    return data


def test_a_referrer_names_its_subject_its_type_and_its_blobs(cache):
    referrer = made(cache)
    manifest = json.loads(read(cache, referrer.manifest))
    assert manifest["schemaVersion"] == 2
    assert manifest["mediaType"] == MANIFEST
    assert manifest["artifactType"] == referrer.artifact_type == TYPE
    assert manifest["subject"] == {"mediaType": MANIFEST, "digest": SUBJECT.digest, "size": 1234}
    (layer,) = manifest["layers"]
    assert layer.pop("annotations") == {"org.opencontainers.image.title": "sbom.json"}
    assert [layer, manifest["config"]] == [blob.json() for blob in referrer.blobs]
    assert [read(cache, blob) for blob in referrer.blobs] == [DOCUMENT, b"{}"]
    assert layer["mediaType"] == TYPE
    assert manifest["config"] == {
        "mediaType": "application/vnd.oci.empty.v1+json",
        "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        "size": 2,
    }


def test_its_entry_is_what_the_manifest_says(cache):
    plain, annotated = made(cache), made(cache, {"k": "v"})
    assert plain.entry() == {**plain.manifest.json(), "artifactType": TYPE}
    assert annotated.entry() == {**annotated.manifest.json(), "artifactType": TYPE, "annotations": {"k": "v"}}
    assert json.loads(read(cache, annotated.manifest))["annotations"] == {"k": "v"}
    assert made(cache) == plain


def test_an_entry_of_an_index_is_an_image_or_attached(cache):
    assert is_attached(made(cache).entry())
    assert not is_attached(SUBJECT.json())
    image = "application/vnd.oci.image.config.v1+json"
    assert not is_attached({**SUBJECT.json(), "artifactType": image})


def test_annotations_say_what_is_known_and_no_time():
    assert image_annotations("support") == {"org.opencontainers.image.title": "support"}
    assert image_annotations("support", "1.2", "MIT", "debian:trixie", "sha256:" + "1" * 64) == {
        "org.opencontainers.image.title": "support",
        "org.opencontainers.image.version": "1.2",
        "org.opencontainers.image.licenses": "MIT",
        "org.opencontainers.image.base.name": "debian:trixie",
        "org.opencontainers.image.base.digest": "sha256:" + "1" * 64,
    }
