"""Two images -> what was added, removed, upgraded and grown, in words: pure.

In: two `Inspection`s. Out: `Difference`, frozen, which `shipway diff --json` prints whole, and lines of it.
Layers are compared by the digest of their tar, so an image in an engine and one in a layout can be equal.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shipway.build.inspection.inspect import Inspection, PackageView

_NAMED = 5
"""So many changed files, and so many new layers, are named."""


@dataclass(frozen=True, slots=True)
class PackageChange:
    """A package that differs. An empty version says that it was not there, or is not any more; bytes.

    Equal versions say that its content changed.
    """

    kind: str
    name: str
    place: str
    before: str
    after: str
    size_before: int
    size_after: int


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """One setting of the image's config, as text; empty where it is not set."""

    key: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two images in figures; bytes."""

    reference: str
    digest: str
    image_id: str
    platform: str
    layers: int
    unpacked: int
    compressed: int
    wasted: int


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs. `new_bytes` are the blobs of the second image that the first one has not.

    `other_changed` says that files of no package, and not of the project, differ; `other_grown` in bytes.
    """

    before: Side
    after: Side
    shared_layers: int
    new_layers: tuple[str, ...]
    new_bytes: int
    packages: tuple[PackageChange, ...]
    project_added: tuple[str, ...]
    project_removed: tuple[str, ...]
    project_changed: tuple[str, ...]
    other_changed: bool
    other_grown: int
    config: tuple[ConfigChange, ...]


def compare(before: Inspection, after: Inspection) -> Difference:
    """What became of the first image in the second."""
    known = Counter(layer.diff_id for layer in before.layers)
    shared = (known & Counter(layer.diff_id for layer in after.layers)).total()
    new = [layer for layer in after.layers if layer.diff_id not in known]
    old_files = {file.path: file.content for file in before.project}
    new_files = {file.path: file.content for file in after.project}
    return Difference(
        before=_side(before),
        after=_side(after),
        shared_layers=shared,
        new_layers=tuple(layer.name for layer in new),
        new_bytes=sum(layer.size for layer in new),
        packages=tuple(_packages(before.packages, after.packages)),
        project_added=tuple(sorted(new_files.keys() - old_files.keys())),
        project_removed=tuple(sorted(old_files.keys() - new_files.keys())),
        project_changed=tuple(p for p in sorted(new_files) if old_files.get(p, new_files[p]) != new_files[p]),
        other_changed=before.other.content != after.other.content,
        other_grown=after.other.size - before.other.size,
        config=tuple(_config(before.config, after.config)),
    )


def _side(image: Inspection) -> Side:
    return Side(
        reference=image.reference,
        digest=image.digest,
        image_id=image.image_id,
        platform=image.platform,
        layers=len(image.layers),
        unpacked=image.unpacked,
        compressed=image.compressed,
        wasted=image.wasted,
    )


def _packages(before: Sequence[PackageView], after: Sequence[PackageView]) -> Iterator[PackageChange]:
    old, new = _by_name(before), _by_name(after)
    for kind, place, name in sorted(old.keys() | new.keys()):
        was, now = old.get((kind, place, name)), new.get((kind, place, name))
        if was and now and was.version == now.version and _same_content(was, now):
            continue
        yield PackageChange(
            kind=kind,
            name=name,
            place=place,
            before=was.version or "?" if was else "",
            after=now.version or "?" if now else "",
            size_before=_size(was) if was else 0,
            size_after=_size(now) if now else 0,
        )


def _by_name(packages: Sequence[PackageView]) -> dict[tuple[str, str, str], PackageView]:
    return {(p.kind, p.place, p.name): p for p in packages}


def _same_content(was: PackageView, now: PackageView) -> bool:
    """Not known to differ: where an image does not list a package's files its version has to do."""
    return was.content == now.content or bool(was.stated or now.stated)


def _size(package: PackageView) -> int:
    return package.stated or package.size


def _config(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[ConfigChange]:
    old, new = dict(_settings(before)), dict(_settings(after))
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            yield ConfigChange(key, old.get(key, ""), new.get(key, ""))


def _settings(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The config as flat names and texts: `Env PATH`, `Labels x`, `ExposedPorts 8080/tcp`, `User`."""
    for key, value in config.items():
        if key == "Env":
            for line in value or ():
                name, _, text = str(line).partition("=")
                yield f"Env {name}", text
        elif isinstance(value, dict):
            yield from ((f"{key} {name}", str(inner or "set")) for name, inner in value.items())
        elif isinstance(value, list):
            yield key, " ".join(map(str, value))
        elif value not in (None, "", False):
            yield key, str(value)


# -- In words ------------------------------------------------------------------------------------------------


def image_words(difference: Difference) -> Iterator[str]:
    """Layers, files of nobody, config and sizes: what packages and the project's files do not say."""
    old, new = difference.before, difference.after
    if old.platform != new.platform:
        yield f"platform: {old.platform} -> {new.platform}"
    yield _layer_words(difference)
    if difference.other_changed:
        yield f"other files: changed ({moved(difference.other_grown)})"
    for change in difference.config:
        yield f"config: {change.key}: {change.before or '(not set)'} -> {change.after or '(not set)'}"
    for name, was, now in (("unpacked", old.unpacked, new.unpacked), ("wasted", old.wasted, new.wasted)):
        if was or now:
            yield f"{name}: {_mb(was)} -> {_mb(now)} ({moved(now - was)})"


def project_words(difference: Difference) -> Iterator[str]:
    """The project's files, but for prompts and the manifest, which have words of their own."""
    for what, paths in (
        ("added", difference.project_added),
        ("removed", difference.project_removed),
        ("changed", difference.project_changed),
    ):
        if files := [path for path in paths if not path.startswith((contract.PROMPTS, contract.MANIFEST))]:
            count = "1 file" if len(files) == 1 else f"{len(files)} files"
            yield f"{count} {what}: {_some(files)}"


def _layer_words(difference: Difference) -> str:
    shared = f"layers: {difference.shared_layers} of {difference.after.layers} shared"
    if not difference.new_layers:
        return shared
    return f"{shared}; {_mb(difference.new_bytes)} new: {_some(difference.new_layers)}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def moved(size: int) -> str:
    """+0.3 MB; small changes in kB, so that none reads as nothing."""
    if abs(size) < 100_000:
        return f"{size / 1e3:+.1f} kB" if size else "same size"
    return f"{size / 1e6:+.1f} MB"


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"
