"""The bill of materials is CycloneDX, complete, and the same bytes every time."""

import json
import os
import subprocess
import sys
from dataclasses import asdict

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import shipway
from shipway.build.attachments.sbom import write_sbom
from shipway.build.debian.debs import Deb
from shipway.build.environments.distributions import Distribution, from_record, read_distributions
from shipway.build.layers import Entry

DEBS = (
    Deb("libc6", "2.41-12", "amd64", "https://u:pw0rd@deb.example.com/pool/libc6.deb", "ab" * 32, 10),
    Deb("tzdata", "1:2025b-4+deb13u1", "all", "https://deb.example.com/pool/tzdata.deb", "cd" * 32, 20),
)
DISTRIBUTIONS = (
    Distribution("anyio", "4.9.0", "/app/.venv", "MIT", "sha256:" + "ef" * 32),
    Distribution("anyio", "4.9.0", "/app/mcp/time", "MIT", "sha256:" + "ef" * 32),
    Distribution("Typing_Extensions", "4.16.0", "/app/.venv", "PSF-2.0"),
    Distribution("torch", "2.9.0+cpu", "/app/.venv", "BSD-3-Clause AND Apache-2.0"),
    Distribution("odd", "1", "/app/.venv", "Corporate License v3"),
    Distribution("@scope/server", "1.2.3", "/app/mcp/files", "ISC", "sha512:" + "7a" * 64, "npm"),
)


def bill(debs=DEBS, distributions=DISTRIBUTIONS, platform="linux/amd64"):
    return write_sbom("registry.example.com/support", platform, debs, distributions)


def components():
    return {component["bom-ref"]: component for component in json.loads(bill())["components"]}


@pytest.mark.parametrize(("debs", "distributions"), [(DEBS, DISTRIBUTIONS), ((), ()), (DEBS, ())])
def test_it_is_valid_by_the_schema(debs, distributions):
    text = bill(debs, distributions).decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    broken = text.replace('"container"', '"contrainer"')
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(broken) is not None


def test_the_same_values_make_the_same_bytes_and_others_another_serial_number():
    assert bill() == bill(DEBS[::-1], DISTRIBUTIONS[::-1])
    others = [bill(DEBS[:1]), bill(platform="linux/arm64"), bill(distributions=DISTRIBUTIONS[:2]), bill()]
    assert len({json.loads(other)["serialNumber"] for other in others}) == 4
    assert b"timestamp" not in bill()


@pytest.mark.slow
def test_the_bytes_do_not_depend_on_the_process():
    program = (
        "import sys; from shipway.build.attachments.sbom import write_sbom; "
        "from shipway.build.environments.distributions import Distribution as D; "
        "sys.stdout.buffer.write(write_sbom('x', 'linux/arm64', (),"
        " [D(n, '1', '/app/.venv', 'MIT') for n in 'qwertyuiop']))"
    )
    made = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for seed, zone in (("1", "UTC"), ("77", "Asia/Tokyo"))
    }
    assert len(made) == 1
    assert next(iter(made))


