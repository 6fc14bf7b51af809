"""The metadata that packages leave in an image -> which distributions are in it, with licence and wheel.

In: documents by path (`Contents.documents` of a layer, or entries), and the pins of each environment. Out:
`Distribution` values, sorted. Documents are foreign text: what cannot be read is left out.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from email.parser import BytesHeaderParser
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
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_OSI = "License :: OSI Approved :: "


@dataclass(frozen=True, slots=True, order=True)
class Distribution:
    """What an index distributes, as it is installed. `environment` is where, such as /app/.venv.

    `licence` is as the distribution states it: an SPDX expression, or free text. `wheel_sha256` (hex) is of
    the wheel it came from, empty where the pins allow several.
    """

    name: str
    version: str
    environment: str
    licence: str = ""
    wheel_sha256: str = ""
    index: Literal["pypi", "npm"] = "pypi"

    @property
    def purl(self) -> str:
        """The package URL, https://github.com/package-url/purl-spec."""
        name = self.name.replace("@", "%40") if self.index == "npm" else canonicalize_name(self.name)
        return f"pkg:{self.index}/{name}@{self.version.replace('+', '%2B').replace('!', '%21')}"


def read_distributions(
    documents: Mapping[str, bytes], pins: Mapping[str, str] | None = None
) -> tuple[Distribution, ...]:
    """Every Python distribution and npm package that the documents name.

    `pins` holds, by environment, lines such as `six==1.17.0 --hash=sha256:…`.
    """
    wheels = {environment: _hashes(text) for environment, text in (pins or {}).items()}
    return tuple(sorted({found for path, data in documents.items() for found in _read(path, data, wheels)}))


def documents(entries: Iterable[Entry]) -> dict[str, bytes]:
    """Those of the entries that `read_distributions` reads."""
    wanted = (e for e in entries if e.kind == "file" and _is_document(e.path))
    return {e.path: e.content.read_bytes() if isinstance(e.content, Path) else e.content for e in wanted}


def _is_document(path: str) -> bool:
    return path.endswith((".dist-info/METADATA", "/package.json")) and bool(
        _PYTHON.fullmatch(path) or _NODE.fullmatch(path)
    )


def _read(path: str, data: bytes, wheels: Mapping[str, Mapping[str, str]]) -> Iterator[Distribution]:
    if found := _PYTHON.fullmatch(path):
        environment = f"/{found['environment']}"
        message = BytesHeaderParser().parsebytes(data)
        name, version = str(message["Name"] or ""), str(message["Version"] or "")
        if name and version:
            sha256 = wheels.get(environment, {}).get(canonicalize_name(name), "")
            yield Distribution(name, version, environment, _licence(message), sha256)
    elif found := _NODE.fullmatch(path):
        yield from _read_npm(f"/{found['environment']}", data)


def _read_npm(environment: str, data: bytes) -> Iterator[Distribution]:
    try:
        package: Any = json.loads(data)
    except ValueError:
        return
    if not isinstance(package, dict):
        return
    name, version, licence = (package.get(key) for key in ("name", "version", "license"))
    if isinstance(name, str) and isinstance(version, str) and name and version:
        yield Distribution(
            name, version, environment, licence if isinstance(licence, str) else "", index="npm"
        )


def _licence(message: Message[str, str]) -> str:
    """License-Expression; else the classifiers; else License, when it is a name and not the whole text."""
    if expression := message["License-Expression"]:
        return str(expression).strip()
    classifiers = [str(value) for value in message.get_all("Classifier", [])]
    if names := sorted(c.removeprefix(_OSI) for c in classifiers if c.startswith(_OSI)):
        return ", ".join(names)
    text = str(message["License"] or "").strip()
    return text if len(text) <= 100 and "\n" not in text and text != "UNKNOWN" else ""


def _hashes(pins: str) -> dict[str, str]:
    """Name -> the one hash its pin has; a pin with several does not say which wheel was taken."""
    lines = re.sub(r"\\\s*\n", " ", pins).splitlines()
    found = {
        canonicalize_name(li.partition("==")[0].strip()): _HASH.findall(li) for li in lines if "==" in li
    }
    return {name: hashes[0] for name, hashes in found.items() if len(hashes) == 1}
