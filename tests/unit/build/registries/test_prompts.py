"""Of a release whose image is in a registry alone, the text of its prompts is fetched, and nothing else."""

import dataclasses
import json
import urllib.parse

import pytest
from tests.layout import MANIFEST, distribution, write_layout

from shipway.build.comparison.compare import compare
from shipway.build.comparison.opening import Choice, open_sides
from shipway.build.comparison.words import words
from shipway.build.contents import digest_text
from shipway_runtime import contract

LAYERS = ("dependencies", "project (1 files)")


@pytest.fixture
def release(registry, tmp_path, monkeypatch):
    """`release(prompt)` pushes an image with it, and writes its release.json alone."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    def make(prompt):
        layers = [distribution("six", "1.0", {}), {"app/prompts/system.md": prompt}]
        root = write_layout(tmp_path / "layout", {"a": layers}, names=LAYERS)
        (image,) = json.loads((root / "index.json").read_text())["manifests"]
        for blob in (root / "blobs/sha256").iterdir():
            registry.add(blob.read_bytes())
        registry.manifests[image["digest"]] = (MANIFEST, registry.blobs[image["digest"]])
        contents = contract.Contents("a:a", contract.Settings(), prompts={"system.md": digest_text(prompt)})
        source = contract.Source(None, False)
        images = {"agent": f"{registry.host}/a@{image['digest']}"}
        made = contract.Release("0.1.0", "a", source, images, None, None, image["digest"][-12:], contents)
        file = tmp_path / f"{made.id}.json"
        file.write_text(contract.encode(made))
        return str(file), made

    return make


def fetched(registry):
    """Bytes of the layers that somebody asked for."""
    paths = [urllib.parse.urlsplit(path).path for method, path, _ in registry.seen if method == "GET"]
    names = [path.rpartition("/")[2] for path in paths if "/blobs/" in path]
    return [registry.blobs[name] for name in names if registry.blobs[name][:2] == b"\x1f\x8b"]


def test_one_layer_of_each_is_fetched(registry, release):
    (before, _), (after, _) = release(b"be brief\n"), release(b"be kind\n")
    old, new, unknown = open_sides(before, after, Choice())
    assert list(words(compare(old, new, tuple(unknown))))[1:] == [
        "prompts: 1 changed",
        "  ~ system.md",
        "    @@ -1 +1 @@",
        "    -be brief",
        "    +be kind",
    ]
    assert len(fetched(registry)) == 2


def test_nothing_is_fetched_where_no_prompt_changed(registry, release, tmp_path):
    before, made = release(b"be brief\n")
    (tmp_path / "other.json").write_text(contract.encode(dataclasses.replace(made, id="0" * 12)))
    open_sides(before, str(tmp_path / "other.json"), Choice())
    assert registry.seen == []


def test_a_registry_without_the_image_is_said(registry, release):
    (before, _), (after, made) = release(b"be brief\n"), release(b"be kind\n")
    del registry.manifests[made.images["agent"].rpartition("@")[2]]
    old, new, unknown = open_sides(before, after, Choice())
    (said,) = unknown
    assert said.startswith(f"the text of the prompts in {after} is not known: ")
    assert "  ~ system.md" in list(words(compare(old, new, tuple(unknown))))
