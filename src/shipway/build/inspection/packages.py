"""The files that package managers leave -> which packages an image has, and which files are theirs.

In: documents by path: dpkg's status files and lists, METADATA and RECORD of Python distributions,
package.json of Node packages. Out: `Package` values, and `Owners`, which answers whose a path is. All of it
is foreign text: what cannot be read is left out, and its files belong to nobody.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from typing import TYPE_CHECKING, Any

from debian.deb822 import Deb822
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from shipway.build.inspection.contents import readable, recorded, source_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

RUNTIME = "shipway-runtime"
_STATUS = "var/lib/dpkg/status"
_STATUS_D = f"{_STATUS}.d/"
_LISTS = "var/lib/dpkg/info/"
_MERGED = ("bin/", "sbin/", "lib/", "lib64/", "lib32/")
"""Directories of / that are links into /usr: dpkg's lists still name files below them."""
_NODE = re.compile(r"(?P<place>(.*/)?node_modules)/(?P<name>(@[^/]+/)?[^/]+)/.*")
_LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package. `kind` is "debian", "python", "runtime" or "node".

    `place` is the directory that holds it, empty for Debian's. `stated` are the bytes that Debian says it
    has, where no list of its files is there.
    """

    kind: str
    name: str
    version: str
    place: str
    requires: tuple[str, ...] = ()
    files: frozenset[str] = frozenset()
    stated: int = 0


@dataclass(frozen=True, slots=True)
class Owners:
    """Whose a path is."""

    by_file: Mapping[str, Package]
    by_directory: Mapping[str, Package]

    def of(self, path: str) -> Package | None:
        """The package that brought the file, or its source if it is bytecode."""
        if owner := self.by_file.get(path) or self.by_file.get(source_of(path)):
            return owner
        node = _NODE.fullmatch(path)
        return self.by_directory.get(f"{node['place']}/{node['name']}") if node else None


def find_packages(documents: Mapping[str, bytes]) -> tuple[Package, ...]:
    """Every package that the documents name, Debian's first."""
    return (*_debian(documents), *_python(documents), *_node(documents))


def owners(packages: Iterable[Package]) -> Owners:
    """The index of all packages' files. A file that two packages list is the last one's."""
    packages = tuple(packages)
    return Owners(
        {path: package for package in packages for path in package.files},
        {f"{p.place}/{p.name}": p for p in packages if p.kind == "node"},
    )


# -- Debian --------------------------------------------------------------------------------------------------


def _debian(documents: Mapping[str, bytes]) -> Iterator[Package]:
    for path, text in documents.items():
        if path == _STATUS or (path.startswith(_STATUS_D) and not path.endswith(".md5sums")):
            for stanza in Deb822.iter_paragraphs(text, use_apt_pkg=False):
                if "Package" in stanza and "deinstall" not in stanza.get("Status", ""):
                    yield _deb(stanza, documents)


def _deb(stanza: Mapping[str, str], documents: Mapping[str, bytes]) -> Package:
    name, size = stanza["Package"], stanza.get("Installed-Size", "")
    files = frozenset(_listed(name, stanza.get("Architecture", ""), documents))
    depends = f"{stanza.get('Depends', '')},{stanza.get('Pre-Depends', '')}"
    return Package(
        kind="debian",
        name=readable(name),
        version=readable(stanza.get("Version", "")),
        place="",
        requires=tuple(sorted(set(re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9+.-]*)", depends)))),
        files=files | {f"{_STATUS_D}{name}"},
        stated=0 if files or not re.fullmatch(r"\d{1,9}", size) else int(size) * 1024,
    )


def _listed(name: str, arch: str, documents: Mapping[str, bytes]) -> Iterator[str]:
    """The package's files: from dpkg's list, or from the checksums that images without dpkg keep."""
    for path in (f"{_LISTS}{name}.list", f"{_LISTS}{name}:{arch}.list", f"{_STATUS_D}{name}.md5sums"):
        text = documents.get(path, b"").decode(errors="replace")
        for line in text.splitlines():
            file = (line.partition("  ")[2] if path.endswith(".md5sums") else line).lstrip("./")
            yield file
            if file.startswith(_MERGED):
                yield f"usr/{file}"
        if text:
            yield path


# -- Python --------------------------------------------------------------------------------------------------


def _python(documents: Mapping[str, bytes]) -> Iterator[Package]:
    extras: dict[tuple[str, str], set[str]] = {}
    found = []
    for path, text in documents.items():
        if path.endswith(".dist-info/METADATA"):
            headers = BytesHeaderParser().parsebytes(text.partition(b"\n\n")[0])
            directory = path.rpartition("/")[0]
            place = directory.rpartition("/")[0]
            lines = headers.get_all("Requires-Dist", [])
            requirements = [r for line in lines if (r := _requirement(str(line)))]
            for requirement in requirements:
                asked = extras.setdefault((place, canonicalize_name(requirement.name)), {""})
                asked.update(requirement.extras)
            found.append((directory, place, headers, requirements))
    for directory, place, headers, requirements in found:
        name = canonicalize_name(readable(str(headers.get("Name", ""))))
        record = f"{directory}/RECORD"
        files = recorded(record, documents.get(record, b"").decode(errors="replace"))
        yield Package(
            kind="runtime" if name == RUNTIME else "python",
            name=name or directory.rpartition("/")[2],
            version=readable(str(headers.get("Version", ""))),
            place=place,
            requires=_needed(requirements, extras.get((place, name), {""}), place),
            files=frozenset(files) | {f"{directory}/METADATA", record},
        )


def _requirement(line: str) -> Requirement | None:
    try:
        return Requirement(line)
    except InvalidRequirement:
        return None


def _needed(requirements: Iterable[Requirement], extras: set[str], place: str) -> tuple[str, ...]:
    """The names that hold on Linux, for the Python that the path names and the extras that others ask for."""
    python = re.search(r"python(\d+\.\d+)/", f"{place}/")
    settings = dict(_LINUX)
    if python:
        settings |= {"python_version": python[1], "python_full_version": f"{python[1]}.0"}
    return tuple(
        sorted(
            {
                canonicalize_name(r.name)
                for r in requirements
                if not r.marker or any(r.marker.evaluate(settings | {"extra": extra}) for extra in extras)
            }
        )
    )


# -- Node ----------------------------------------------------------------------------------------------------


def _node(documents: Mapping[str, bytes]) -> Iterator[Package]:
    for path, text in documents.items():
        if (match := _NODE.fullmatch(path)) and path.endswith("/package.json"):
            content = _json(text)
            yield Package(
                kind="node",
                name=match["name"],
                version=readable(str(content.get("version", ""))),
                place=match["place"],
                requires=tuple(sorted(map(str, _table(content.get("dependencies"))))),
            )


def _json(text: bytes) -> dict[str, Any]:
    try:
        return _table(json.loads(text))
    except (ValueError, RecursionError):
        return {}


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
