"""What a command line names, opened: projects that were built, release.json alone, images."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from tests.layout import distribution, write_layout

from shipway.build.comparison.compare import compare
from shipway.build.comparison.opening import Choice, open_sides
from shipway.build.comparison.words import words
from shipway.build.contents import digest_text
from shipway.errors import BuildError
from shipway_runtime import contract
from shipway_runtime.contract import Contents, Manifest, McpServer, Model, Release, Settings, Source

ANYWHERE = Choice()
SETTINGS = {"WorkingDir": "/app"}


def project(root: Path, prompt: str, *, six: str = "1.0", model: str = "sonnet") -> Path:
    """A project as `shipway build` leaves it: a layout, and the release of what is in it."""
    settings = Settings(Model("anthropic", model))
    server = McpServer("time", "inside", ("/app/mcp/time/bin/time",))
    manifest = contract.encode(Manifest("support", "agent:agent", settings, (server,)))
    own = {"app/prompts/system.md": prompt.encode(), "app/shipway.json": manifest.encode()}
    layout = root / ".shipway/images"
    write_layout(layout, {"support:latest": [distribution("six", six, {"six.py": b"1"}), own]}, SETTINGS)
    digest = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
    contents = Contents(
        "agent:agent",
        settings,
        prompts={"system.md": digest_text(prompt.encode())},
        tools={"time": contract.ToolServer("inside", "pypi:time==1.0")},
        packages={"agent": {"/app/.venv": {"six": six}}},
    )
    source = Source(None, False)
    identity = digest[-12:]
    images = {"agent": f"support@{digest}"}
    release = Release("0.1.0", "support", source, images, None, None, identity, contents)
    (root / ".shipway/release.json").write_text(contract.encode(release))
    return root


def said(before: Path, after: Path, choice: Choice = ANYWHERE) -> list[str]:
    old, new, unknown = open_sides(str(before), str(after), choice)
    return list(words(compare(old, new, tuple(unknown))))


def test_two_projects(tmp_path: Path) -> None:
    one, two = project(tmp_path / "one", "be brief\n"), project(tmp_path / "two", "be kind\n", six="1.1")
    lines = said(one, two)
    assert lines[1:5] == ["prompts: 1 changed", "  ~ system.md", "    @@ -1 +1 @@", "    -be brief"]
    assert "dependencies: 1 changed" in lines
    assert any(line.startswith("  ~ six 1.0 -> 1.1 (") for line in lines)
    assert "  layers: 0 of 2 shared" in " ".join(lines)


def test_an_image_says_the_same_of_itself_as_its_release(tmp_path: Path) -> None:
    one, two = project(tmp_path / "one", "be brief\n"), project(tmp_path / "two", "be kind\n", model="opus")
    releases, images = said(one, two), said(one, two / ".shipway/images")
    sections = [line for line in releases[1:] if not line.startswith("revision")]
    assert [line for line in images[1:] if not line.startswith("revision")] == sections
    assert "  ~ name: sonnet -> opus" in images
    assert "tools" not in images


def test_a_release_whose_images_are_gone_is_compared_by_what_it_says(tmp_path: Path) -> None:
    one, two = project(tmp_path / "one", "be brief\n"), project(tmp_path / "two", "be kind\n", six="1.1")
    alone = tmp_path / "old.json"
    alone.write_text((one / ".shipway/release.json").read_text())
    lines = said(alone, two)
    assert lines[1:3] == ["prompts: 1 changed", "  ~ system.md"]
    assert "  ~ six 1.0 -> 1.1" in lines
    assert lines[-1].startswith(f"unknown: the text of the prompts in {alone} is not known: there is no file")
    assert "image" not in lines


def test_a_layout_of_another_build_is_not_taken_for_the_releases(tmp_path: Path) -> None:
    one, two = project(tmp_path / "one", "be brief\n"), project(tmp_path / "two", "be kind\n")
    (one / ".shipway/release.json").write_text((two / ".shipway/release.json").read_text())
    old, _, _ = open_sides(str(one), str(one), ANYWHERE)
    assert (old.image, old.texts) == (None, {})


def test_an_environment_makes_it_a_revision(tmp_path: Path) -> None:
    one = project(tmp_path / "one", "be brief\n")
    spec = 'name = "support"\nentrypoint = "agent:agent"\n[config]\ngreeting = "short"\n'
    (one / "agent.toml").write_text(spec + '[env.prod.config]\ngreeting = "long"\n')
    lines = said(one, one, Choice(environments=("development", "prod")))
    assert lines[1].count(" -> ") == 1
    assert lines[2:] == ["config of development -> prod", "  ~ config.greeting: short -> long"]
    with pytest.raises(BuildError, match=r"asks for a config, and there is no agent.toml"):
        said(project(tmp_path / "two", "x"), one, Choice(environments=("prod",)))


def test_what_is_no_release(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"name": "x"}')
    with pytest.raises(BuildError, match=r"cannot be read as a release: .*is missing"):
        said(tmp_path / "x.json", tmp_path / "x.json")


def test_a_release_of_an_older_shipway_has_what_its_image_says(tmp_path: Path) -> None:
    one, two = project(tmp_path / "one", "be brief\n"), project(tmp_path / "two", "be kind\n", six="1.1")
    file = one / ".shipway/release.json"
    older = contract.decode(Release, file.read_text(), "release")
    file.write_text(contract.encode(dataclasses.replace(older, contents=None)))
    lines = said(one, two)
    assert lines[1] == "prompts: 1 changed"
    assert any(line.startswith("  ~ six 1.0 -> 1.1") for line in lines)
