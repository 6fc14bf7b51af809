"""What a command line names -> two sides to compare.

In: a project that was built, a release.json, or what `shipway inspect` takes; an environment, whose config
is read from the project's agent.toml. Out: `Side`s. An image is read where it is on this machine; of a
release whose image is elsewhere it is fetched when prompts differ, for their text. Errors: BuildError.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path

from shipway.build.comparison.side import AGENT, MANIFEST, PROMPTS, Side, side_of_image, texts_of
from shipway.build.inspection.contents import DOCUMENT
from shipway.build.inspection.image_source import IMAGES, open_image
from shipway.build.inspection.inspect import inspect, visible_documents
from shipway.build.inspection.local_blobs import read_json
from shipway.errors import BuildError
from shipway_runtime import contract

RELEASE = ".shipway/release.json"
_KEEP = re.compile(f"{DOCUMENT.pattern}|{re.escape(MANIFEST)}|{re.escape(PROMPTS)}.+")

_PROJECT = re.compile("shipway: project ")
"""What made the one layer that has prompts."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of several images and platforms, and which environments: none, one for both sides, or two."""

    image: str | None = None
    platform: str | None = None
    environments: tuple[str, ...] = ()


def open_sides(before: str, after: str, choice: Choice) -> tuple[Side, Side, list[str]]:
    """Both sides, and what could not be found out."""
    environments: tuple[str | None, ...] = choice.environments or (None,)
    old = _open(before, choice, environments[0])
    new = _open(after, choice, environments[-1])
    notes: list[str] = []
    if old.contents and new.contents and old.contents.prompts != new.contents.prompts:
        old, new = (_with_texts(side, choice, notes) for side in (old, new))
    return old, new, notes


def _open(given: str, choice: Choice, environment: str | None) -> Side:
    path = Path(given)
    file = path / RELEASE if path.is_dir() else path
    if choice.image or file.suffix != ".json" or not file.is_file():
        side = _of_image(given, choice)
    else:
        side = _of_release(given, file, choice)
    return dataclasses.replace(side, config=_config(path, file, environment)) if environment else side


def _of_image(given: str, choice: Choice) -> Side:
    source = open_image(given, choice.image, choice.platform, _KEEP)
    try:
        return side_of_image(inspect(source), visible_documents(source))
    except contract.ContractError as error:
        raise BuildError(
            f"{given}: {error}", "compare it with the version of shipway that built it"
        ) from None


def _of_release(given: str, file: Path, choice: Choice) -> Side:
    try:
        release = contract.decode(contract.Release, file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError, contract.ContractError) as error:
        raise BuildError(
            f"{file} cannot be read as a release: {error}", "run `shipway build` again"
        ) from None
    image = _of_image(str(layout), choice) if (layout := _layout(file, release)) else None
    return Side(
        reference=given,
        name=release.name,
        release=release.id,
        source=release.source,
        images=release.images,
        contents=release.contents or (image.contents if image else None),
        texts=image.texts if image else {},
        image=image.image if image else None,
    )


def _layout(file: Path, release: contract.Release) -> Path | None:
    """The layout beside release.json, if it holds the release's images and not those of another build."""
    layout = file.parent / Path(IMAGES).name
    if not (index := layout / "index.json").is_file():
        return None
    listed = read_json(index.read_bytes(), str(index)).get("manifests", [])
    there = {str(entry.get("digest")) for entry in listed}
    return layout if release.images.get(AGENT, "").rpartition("@")[2] in there else None


def _with_texts(side: Side, choice: Choice, notes: list[str]) -> Side:
    if side.texts or side.image or AGENT not in side.images:
        return side
    try:
        source = open_image(side.images[AGENT], None, choice.platform, _KEEP, _PROJECT)
        return dataclasses.replace(side, texts=texts_of(visible_documents(source)))
    except BuildError as error:
        notes.append(f"the text of the prompts in {side.reference} is not known: {error}")
        return side


def _config(path: Path, file: Path, environment: str) -> contract.Config:
    from shipway.plan.stack import plan_stack
    from shipway.spec.load import load

    root = path if path.is_dir() else file.parent.parent
    if not (root / "agent.toml").is_file():
        raise BuildError(
            f"{path}: --env {environment} asks for a config, and there is no agent.toml",
            "name the project's directory, or its .shipway/release.json; or leave --env out",
        )
    return plan_stack(load(root / "agent.toml", environment), environment).config
