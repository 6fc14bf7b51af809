"""Package indexes and wanted names -> the packages to install.

In: the verified text of Packages of several suites, the names of the base and of extra packages. Out: the
packages, sorted by name. The newest version of a name wins. The base's names are taken as they are; extra
packages bring what they depend on. A pure function of its inputs.
"""

from __future__ import annotations

import difflib
import operator
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from debian.deb822 import Packages, PkgRelation
from debian.debian_support import Version

from shipway.errors import BuildError, ResolveError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

_COMPARE: dict[str, Callable[[Version, Version], bool]] = {
    "<<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">>": operator.gt,
}
_FILE = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9+./_~%:-]*")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One alternative of a dependency: a name, and what its version must be."""

    name: str
    relation: str = ""
    version: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.relation} {self.version})" if self.relation else self.name

    def met_by(self, version: str) -> bool:
        return not self.relation or _COMPARE[self.relation](Version(version), Version(self.version))


@dataclass(frozen=True, slots=True)
class Package:
    """One stanza of Packages; `url` is where its .deb is. `depends` is all of any, Pre-Depends included."""

    name: str
    version: str
    architecture: str
    url: str
    sha256: str
    size: int
    depends: tuple[tuple[Requirement, ...], ...]
    provides: tuple[Requirement, ...]

    def meets(self, requirement: Requirement) -> bool:
        """By its own name, or by what it provides; an unversioned Provides meets no version."""
        if self.name == requirement.name:
            return requirement.met_by(self.version)
        offers = (offer for offer in self.provides if offer.name == requirement.name)
        return any(requirement.met_by(o.version) if o.version else not requirement.relation for o in offers)


class Index:
    """The packages of one suite. Only the stanzas that are asked for are parsed."""

    def __init__(self, suite: str, text: bytes, url: str) -> None:
        self.suite = suite
        self._text = text
        self._url = url

    @cached_property
    def names(self) -> dict[str, list[int]]:
        """Every package's name, with the offsets of its stanzas."""
        found: dict[str, list[int]] = {}
        for match in re.finditer(rb"^Package: (\S+)", self._text, re.MULTILINE):
            found.setdefault(match[1].decode(), []).append(match.start())
        return found

    @cached_property
    def _providers(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for match in re.finditer(rb"^Provides: (.+)", self._text, re.MULTILINE):
            for offer in re.findall(r"(?:^|,)\s*([a-z0-9][a-z0-9+.-]*)", match[1].decode()):
                found.setdefault(offer, []).append(match.start())
        return found

    def named(self, name: str) -> list[Package]:
        return [self._package(offset) for offset in self.names.get(name, ())]

    def providing(self, name: str) -> list[Package]:
        return [self._package(offset) for offset in self._providers.get(name, ())]

    def _package(self, offset: int) -> Package:
        start = self._text.rfind(b"\n\n", 0, offset)
        end = self._text.find(b"\n\n", offset)
        stanza = Packages(self._text[start + 2 if start >= 0 else 0 : end if end >= 0 else None])
        if not _FILE.fullmatch(stanza["Filename"]) or not re.fullmatch("[0-9a-f]{64}", stanza["SHA256"]):
            raise BuildError(
                f"{self.suite}: the stanza of {stanza['Package']} has no usable Filename or SHA256"
            )
        depends = ", ".join(stanza[field] for field in ("Pre-Depends", "Depends") if stanza.get(field))
        return Package(
            stanza["Package"],
            stanza["Version"],
            stanza["Architecture"],
            f"{self._url}/{stanza['Filename']}",
            stanza["SHA256"],
            int(stanza["Size"]),
            tuple(_requirements(depends)),
            tuple(offer for group in _requirements(stanza.get("Provides", "")) for offer in group),
        )


def _requirements(text: str) -> Iterator[tuple[Requirement, ...]]:
    for group in PkgRelation.parse_relations(text) if text else ():
        yield tuple(Requirement(item["name"], *(item["version"] or ())) for item in group)


def resolve(
    base: Iterable[str], extras: Sequence[str], left_out: Collection[str], indexes: Sequence[Index]
) -> tuple[Package, ...]:
    """The newest packages named by `base`, and `extras` with all that they depend on but `left_out`.

    Raises ResolveError for a name or a dependency that no suite can meet.
    """
    return _Closure(left_out, indexes).of(base, extras)


class _Closure:
    def __init__(self, left_out: Collection[str], indexes: Sequence[Index]) -> None:
        self.left_out = left_out
        self.indexes = indexes
        self.chosen: dict[str, Package] = {}

    def of(self, base: Iterable[str], extras: Sequence[str]) -> tuple[Package, ...]:
        for name in base:
            self.chosen[name] = self._require(name)
        for name in extras:
            self._add(self._require(name))
        return tuple(self.chosen[name] for name in sorted(self.chosen))

    def _add(self, package: Package) -> None:
        if package.name in self.chosen:
            return
        self.chosen[package.name] = package
        for group in package.depends:
            if missing := self._missing(group, package):
                self._add(missing)

    def _missing(self, group: Sequence[Requirement], wanted_by: Package) -> Package | None:
        """The package that a dependency adds; None when it is met already, or left out."""
        if any(alternative.name in self.left_out for alternative in group):
            return None
        if any(package.meets(alternative) for package in self.chosen.values() for alternative in group):
            return None
        for alternative in group:
            if package := self._best(alternative):
                return package
        needed = " | ".join(map(str, group))
        raise ResolveError(f"{wanted_by.name} {wanted_by.version} needs {needed}; {self._suites()} has none")

    def _best(self, requirement: Requirement) -> Package | None:
        if (own := self._newest(requirement.name)) and own.meets(requirement):
            return own
        names = {p.name for index in self.indexes for p in index.providing(requirement.name)}
        newest = (self._newest(name) for name in sorted(names))
        return next((package for package in newest if package and package.meets(requirement)), None)

    def _newest(self, name: str) -> Package | None:
        found = [package for index in self.indexes for package in index.named(name)]
        return max(found, key=lambda package: Version(package.version), default=None)

    def _require(self, name: str) -> Package:
        if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", name):
            raise ResolveError(
                f"[image] packages: {name!r} is not the name of a Debian package",
                "versions are fixed by the archive: use a snapshot as [image] mirror",
            )
        if package := self._newest(name):
            return package
        close = difflib.get_close_matches(name, {known for index in self.indexes for known in index.names}, 3)
        raise ResolveError(
            f"{self._suites()} has no package named {name!r}",
            f"did you mean {', '.join(close)}?" if close else "",
        )

    def _suites(self) -> str:
        return ", ".join(dict.fromkeys(index.suite for index in self.indexes))
