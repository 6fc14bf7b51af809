"""What release.json says of a build: packages from the bill, servers in the version that was installed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from shipway.build.attachments.attach import BILL
from shipway.build.attachments.referrers import refer
from shipway.build.cache import Cache
from shipway.build.contents import list_contents, tools_digest
from shipway.build.image import BuiltImage
from shipway.build.oci import PlatformImage
from shipway.build.registries.descriptor import Descriptor
from shipway.build.release import make_release
from shipway.spec.load import load
from shipway.spec.project import read_project
from shipway_runtime import contract

SPEC = """
name = "support"
entrypoint = "agent:agent"
prompts = "prompts"
[mcp.time]
shape = "inside"
run = "pypi:mcp-server-Time>=1"
args = ["--local"]
[mcp.files]
shape = "sidecar"
run = "npm:@scope/files@^2"
tools = { deny = ["write"] }
[mcp.own]
shape = "sidecar"
run = "project:agent"
[mcp.crm]
url = "https://crm.example.com/mcp"
shape = "service"
"""


def component(name: str, version: str, place: str = "", **more: Any) -> dict[str, Any]:
    properties = [{"name": "shipway:environment", "value": place}] if place else []
    return {"type": "library", "name": name, "version": version, "properties": properties} | more


AGENT = (
    component("Debian", "13", type="operating-system"),
    component("libssl3t64", "3.5.1"),
    component("httpx2", "2.0", "/app/.venv"),
    component("mcp-server-time", "1.4", "/app/mcp/time"),
)
FILES = (
    component("files", "2.7.1", "/app/mcp/files", group="%40scope"),
    component("ms", "1.0", "/app/mcp/files"),
    component("ms", "2.0", "/app/mcp/files"),
)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "prompts").mkdir(parents=True)
    (root / "agent.toml").write_text(SPEC)
    (root / "agent.py").write_text("async def agent(messages): return 'x'\n")
    (root / "prompts/system.md").write_text("be brief\n")
    return root


def built(cache: Cache, role: str, *components: dict[str, Any], also: tuple[str, ...] = ()) -> BuiltImage:
    bill = json.dumps({"components": components}).encode()
    document = Descriptor(BILL, cache.store(bill), len(bill))
    subject = Descriptor("x", cache.store(b"{}"), 2)
    image = PlatformImage("linux/amd64", subject.digest, 2, "sha256:c", ())
    image = dataclasses.replace(image, referrers=(refer(subject, document, "sbom.cdx.json", cache),))
    return BuiltImage(role, f"support-{role}", subject.digest, (image,), also)


def release(root: Path, cache: Cache) -> contract.Release:
    loaded = load(root / "agent.toml")
    images = [built(cache, "agent", *AGENT, also=("mcp-own",)), built(cache, "mcp-files", *FILES)]
    return make_release(loaded.spec, images, read_project(loaded), cache)


def test_packages_by_image_and_place(root: Path, cache: Cache) -> None:
    loaded = load(root / "agent.toml")
    images = [built(cache, "agent", *AGENT), built(cache, "mcp-files", *FILES)]
    assert list_contents(loaded.spec, read_project(loaded), images, cache).packages == {
        "agent": {
            "": {"libssl3t64": "3.5.1"},
            "/app/.venv": {"httpx2": "2.0"},
            "/app/mcp/time": {"mcp-server-time": "1.4"},
        },
        "mcp-files": {"/app/mcp/files": {"@scope/files": "2.7.1", "ms": "1.0, 2.0"}},
    }


def test_servers_as_they_were_installed(root: Path, cache: Cache) -> None:
    contents = release(root, cache).contents
    assert contents
    assert {name: (server.shape, server.run) for name, server in contents.tools.items()} == {
        "time": ("inside", "pypi:mcp-server-Time==1.4"),
        "files": ("sidecar", "npm:@scope/files@2.7.1"),
        "own": ("sidecar", "project:agent"),
        "crm": ("service", "https://crm.example.com/mcp"),
    }
    assert contents.tools["time"].args == ("--local",)
    assert contents.tools["files"].tools.deny == ("write",)


def test_it_is_read_again_as_it_was_written(root: Path, cache: Cache) -> None:
    made = release(root, cache)
    assert contract.decode(contract.Release, contract.encode(made), "release.json") == made
    assert set(made.images) == {"agent", "mcp-own", "mcp-files"}


def test_the_same_build_has_the_same_id_and_another_tool_another(root: Path, cache: Cache) -> None:
    one = release(root, cache)
    assert release(root, cache) == one
    (root / "agent.toml").write_text(SPEC.replace('"write"', '"write", "delete"'))
    other = release(root, cache)
    assert other.images == one.images
    assert other.tools != one.tools
    assert other.id != one.id


def test_a_prompt_and_the_code_have_digests_apart(root: Path, cache: Cache) -> None:
    before = release(root, cache).contents
    (root / "prompts/system.md").write_text("be kind\n")
    after = release(root, cache).contents
    assert before
    assert after
    assert (before.code, before.prompts.keys()) == (after.code, {"system.md"})
    assert before.prompts != after.prompts
    (root / "agent.py").write_text("async def agent(messages): return 'y'\n")
    assert (last := release(root, cache).contents)
    assert (last.code != after.code, last.prompts) == (True, after.prompts)


def test_no_servers_no_digest() -> None:
    assert tools_digest({}) is None
