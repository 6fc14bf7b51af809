"""Images by their references -> the engine's own ids, which no tag can change.

In: what a release names by digest, and what agent.toml names of others' images; the layout that `shipway
build` wrote. Out: an id for each role. What the engine lacks it pulls, or is given out of the layout. Errors:
StackError, for an image that nobody has, or that is made for other machines.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shipway.build import engine as giving
from shipway.build import layout_part
from shipway.build.interruption import temporary
from shipway.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from shipway.build.layout_part import Part
    from shipway.deploy.engine import Engine

    Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image, by a digest or by what agent.toml calls it. `name` is what the engine is to call it, so that
    nobody takes it for a forgotten one."""

    reference: str
    name: str

    @property
    def digest(self) -> str:
        return self.reference.partition("@")[2]

    @property
    def has_registry(self) -> bool:
        """Whether its name says where it could be pulled from, as Docker reads names."""
        host, slash, _ = self.reference.partition("/")
        return bool(slash) and (any(mark in host for mark in ".:") or host == "localhost")


def wanted(references: Mapping[str, str], project: str, revision: str) -> dict[str, Wanted]:
    """Of each role of a revision. The controller gives images the same names, and takes them away again."""
    return {role: Wanted(reference, f"{project}/{role}:{revision}") for role, reference in references.items()}


def provide(engine: Engine, roles: Mapping[str, Wanted], layout: Path, say: Say) -> dict[str, str]:
    """The engine's id for each role. Raises StackError."""
    images = tuple(dict.fromkeys(roles.values()))
    parts = {image: part for image in images if (part := _part(engine, layout, image))}
    there = _look(engine, images, parts)
    lacking = [image for image in images if image not in there]
    loaded = {image: parts[image] for image in lacking if image in parts}
    if not engine.is_local:  # its own way to a registry is shorter than ours to it
        loaded = {image: part for image, part in loaded.items() if not _pulls(engine, image, say)}
    if loaded:
        _give(engine, layout, loaded, say)
    for image in lacking:
        if image not in parts:
            pull(engine, image, say)
    there = _look(engine, images, parts) if lacking else there
    for image in images:
        _check(engine, image, there)
    return {role: there[image]["Id"] for role, image in roles.items()}


def pull(engine: Engine, image: Wanted, say: Say) -> None:
    """By its reference. Raises StackError."""
    if image.digest and not image.has_registry:
        raise StackError(
            f"{image.reference} is not in Docker at {engine.host}, and the layout of its build is gone",
            "run `shipway build` again, or deploy from the directory where it was built",
        )
    say(f"pulling {image.reference}")
    done = engine.run("pull", "--quiet", image.reference)
    if done.returncode:
        said = " ".join(done.stderr.replace("Error response from daemon:", "").split())
        raise StackError(
            f"{image.reference} cannot be pulled: {said}",
            "docker login, if its registry wants to know you; or deploy from where it was built",
        )
    engine.run("tag", image.reference, image.name)


def _pulls(engine: Engine, image: Wanted, say: Say) -> bool:
    if not image.has_registry:
        return False
    try:
        pull(engine, image, say)
    except StackError as error:
        say(f"{error}; it is sent from here instead")
        return False
    return True


def _part(engine: Engine, layout: Path, image: Wanted) -> Part | None:
    if not image.digest:
        return None
    try:
        return layout_part.find(layout, image.digest, engine.platform)
    except LookupError as found:
        raise _other_machine(engine, image, str(found)) from None


def _look(
    engine: Engine, images: Sequence[Wanted], parts: Mapping[Wanted, Part]
) -> dict[Wanted, dict[str, Any]]:
    """What the engine has of these images."""
    known = {image: parts[image].ids if image in parts else frozenset() for image in images}
    names = [name for image in images for name in (image.reference, image.name, *known[image])]
    found = engine.inspect("image", list(dict.fromkeys(names)))
    there = {}
    for image in images:
        for one in found:
            if _is(one, image, known[image]):
                there[image] = one
                break
    return there


def _is(one: Mapping[str, Any], image: Wanted, ids: Iterable[str]) -> bool:
    if one["Id"] in ids:
        return True
    if image.digest and any(name.endswith(f"@{image.digest}") for name in one.get("RepoDigests") or ()):
        return True
    return not ids and bool({image.name, image.reference} & set(one.get("RepoTags") or ()))


def _give(engine: Engine, layout: Path, loaded: Mapping[Wanted, Part], say: Say) -> None:
    with temporary(lambda: Path(tempfile.mkdtemp(prefix=".deploying-", dir=layout.parent))) as part:
        layout_part.write_part(layout, {image.name: one for image, one in loaded.items()}, part)
        say(giving.give(engine.program, part, is_far=not engine.is_local))


def _check(engine: Engine, image: Wanted, there: Mapping[Wanted, Mapping[str, Any]]) -> None:
    if image not in there:
        raise StackError(
            f"{image.reference} was given to Docker at {engine.host}, which does not know it",
            "is there room on its disk? docker image ls shows what it has",
        )
    platform = f"{there[image]['Os']}/{there[image]['Architecture']}"
    if platform != engine.platform:
        raise _other_machine(engine, image, platform)


def _other_machine(engine: Engine, image: Wanted, platforms: str) -> StackError:
    return StackError(
        f"{image.reference.partition('@')[0]} is made for {platforms}, and Docker at {engine.host} runs "
        f"{engine.platform}",
        f"build for both: `shipway build --platform linux/amd64,linux/arm64`, or add {engine.platform} to "
        "[image] platforms",
    )
