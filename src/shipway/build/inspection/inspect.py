"""An image -> what it is made of, and how large each part is: pure.

In: `ImageSource`. Out: `Inspection`, frozen, which `--json` prints whole. Every byte of every layer is
counted once: as a package's, the project's, another file's, or as waste: what a later layer overwrites or
takes away still travels. Compressed sizes of parts are estimates: the layer's, by their share of it.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipway.build.inspection.contents import readable, source_of
from shipway.build.inspection.packages import Owners, Package, find_packages, owners

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shipway.build.inspection.contents import Contents, File
    from shipway.build.inspection.image_source import ImageSource, SourceLayer

KINDS = ("debian", "python", "node", "runtime", "project", "other", "waste")
_ENVIRONMENT = re.compile(r"(?P<root>.+)/lib/python[\d.]+/site-packages")
_PARTS = 40


@dataclass(frozen=True, slots=True)
class Part:
    """Files below one directory of a package, in one layer; bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Share:
    """What a layer holds of one package, of the project, of other files, or in vain; largest part first."""

    kind: str
    name: str
    version: str
    place: str
    size: int
    files: int
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class LayerView:
    """A layer: `size` bytes of the blob as it was found, `unpacked` bytes of its files, waste included."""

    name: str
    digest: str
    diff_id: str
    size: int
    unpacked: int
    wasted: int
    compression: str
    created_by: str
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class PackageView:
    """A package over all layers. `content` changes with any byte of its files.

    `stated` is set where only Debian's own figure is known: its files are then counted as others.
    """

    kind: str
    name: str
    version: str
    place: str
    size: int
    compressed: int
    files: int
    stated: int
    required_by: tuple[str, ...]
    content: str


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """A file of the project's own, its bytes and its content's digest. Bytecode goes with its source."""

    path: str
    size: int
    content: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """A document about the image: its kind, the digest of its manifest, and the manifest's annotations."""

    artifact_type: str
    digest: str
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Inspection:
    """An image in figures. Bytes; `compressed` are the layers' blobs as they were found.

    `other` are the files of no package and not of the project, as one: their bytes and content.
    """

    reference: str
    digest: str
    image_id: str
    platform: str
    config: Mapping[str, Any]
    layers: tuple[LayerView, ...]
    packages: tuple[PackageView, ...]
    project: tuple[ProjectFile, ...]
    other: ProjectFile
    unpacked: int
    compressed: int
    wasted: int
    referrers: tuple[Attachment, ...]


def inspect(source: ImageSource) -> Inspection:
    """Attribute every byte of the image."""
    visible = visible_files([layer.contents for layer in source.layers])
    packages = find_packages(_documents(source, visible))
    home = _Home.of(source.config, packages, owners(packages))
    layers = tuple(_layer(layer, files, home) for layer, files in zip(source.layers, visible, strict=True))
    return Inspection(
        reference=source.reference,
        digest=source.digest,
        image_id=source.image_id,
        platform=source.platform,
        config=source.config.get("config") or {},
        layers=layers,
        packages=tuple(_packages(packages, layers, visible, home)),
        project=tuple(_project(visible, home)),
        other=_other(visible, home),
        unpacked=sum(layer.unpacked for layer in layers),
        compressed=sum(layer.size for layer in layers),
        wasted=sum(layer.wasted for layer in layers),
        referrers=tuple(map(_attachment, source.referrers)),
    )


def visible_documents(source: ImageSource) -> dict[str, bytes]:
    """The texts that were kept of the files that can be seen, by their paths without leading slash."""
    return _documents(source, visible_files([layer.contents for layer in source.layers]))


def _documents(source: ImageSource, visible: list[dict[str, File]]) -> dict[str, bytes]:
    return {
        path: text
        for layer, files in zip(source.layers, visible, strict=True)
        for path, text in layer.contents.documents.items()
        if path in files
    }


def _attachment(entry: Mapping[str, Any]) -> Attachment:
    said = entry.get("annotations") or {}
    return Attachment(
        readable(str(entry.get("artifactType", ""))),
        readable(str(entry.get("digest", ""))),
        {readable(str(key)): readable(str(value)) for key, value in said.items()},
    )


