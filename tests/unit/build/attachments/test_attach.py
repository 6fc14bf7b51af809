"""What is attached to an image: bound to it, reproducible, and the bill of materials made once."""

import hashlib
import json
import subprocess
import sys

import pytest

from shipway.build.attachments.attach import Origin, attach
from shipway.build.cache import Cache
from shipway.build.debian.debs import Deb
from shipway.build.environments.distributions import Distribution
from shipway.build.layers import Entry
from shipway.build.oci import platform_image
from shipway.plan.image import Process
from shipway_runtime.contract import Source

PROCESS = Process(("/bin/x",), "65532:65532", {}, "/app", ())
DEB = Deb("libc6", "2.41-12", "amd64", "https://deb.example.com/libc6.deb", "ab" * 32, 10)
WHEEL = Distribution("six", "1.17.0", "/app/.venv", "MIT", "sha256:" + "cd" * 32)


def image(cache, content=b"x", held=(WHEEL,), platform="linux/amd64"):
    layers = [
        cache.layer("deps", {"deps": str(held)}, lambda: [Entry("d", "file", content=b"d")], lambda _: held),
        cache.layer("project", {"content": str(content)}, lambda: [Entry("a", "file", content=content)]),
    ]
    return platform_image(platform, layers, PROCESS, {}, cache)


def origin(revision="9f" * 20, dirty=False, debs=(DEB,)):
    source = Source(revision, dirty)
    return Origin("registry.example.com/a", source, {"platform": "linux/amd64"}, debs)


def documents(cache, made):
    """By artifact type, with the manifest of each."""
    found = {}
    for referrer in attach(made, origin(), cache):
        manifest = json.loads(cache.blob(referrer.manifest.digest).read_bytes())
        document = json.loads(cache.blob(manifest["layers"][0]["digest"]).read_bytes())
        found[referrer.artifact_type] = (manifest, document)
    return found


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


def test_both_are_bound_to_the_platforms_manifest(cache):
    made = image(cache)
    data = cache.blob(made.digest).read_bytes()
    found = documents(cache, made)
    assert set(found) == {"application/vnd.cyclonedx+json", "application/vnd.in-toto+json"}
    for manifest, _ in found.values():
        assert manifest["subject"]["digest"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
        assert manifest["subject"]["size"] == len(data)
        assert manifest["subject"]["mediaType"] == json.loads(data)["mediaType"]
    statement = found["application/vnd.in-toto+json"]
    assert statement[0]["annotations"] == {"in-toto.io/predicate-type": statement[1]["predicateType"]}
    assert f"sha256:{statement[1]['subject'][0]['digest']['sha256']}" == made.digest


def test_the_layers_say_what_is_in_the_bill(cache):
    _, bill = documents(cache, image(cache))["application/vnd.cyclonedx+json"]
    assert {c["purl"] for c in bill["components"] if "purl" in c} == {DEB.purl, WHEEL.purl}


def test_an_edit_keeps_the_bill_and_moves_the_provenance(cache):
    bill, provenance = attach(image(cache), origin(), cache)
    other_bill, other_provenance = attach(image(cache, b"edited"), origin(), cache)
    assert other_bill.blobs == bill.blobs
    assert other_bill.manifest != bill.manifest
    assert other_provenance.blobs[0] != provenance.blobs[0]


def test_another_commit_moves_the_provenance_alone(cache):
    made = image(cache)
    bill, provenance = attach(made, origin(), cache)
    later_bill, later_provenance = attach(made, origin("1e" * 20), cache)
    assert later_bill == bill
    assert later_provenance != provenance


@pytest.mark.parametrize("change", [{"held": ()}, {"platform": "linux/arm64"}])
def test_another_content_is_another_bill(cache, change):
    first, other = (attach(image(cache, **c), origin(), cache)[0] for c in ({}, change))
    assert first.blobs[0] != other.blobs[0]


def test_other_packages_of_the_base_are_another_bill(cache):
    made = image(cache)
    assert attach(made, origin(), cache)[0].blobs[0] != attach(made, origin(debs=()), cache)[0].blobs[0]


def test_two_caches_make_the_same_bytes(tmp_path):
    one, two = (Cache(tmp_path / name) for name in ("one", "two"))
    assert attach(image(one), origin(), one) == attach(image(two), origin(), two)


def test_a_bill_that_was_lost_is_written_again(cache):
    bill = attach(image(cache), origin(), cache)[0].blobs[0]
    cache.blob(bill.digest).unlink()
    assert attach(image(cache), origin(), cache)[0].blobs[0] == bill
    assert cache.blob(bill.digest).is_file()


EDIT = """
import sys
from pathlib import Path
from tests.unit.build.attachments.test_attach import Cache, attach, image, origin
cache = Cache(Path(sys.argv[1]))
attach(image(cache, b"edited"), origin(), cache)
print("cyclonedx" in sys.modules)
"""


@pytest.mark.slow
def test_the_library_of_bills_is_not_imported_after_an_edit(tmp_path):
    def edited(directory):
        command = (sys.executable, "-c", EDIT, str(directory))
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()

    cache = Cache(tmp_path / "known")
    attach(image(cache), origin(), cache)
    assert edited(tmp_path / "known") == "False"
    assert edited(tmp_path / "empty") == "True"