def test_packages_have_urls_hashes_and_licences():
    found = components()
    libc = found["pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=debian-13"]
    assert libc["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    tzdata = found["pkg:deb/debian/tzdata@1%3A2025b-4%2Bdeb13u1?arch=all&distro=debian-13"]
    assert tzdata["version"] == "1:2025b-4+deb13u1"
    anyio = found["pkg:pypi/anyio@4.9.0#/app/.venv"]
    assert anyio["licenses"] == [{"expression": "MIT"}]
    assert anyio["hashes"][0]["content"] == "ef" * 32
    assert "pkg:pypi/anyio@4.9.0#/app/mcp/time" in found
    assert (
        found["pkg:pypi/typing-extensions@4.16.0#/app/.venv"]["purl"] == "pkg:pypi/typing-extensions@4.16.0"
    )
    assert found["pkg:pypi/torch@2.9.0%2Bcpu#/app/.venv"]["version"] == "2.9.0+cpu"
    assert found["pkg:pypi/odd@1#/app/.venv"]["licenses"] == [{"license": {"name": "Corporate License v3"}}]
    npm = found["pkg:npm/%40scope/server@1.2.3#/app/mcp/files"]
    assert npm["hashes"] == [{"alg": "SHA-512", "content": "7a" * 64}]
    assert (npm["group"], npm["name"], npm["purl"]) == ("@scope", "server", "pkg:npm/%40scope/server@1.2.3")


def test_an_image_below_is_named_with_its_digest():
    below = ("registry.example.com/team/base:1", "sha256:" + "12" * 32)
    text = write_sbom("a", "linux/amd64", (), DISTRIBUTIONS[:1], below).decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    base = {c["bom-ref"]: c for c in json.loads(text)["components"]}["base"]
    assert (base["type"], base["name"], base["version"]) == ("container", *below)


def test_the_image_and_the_tool_are_named_and_no_mirror_is():
    document = json.loads(bill())
    assert document["metadata"]["component"]["name"] == "registry.example.com/support"
    (tool,) = document["metadata"]["tools"]["components"]
    assert (tool["name"], tool["version"]) == ("shipway", shipway.__version__)
    (root,) = [d for d in document["dependencies"] if d["ref"] == "image"]
    assert len(root["dependsOn"]) == len(document["components"]) == 9
    assert b"pw0rd" not in bill()
    assert b"deb.example.com" not in bill()


# -- Where distributions are read ------------------------------------------------------------------------

SITE = "app/.venv/lib/python3.13/site-packages"


def read(metadata, wheels=None):
    entry = Entry(f"{SITE}/x-1.dist-info/METADATA", "file", content=metadata.encode())
    return read_distributions([entry], wheels or {})


@pytest.mark.parametrize(
    ("lines", "licence"),
    [
        ("License-Expression: MIT OR Apache-2.0\nLicense: other", "MIT OR Apache-2.0"),
        ("License: BSD\nClassifier: License :: OSI Approved :: MIT License", "MIT License"),
        ("License: BSD-3-Clause", "BSD-3-Clause"),
        ("License: Copyright (c) 2020\n  All rights reserved.\n  More text", ""),
        ("License: UNKNOWN", ""),
        ("Summary: x", ""),
    ],
)
def test_a_licence_is_read_as_it_is_stated(lines, licence):
    (found,) = read(f"Metadata-Version: 2.4\nName: Foo.Bar\nVersion: 1.0\n{lines}\n\nLicense: in the text\n")
    assert found == Distribution("Foo.Bar", "1.0", "/app/.venv", licence)


def test_the_hash_is_that_of_the_installed_wheel():
    text = "Name: Foo_Bar\nVersion: 1.0\n"
    assert read(text, {"other": "1" * 64, "foo-bar": "2" * 64})[0].digest == "2" * 64
    assert read(text, {"other": "1" * 64})[0].digest == ""


def test_a_record_holds_all_and_a_foreign_one_is_refused():
    record = [asdict(distribution) for distribution in DISTRIBUTIONS]
    assert from_record(json.loads(json.dumps(record))) == DISTRIBUTIONS
    for foreign in (
        [{"name": 1, "version": "1", "environment": "/"}],
        [{"name": "a"}],
        [{"no": "such"}],
        [{**record[0], "digest": "sha256:1"}],
    ):
        with pytest.raises((ValueError, TypeError)):
            from_record(foreign)


def test_each_environment_has_its_own_and_what_cannot_be_read_is_left_out(tmp_path):
    metadata = tmp_path / "METADATA"
    metadata.write_bytes(b"Name: six\nVersion: 1.17.0\n")
    place = "app/mcp/files/node_modules"
    entries = [
        Entry(f"{SITE}/six-1.17.0.dist-info/METADATA", "file", content=metadata),
        Entry(
            "app/mcp/time/lib/python3.13/site-packages/six-1.17.0.dist-info/METADATA",
            "file",
            content=metadata,
        ),
        Entry(f"{SITE}/broken-1.dist-info/METADATA", "file", content=b"\xff\xfe"),
        Entry(f"{SITE}/pkg/vendored/x-1.dist-info/METADATA", "file", content=b"Name: x\nVersion: 1\n"),
        Entry(f"{place}/@a/b/package.json", "file", content=b'{"name":"@a/b","version":"1","license":"ISC"}'),
        Entry(f"{place}/@a/b/node_modules/c/package.json", "file", content=b'{"name":"c","version":"2"}'),
        Entry(f"{place}/d/package.json", "file", content=b"[1]"),
        Entry(f"{place}/e/package.json", "file", content=b"{"),
        Entry(f"{SITE}/six-1.17.0.dist-info", "directory"),
    ]
    digests = {"node_modules/@a/b": "sha512:1", "node_modules/@a/b/node_modules/c": "sha512:2", "c": "no"}
    assert read_distributions(entries, digests) == (
        Distribution("@a/b", "1", "/app/mcp/files", "ISC", "sha512:1", index="npm"),
        Distribution("c", "2", "/app/mcp/files", "", "sha512:2", index="npm"),
        Distribution("six", "1.17.0", "/app/.venv"),
        Distribution("six", "1.17.0", "/app/mcp/time"),
    )
