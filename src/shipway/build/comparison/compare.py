"""(Side, Side) -> what changed, in the order in which a reviewer asks: pure.

In: two `Side`s. Out: `Comparison`, frozen, which `shipway diff --json` prints whole; words.py says it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.build.comparison.packages import VersionChange, compare_packages
from shipway.build.comparison.prompts import PromptChange, compare_prompts
from shipway.build.comparison.values import ValueChange, compare_values, of_config, of_file, of_tools
from shipway.build.contents import SYSTEM
from shipway.build.inspection.difference import Difference
from shipway.build.inspection.difference import compare as compare_images
from shipway_runtime import contract

if TYPE_CHECKING:
    from shipway.build.comparison.side import Side

_NOTHING = contract.Contents("", contract.Settings())


@dataclass(frozen=True, slots=True)
class Identity:
    """What one side is called. `source` is its version control's revision, with "+" where files differed."""

    reference: str
    name: str
    release: str | None
    environment: str | None
    revision: str | None
    source: str | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of the first side in the second. `same` says that what runs is the same.

    `model` and `settings` are agent.toml's for every environment, `config` all of the environment that was
    asked for. `code` is None where it is not known whether the project's files differ. `unknown` is what
    could not be found out, in words.
    """

    before: Identity
    after: Identity
    same: bool
    prompts: tuple[PromptChange, ...]
    model: tuple[ValueChange, ...]
    tools: tuple[ValueChange, ...]
    dependencies: tuple[VersionChange, ...]
    settings: tuple[ValueChange, ...]
    config: tuple[ValueChange, ...]
    code: bool | None
    system: tuple[VersionChange, ...]
    image: Difference | None
    unknown: tuple[str, ...] = ()


def compare(before: Side, after: Side, unknown: tuple[str, ...] = ()) -> Comparison:
    """What changed; `unknown` as in `Comparison`."""
    old, new = before.contents or _NOTHING, after.contents or _NOTHING
    image = compare_images(before.image, after.image) if before.image and after.image else None
    packages = tuple(compare_packages(before, after, image))
    settings = tuple(compare_values(of_file(old), of_file(new)))
    config = tuple(compare_values(of_config(before.config), of_config(after.config)))
    programs = before.programs == after.programs
    return Comparison(
        before=_identity(before),
        after=_identity(after),
        same=_same(before, after) and not config,
        prompts=tuple(compare_prompts(old.prompts, new.prompts, before.texts, after.texts)),
        model=tuple(change for change in settings if change.key.startswith("model.")),
        tools=tuple(compare_values(of_tools(old, programs=programs), of_tools(new, programs=programs))),
        dependencies=tuple(change for change in packages if change.place != SYSTEM),
        settings=tuple(change for change in settings if not change.key.startswith("model.")),
        config=config,
        code=old.code != new.code if old.code and new.code else None,
        system=tuple(change for change in packages if change.place == SYSTEM),
        image=image,
        unknown=unknown,
    )


def _identity(side: Side) -> Identity:
    source = side.source.revision if side.source else None
    return Identity(
        reference=side.reference,
        name=side.name,
        release=side.release,
        environment=side.config.environment if side.config else None,
        revision=side.revision,
        source=f"{source}+" if source and side.source and side.source.dirty else source,
    )


def _same(before: Side, after: Side) -> bool:
    """Whether the same was built."""
    if before.release and after.release:
        return before.release == after.release
    return bool(before.image and after.image and before.image.image_id == after.image.image_id)
