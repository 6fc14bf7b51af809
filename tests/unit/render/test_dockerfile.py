"""The text of Dockerfiles: what is copied, what is ignored, what other bases and platforms change."""

from __future__ import annotations

import fnmatch
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway.plan.image import File, ImagePlan, NodeEnvironment, plan_images
from shipway.render import copies as copying
from shipway.render import dockerfile as render
from shipway.spec.load import load
from shipway.spec.lock import read_lock
from shipway.spec.project import read_project

SUPPORT = Path("examples/02-support")


@pytest.fixture(scope="module")
def plans() -> tuple[ImagePlan, ...]:
    loaded = load(SUPPORT / "agent.toml")
    return plan_images(loaded, read_project(loaded), read_lock(SUPPORT))


def test_every_image_of_the_plan_has_a_dockerfile(plans: tuple[ImagePlan, ...]) -> None:
    assert set(render.render(plans)) == {
        *("Dockerfile", "Dockerfile.mcp-git", ".dockerignore", ".shipway/docker/agent/shipway.json"),
    }


def test_a_base_by_reference_needs_no_tree_beside_it(plans: tuple[ImagePlan, ...]) -> None:
    text = render.dockerfile(plans[0], "registry.example.com/base:3.13")
    assert "FROM registry.example.com/base:3.13 AS base\n" in text
    assert "base.tar" not in text
    assert "scratch" not in text
    assert text.rstrip().count("USER") == 2, "root in the build stage, as the base may say another user"
    assert text.rindex("USER 65532:65532") > text.rindex("USER 0:0")


@pytest.fixture
def with_npm(plans: tuple[ImagePlan, ...]) -> ImagePlan:
    return replace(plans[0], node=(NodeEnvironment("mcp x", "/app/mcp/x", "@a/x@1.0.0"),))


def test_a_server_from_npm_has_a_stage_that_installs_and_no_npm(with_npm: ImagePlan) -> None:
    """In the image: Node, which is below its servers, and what was installed."""
    text = render.dockerfile(with_npm)
    assert text.index("FROM build AS node\n") < text.index("FROM node AS mcp-x\n")
    assert '"npm", "/app/mcp/x", "@a/x", "/app/node/bin/node"]' in text, "the version is in the lock"
    last = text[text.rindex("\nFROM ") :].splitlines()
    copied = [line.partition("--from=")[2] for line in last if line.startswith("COPY")]
    assert copied[:2] == ["node /app/node/ /app/node/", "mcp-x /app/mcp/x/ /app/mcp/x/"]
    assert "npm" not in "".join(copied)


def test_npms_settings_are_asked_for_only_where_npm_runs(
    with_npm: ImagePlan, plans: tuple[ImagePlan, ...]
) -> None:
    assert render.dockerfile(with_npm).count("--mount=type=secret,id=npmrc,target=/root/.npmrc") == 1
    assert "NPM_CONFIG_REGISTRY" in render.dockerfile(with_npm)
    assert "npm" not in render.dockerfile(plans[0]).lower()


def test_no_instruction_needs_a_shell(with_npm: ImagePlan) -> None:
    joined = render.dockerfile(with_npm).replace("\\\n", " ")
    runs = [line for line in joined.splitlines() if line.startswith(("RUN", "ENTRYPOINT", "CMD"))]
    assert runs
    for line in runs:
        words = [word for word in line.split(" ") if word and not word.startswith("--mount")]
        assert words[1].startswith('["'), line


def test_secrets_are_mounted_and_never_copied(plans: tuple[ImagePlan, ...]) -> None:
    text = render.dockerfile(plans[0])
    for secret in ("ca", "netrc", "uv"):
        assert text.count(f"--mount=type=secret,id={secret},") == len(plans[0].environments)
    assert not any(
        "secret" in line for line in text.splitlines() if line.startswith(("COPY", "ADD", "ENV", "ARG"))
    )


def test_values_are_quoted(plans: tuple[ImagePlan, ...]) -> None:
    process = replace(plans[0].process, env={"GREETING": 'a "quoted" $HOME'})
    text = render.dockerfile(replace(plans[0], process=process))
    assert 'ENV GREETING="a \\"quoted\\" \\$HOME"\n' in text


def copies(*files: tuple[str, str]) -> list[str]:
    return list(copying.copies([File(path, source) for source, path in files]))


def test_directories_are_copied_whole_where_that_is_exact() -> None:
    found = copies(
        ("src/a/__init__.py", "/app/src/a/__init__.py"),
        ("src/a/b/c.py", "/app/src/a/b/c.py"),
        ("prompts/x.md", "/app/prompts/x.md"),
    )
    assert found == ["COPY prompts/ /app/prompts/", "COPY src/ /app/src/"]


def test_a_file_of_the_root_is_copied_by_itself() -> None:
    assert copies(("hello.py", "/app/src/hello.py")) == ["COPY hello.py /app/src/hello.py"]


def test_a_directory_that_goes_to_two_places_is_taken_apart() -> None:
    found = copies(("src/a/x.py", "/app/src/a/x.py"), ("src/a/prompts/y.md", "/app/prompts/y.md"))
    assert found == ["COPY src/a/prompts/ /app/prompts/", "COPY src/a/x.py /app/src/a/x.py"]


def test_names_with_spaces_and_dollars() -> None:
    assert copies(("my data.txt", "/app/src/my data.txt")) == ['COPY ["my data.txt", "/app/src/my data.txt"]']
    assert copies(("a$b.txt", "/app/src/a$b.txt")) == ["COPY a\\$b.txt /app/src/a\\$b.txt"]


NAMES = st.sampled_from(["a", "b", "c", "prompts"])
SOURCES = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
ROOTS = st.sampled_from(["/app/src", "/app/prompts"])


def apply(instructions: list[str], sources: set[str]) -> dict[str, str]:
    """What COPY does, of a context that holds `sources`: path in the image -> source."""
    placed = {}
    for instruction in instructions:
        _, source, target = instruction.split(" ")
        for file in sources:
            if source.endswith("/") and file.startswith(source):
                placed[target + file.removeprefix(source)] = file
            elif file == source:
                placed[target] = file
    return placed


@given(st.dictionaries(SOURCES.map(lambda s: f"{s}.py"), st.tuples(ROOTS, st.integers(0, 3)), min_size=1))
def test_what_is_copied_is_exactly_the_plan(chosen: dict[str, tuple[str, int]]) -> None:
    """Whatever lies where: every file at its own path, and nothing else anywhere."""
    files = {}
    for source, (root, drop) in chosen.items():
        parts = source.split("/")
        files["/".join([root, *parts[min(drop, len(parts) - 1) :]])] = source
    plan = [File(path, source) for path, source in files.items()]
    assert apply(list(copying.copies(plan)), set(files.values())) == files


@given(st.text("ab*?[]\\", min_size=1, max_size=6))
def test_an_ignore_pattern_matches_its_file_alone(name: str) -> None:
    pattern = render._escaped(name)
    literal = pattern.replace("\\\\", "\0").replace("\\", "").replace("\0", "\\")
    assert literal == name
    assert pattern == name or not fnmatch.fnmatchcase("other", pattern)
