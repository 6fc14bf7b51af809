"""The metadata that packages leave in an image -> which distributions are in it, with licence and wheel.

In: the entries of a layer, and the wheels that were installed. Out: `Distribution` values, sorted, and their
form in records. Documents are foreign text: what cannot be read is left out.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from email.message import Message

    from shipway.build.layers import Entry

_PYTHON = re.compile(
    r"(?P<environment>.*?)/lib/python3[^/]*/(?:site|dist)-packages/[^/]+\.dist-info/METADATA"
)
_NODE = re.compile(r"(?P<environment>.*?)/node_modules/(?:.*/node_modules/)?(?:@[^/]+/)?[^/]+/package\.json")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_OSI = "License :: OSI Approved :: "


@dataclass(frozen=True, slots=True, order=True)
class Distribution:
    """What an index distributes, as it is installed. `environment` is where, such as /app/.venv.

    `licence` is as the distribution states it: an SPDX expression, or free text. `digest` ("sha256:…",
    "sha512:…", hex) is of the file that it came from, empty where that is not known.
    """

    name: str
    version: str
    environment: str
    licence: str = ""
    digest: str = ""
    index: Literal["pypi", "npm"] = "pypi"

    @property
    def purl(self) -> str:
        """The package URL, https://github.com/package-url/purl-spec."""
        name = self.name.replace("@", "%40") if self.index == "npm" else canonicalize_name(self.name)
        return f"pkg:{self.index}/{name}@{self.version.replace('+', '%2B').replace('!', '%21')}"


def read_distributions(entries: Iterable[Entry], digests: Mapping[str, str] = {}) -> tuple[Distribution, ...]:
    """Every Python distribution and npm package among the entries.

    `digests` are of the files that they came from: by a distribution's name, as indexes spell it, or by an
    npm package's path below its server.
    """
    wanted = (e for e in entries if e.kind == "file" and _is_document(e.path))
    return tuple(sorted({found for e in wanted for found in _read(e.path, _content(e), digests)}))


def read_metadata(data: bytes, environment: str, digest: str = "") -> Distribution | None:
    """The distribution of a METADATA file; None when it names none."""
    from email.parser import BytesHeaderParser  # only when a layer is made

    message = BytesHeaderParser().parsebytes(data)
    name, version = str(message["Name"] or ""), str(message["Version"] or "")
    return Distribution(name, version, environment, _licence(message), digest) if name and version else None


def from_record(record: Iterable[Mapping[str, Any]]) -> tuple[Distribution, ...]:
    """Of `asdict` of each. Raises ValueError and its like for anything else."""
    found = [dict(values) for values in record]
    if not all(isinstance(value, str) for values in found for value in values.values()):
        raise ValueError("a distribution's record holds something else than text")
    distributions = tuple(Distribution(**values) for values in found)
    if wrong := [d.digest for d in distributions if d.digest and not _DIGEST.fullmatch(d.digest)]:
        raise ValueError(f"a distribution's record holds the digest {wrong[0]!r}")
    return distributions


def _content(entry: Entry) -> bytes:
    return entry.content.read_bytes() if isinstance(entry.content, Path) else entry.content


def _is_document(path: str) -> bool:
    return path.endswith((".dist-info/METADATA", "/package.json")) and bool(
        _PYTHON.fullmatch(path) or _NODE.fullmatch(path)
    )


def _read(path: str, data: bytes, digests: Mapping[str, str]) -> Iterator[Distribution]:
    if found := _PYTHON.fullmatch(path):
        distribution = read_metadata(data, f"/{found['environment']}")
        if distribution:
            yield replace(distribution, digest=digests.get(canonicalize_name(distribution.name), ""))
    elif found := _NODE.fullmatch(path):
        place = path.removeprefix(f"{found['environment']}/").removesuffix("/package.json")
        yield from _read_npm(f"/{found['environment']}", data, digests.get(place, ""))


def _read_npm(environment: str, data: bytes, digest: str) -> Iterator[Distribution]:
    try:
        package: Any = json.loads(data)
    except ValueError:
        return
    if not isinstance(package, dict):
        return
    name, version, licence = (package.get(key) for key in ("name", "version", "license"))
    if isinstance(name, str) and isinstance(version, str) and name and version:
        stated = licence if isinstance(licence, str) else ""
        yield Distribution(name, version, environment, stated, digest, index="npm")


def _licence(message: Message[str, str]) -> str:
    """License-Expression; else the classifiers; else License, when it is a name and not the whole text."""
    if expression := message["License-Expression"]:
        return str(expression).strip()
    classifiers = [str(value) for value in message.get_all("Classifier", [])]
    if names := sorted(c.removeprefix(_OSI) for c in classifiers if c.startswith(_OSI)):
        return ", ".join(names)
    text = str(message["License"] or "").strip()
    return text if len(text) <= 100 and "\n" not in text and text != "UNKNOWN" else ""