def largest(image: Inspection, count: int) -> list[str]:
    """The largest packages in lines for people: bytes, name, where, and who requires it."""
    return [
        f"{(package.stated or package.size) / 1e6:7.1f} MB  {package.name} {package.version} "
        f"({environment(package.place) or 'Debian'})"
        + (f", required by {', '.join(package.required_by[:3])}" if package.required_by else "")
        for package in image.packages[:count]
    ]


def environment(place: str) -> str:
    """What people know a package's place by: `/app/.venv`; a directory; empty for Debian's packages."""
    match = _ENVIRONMENT.fullmatch(place)
    return f"/{match['root'] if match else place}" if place else ""


# -- What can be seen ----------------------------------------------------------------------------------------


def visible_files(layers: list[Contents]) -> list[dict[str, File]]:
    """Of each layer the files that no later layer replaces or takes away."""
    names: set[str] = set()  # non-directories above: they replace a path and all below it
    directories: set[str] = set()
    gone: set[str] = set()
    seen: list[dict[str, File]] = []
    for layer in reversed(layers):
        hidden = names | gone
        seen.append(
            {
                path: file
                for path, file in layer.files.items()
                if path not in hidden and path not in directories and hidden.isdisjoint(_above(path))
            }
        )
        names |= layer.names
        directories |= layer.directories
        gone |= layer.removed | {f"{path}/." for path in layer.opaque}
    return seen[::-1]


def _above(path: str) -> Iterator[str]:
    """The directories of a path, and `directory/.` for the content of each: what opaque whiteouts name."""
    yield "/."
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
        yield f"{path}/."


# -- Whose it is ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Home:
    """Where the project's own files are: below the working directory, outside its environments."""

    directory: str
    environments: tuple[str, ...]
    owners: Owners

    @classmethod
    def of(cls, config: Mapping[str, Any], packages: Iterable[Package], owners: Owners) -> _Home:
        directory = str((config.get("config") or {}).get("WorkingDir") or "").strip("/")
        roots = {match["root"] for p in packages if (match := _ENVIRONMENT.fullmatch(p.place))}
        return cls(directory, tuple(sorted(f"{root}/" for root in roots)), owners)

    def has(self, path: str) -> bool:
        return (
            self.directory != ""
            and path.startswith(f"{self.directory}/")
            and not path.startswith(self.environments)
        )


def _layer(layer: SourceLayer, files: Mapping[str, File], home: _Home) -> LayerView:
    sizes: dict[tuple[str, str, str, str], Counter[str]] = {}
    counts: Counter[tuple[str, str, str, str]] = Counter()
    for path, file in layer.contents.files.items():
        whose, part = _whose(path, home) if path in files else (("waste", "shadowed", "", ""), _top(path))
        sizes.setdefault(whose, Counter())[part] += file.size
        counts[whose] += 1
    wasted = sum(file.size for path, file in layer.contents.files.items() if path not in files)
    if layer.contents.repeated:
        sizes.setdefault(("waste", "shadowed", "", ""), Counter())["repeated in the layer"] += (
            layer.contents.repeated
        )
    if layer.contents.unnamed:
        sizes.setdefault(("other", "other files", "", ""), Counter())["not listed"] += layer.contents.unnamed
    shares = [Share(*whose, parts.total(), counts[whose], _parts(parts)) for whose, parts in sizes.items()]
    return LayerView(
        name=_title(layer.created_by) or layer.digest.removeprefix("sha256:")[:12],
        digest=layer.digest,
        diff_id=layer.diff_id,
        size=layer.size,
        unpacked=layer.contents.unpacked,
        wasted=wasted + layer.contents.repeated,
        compression=layer.contents.compression,
        created_by=layer.created_by,
        shares=tuple(sorted(shares, key=lambda share: (-share.size, share.name))),
    )


