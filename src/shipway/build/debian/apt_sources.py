"""The host's apt configuration -> the archives it names.

In: the directory /etc/apt. Out: `Source` values in apt's own order, of whatever distribution: enabled binary
sources over HTTP, from sources.list, *.list (one line each) and *.sources (deb822). python-debian reads
deb822 too, but its import takes longer than all the rest of a build in which nothing changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ONE_LINE = re.compile(r"deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)(.*)")  # options, URI, suite, components
_OPTION = re.compile(r"(\S+?)=(\S+)")


@dataclass(frozen=True, slots=True)
class Source:
    """One archive: where it is, what is taken from it, and whose signature it carries.

    `keyrings` are files; `keys` is an armoured key that stands in the source itself.
    """

    url: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    file: Path
    keyrings: tuple[Path, ...] = ()
    keys: str = field(default="", repr=False)


def read_sources(directory: Path) -> tuple[Source, ...]:
    """Every usable source below `directory`. Files that cannot be read are of no use here and are passed."""
    parts = directory / "sources.list.d"
    files = [directory / "sources.list", *sorted(parts.glob("*.list")), *sorted(parts.glob("*.sources"))]
    return tuple(source for file in files for source in _read(file))


def _read(file: Path) -> Iterator[Source]:
    try:
        text = file.read_text(errors="replace")
    except OSError:
        return
    fields = _stanzas(text) if file.suffix == ".sources" else _lines(text)
    for stanza in fields:
        for url in _urls(stanza.get("uris", "").split()):
            yield _source(url, stanza, file)


def _lines(text: str) -> Iterator[dict[str, str]]:
    for line in text.splitlines():
        if match := _ONE_LINE.fullmatch(line.partition("#")[0].strip()):
            options = {key.lower(): value for key, value in _OPTION.findall(match[1] or "")}
            yield options | {"uris": match[2], "suites": match[3], "components": match[4]}


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    text = re.sub(r"^#.*\n?", "", text, flags=re.MULTILINE)
    for paragraph in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in paragraph.splitlines():
            if line[:1].isspace():
                fields[name] = f"{fields.get(name, '')}\n{line.strip()}"
            else:
                name, _, value = line.partition(":")
                name = name.lower()
                fields[name] = value.strip()
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() != "no":
            yield fields


def _urls(uris: list[str]) -> Iterator[str]:
    """HTTP addresses; those of a mirror list on this machine (Debian's cloud images) instead of its own."""
    for uri in uris:
        if uri.startswith("mirror+file:"):
            listed = Path(uri.removeprefix("mirror+file:").replace("//", "/"))
            lines = listed.read_text(errors="replace").splitlines() if listed.is_file() else []
            yield from _urls([line.split()[0] for line in lines if line.strip() and not line.startswith("#")])
        elif uri.startswith(("http://", "https://")):
            yield uri.rstrip("/")


def _source(url: str, fields: Mapping[str, str], file: Path) -> Source:
    signed_by = fields.get("signed-by", "")
    embedded = "BEGIN PGP" in signed_by
    paths = [] if embedded else [item for item in re.split(r"[\s,]+", signed_by) if item.startswith("/")]
    return Source(
        url,
        tuple(fields.get("suites", "").split()),
        tuple(fields.get("components", "").split()),
        file,
        tuple(map(Path, paths)),
        re.sub(r"^\.$", "", signed_by, flags=re.MULTILINE) if embedded else "",
    )
