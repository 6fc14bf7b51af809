"""The provenance keeps the rules of in-toto and SLSA, and is the same bytes every time."""

import json
import re

import shipway
from shipway.build.attachments.attach import Origin
from shipway.build.attachments.provenance import write_provenance
from shipway.build.debian.debs import Deb
from shipway.build.environments.distributions import Distribution
from shipway_runtime.contract import Source

DIGEST = "sha256:" + "12" * 32
DEBS = (Deb("libc6", "2.41-12", "amd64", "https://u:pw0rd@deb.example.com/libc6.deb", "ab" * 32, 10),)
DISTRIBUTIONS = (
    Distribution("anyio", "4.9.0", "/app/mcp/time", "MIT", "sha256:" + "ef" * 32),
    Distribution("anyio", "4.9.0", "/app/.venv", "MIT", "sha256:" + "ef" * 32),
    Distribution("six", "1.17.0", "/app/.venv"),
)
HEX = {"sha256": 64, "gitCommit": 40}
URI = re.compile(r"[a-z][a-z0-9+.-]*:\S+")


def provenance(source=None, debs=DEBS, distributions=DISTRIBUTIONS, **below):
    source = source or Source("9f" * 20, dirty=False)
    parameters = {"platform": "linux/amd64", "base": "minimal"}
    origin = Origin("registry.example.com/support", source, parameters, debs, **below)
    return write_provenance(DIGEST, origin, distributions)


def check_descriptor(descriptor):
    """ResourceDescriptor: one of uri, digest, content at least; digests are lower-case hex."""
    assert set(descriptor) <= {"name", "uri", "digest", "content", "mediaType", "annotations"}
    assert {"uri", "digest", "content"} & set(descriptor)
    assert URI.fullmatch(descriptor.get("uri", "x:y"))
    for algorithm, value in descriptor.get("digest", {}).items():
        assert re.fullmatch(f"[0-9a-f]{{{HEX[algorithm]}}}", value)


def test_it_keeps_the_rules_of_its_formats():
    statement = json.loads(provenance())
    assert set(statement) == {"_type", "subject", "predicateType", "predicate"}
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    (subject,) = statement["subject"]
    assert subject["digest"] == {"sha256": "12" * 32}
    check_descriptor(subject)
    assert set(statement["predicate"]) == {"buildDefinition", "runDetails"}
    definition = statement["predicate"]["buildDefinition"]
    assert set(definition) == {"buildType", "externalParameters", "resolvedDependencies"}
    assert URI.fullmatch(definition["buildType"])
    assert definition["externalParameters"] == {"platform": "linux/amd64", "base": "minimal"}
    for dependency in definition["resolvedDependencies"]:
        check_descriptor(dependency)
    builder = statement["predicate"]["runDetails"]["builder"]
    assert URI.fullmatch(builder["id"])
    assert builder["version"] == {"shipway": shipway.__version__}


def test_it_names_source_debs_and_wheels_once_with_their_digests():
    found = json.loads(provenance())["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert found == [
        {"name": "source", "digest": {"gitCommit": "9f" * 20}},
        {
            "uri": "pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=debian-13",
            "digest": {"sha256": "ab" * 32},
        },
        {"uri": "pkg:pypi/anyio@4.9.0", "digest": {"sha256": "ef" * 32}},
        {"uri": "pkg:pypi/six@1.17.0"},
    ]


def test_an_image_below_is_a_dependency():
    made = json.loads(provenance(base_name="docker.io/library/python:slim", base_digest=DIGEST))
    below = made["predicate"]["buildDefinition"]["resolvedDependencies"][1]
    check_descriptor(below)
    assert below == {"name": "docker.io/library/python:slim", "digest": {"sha256": "12" * 32}}
    layout = json.loads(provenance(base_digest=DIGEST))["predicate"]["buildDefinition"]
    assert layout["resolvedDependencies"][1] == {"name": "base", "digest": {"sha256": "12" * 32}}


def test_changed_files_are_said_and_no_revision_is_no_source():
    changed = json.loads(provenance(Source("9f" * 20, dirty=True)))
    assert changed["predicate"]["buildDefinition"]["resolvedDependencies"][0]["annotations"] == {
        "dirty": True
    }
    none = json.loads(provenance(Source(None, dirty=False), (), ()))
    assert none["predicate"]["buildDefinition"]["resolvedDependencies"] == []


def test_the_same_values_make_the_same_bytes_without_time_or_mirror():
    assert provenance() == provenance(debs=DEBS[::-1], distributions=DISTRIBUTIONS[::-1])
    for word in (b"pw0rd", b"deb.example.com", b"startedOn", b"finishedOn"):
        assert word not in provenance()