def _whose(path: str, home: _Home) -> tuple[tuple[str, str, str, str], str]:
    """(kind, name, version, place), and the part of it."""
    if package := home.owners.of(path):
        within = path.removeprefix(
            f"{package.place}/{package.name}/" if package.kind == "node" else f"{package.place}/"
        )
        return (package.kind, package.name, package.version, package.place), _top(within)
    if home.has(path):
        return ("project", "project", "", f"/{home.directory}"), _top(path.removeprefix(f"{home.directory}/"))
    return ("other", "other files", "", ""), _top(path)


def _top(path: str) -> str:
    """The first two directories of a path, or the file itself at the top."""
    parts = path.split("/")
    return "/".join(parts[: max(1, min(2, len(parts) - 1))])


def _parts(sizes: Counter[str]) -> tuple[Part, ...]:
    ordered = sorted(sizes.items(), key=lambda part: (-part[1], part[0]))
    parts = [Part(name, size) for name, size in ordered[:_PARTS]]
    if rest := ordered[_PARTS:]:
        parts.append(Part(f"and {len(rest)} more", sum(size for _, size in rest)))
    return tuple(parts)


def _title(created_by: str) -> str:
    """What made the layer, without what every builder puts around it."""
    for noise in ("shipway: ", "/bin/sh -c #(nop) ", "/bin/sh -c ", "RUN /bin/sh -c ", "RUN "):
        created_by = created_by.removeprefix(noise)
    return created_by.removesuffix(" # buildkit").strip()


def _packages(
    packages: Iterable[Package],
    layers: Iterable[LayerView],
    visible: Iterable[Mapping[str, File]],
    home: _Home,
) -> Iterator[PackageView]:
    packages = tuple(packages)
    sizes: Counter[tuple[str, str, str, str]] = Counter()
    files, packed = sizes.copy(), sizes.copy()
    for layer in layers:
        for share in layer.shares:
            key = (share.kind, share.name, share.version, share.place)
            sizes[key] += share.size
            files[key] += share.files
            packed[key] += round(layer.size * share.size / layer.unpacked) if layer.unpacked else 0
    digests = _digests(visible, home)
    users: dict[tuple[str, str], set[str]] = {}
    for package in packages:
        for name in package.requires:
            users.setdefault((package.place, name), set()).add(package.name)
    unique = {(p.kind, p.name, p.version, p.place): p for p in packages}
    for key, p in sorted(unique.items(), key=lambda item: (-max(sizes[item[0]], item[1].stated), item[0])):
        required_by = tuple(sorted(users.get((p.place, p.name), set()) - {p.name}))
        yield PackageView(
            *key, sizes[key], packed[key], files[key], p.stated, required_by, digests.get(key, "")
        )


def _digests(visible: Iterable[Mapping[str, File]], home: _Home) -> dict[tuple[str, str, str, str], str]:
    """One digest over the content of each package, whatever layers hold it."""
    contents: dict[tuple[str, str, str, str], list[tuple[str, bytes]]] = {}
    for files in visible:
        for path, file in files.items():
            if package := home.owners.of(path):
                key = (package.kind, package.name, package.version, package.place)
                contents.setdefault(key, []).append((path, file.digest))
    return {
        key: hashlib.blake2b(repr(sorted(files)).encode(), digest_size=16).hexdigest()
        for key, files in contents.items()
    }


def _project(visible: Iterable[Mapping[str, File]], home: _Home) -> Iterator[ProjectFile]:
    for files in visible:
        for path, file in sorted(files.items()):
            derived = source_of(path) != path and source_of(path) in files
            if home.has(path) and not home.owners.of(path) and not derived:
                yield ProjectFile(f"/{path}", file.size, file.digest.hex())


def _other(visible: Iterable[Mapping[str, File]], home: _Home) -> ProjectFile:
    found = {
        path: file
        for files in visible
        for path, file in files.items()
        if not home.has(path) and not home.owners.of(path)
    }
    content = repr(sorted((path, file.digest) for path, file in found.items())).encode()
    size = sum(file.size for file in found.values())
    return ProjectFile("", size, hashlib.blake2b(content, digest_size=16).hexdigest())
