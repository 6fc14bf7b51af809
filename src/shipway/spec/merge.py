"""agent.toml as one environment or tenant sees it: default < file < environment < tenant < command line.

In: the document. Out: a Merged, which still knows where each of its values was written, so that findings
and provenance name the line that a person has to look at.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shipway.errors import Finding
from shipway.spec.document import Document, freeze
from shipway.spec.keys import OVERLAY, find, known
from shipway.spec.positions import Path
from shipway.spec.words import dotted, listed, nearest

COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True)
class Merged:
    """`data` is what is validated; `origins` maps a path in it to where it was written, when elsewhere."""

    document: Document
    data: Mapping[str, Any]
    origins: Mapping[Path, Path]

    def written(self, path: Path) -> Path:
        """Where a value of `data` was written: its path in the file, or below COMMAND_LINE."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.origins:
                return (*self.origins[path[:end]], *path[end:])
        return path

    def line(self, path: Path) -> int:
        """The line of a key, or of the nearest table around it; 0 when that is the whole file."""
        written = self.written(path)
        known = (self.document.lines.get(written[:end], 0) for end in range(len(written), 0, -1))
        return next(filter(None, known), 0)

    def name(self, path: Path) -> str:
        """A key as it was written: `env.prod.model.max_tokens`."""
        written = self.written(path)
        return dotted(written[1:] if written[:1] == (COMMAND_LINE,) else written)

    def finding(self, rule: str, path: Path, message: str, fix: str = "") -> Finding:
        """A finding at the line where the value at `path` was written."""
        if self.written(path)[:1] == (COMMAND_LINE,):
            return Finding(rule, message, fix, COMMAND_LINE)
        return Finding(rule, message, fix, self.document.file, self.line(path))

    def source(self, path: Path) -> str:
        """Where a value comes from: "default", "agent.toml:12", "env.prod, agent.toml:41"."""
        written = self.written(path)
        if written[:1] == (COMMAND_LINE,):
            return COMMAND_LINE
        if written not in self.document.lines:
            return "default"
        place = f"{self.document.file}:{self.document.lines[written]}"
        return f"{dotted(written[:2])}, {place}" if written != path else place


def whole(document: Document) -> Merged:
    """The file alone, which is development."""
    return Merged(document, document.data, {})


def overlay(base: Merged, *prefix: str) -> Merged:
    """The tables below `prefix` (`env.prod`, `tenants.acme`) laid over the file's, key by key.

    What is no table where one belongs is left alone: validation of the file itself refuses it.
    """
    data, origins = dict(base.data), dict(base.origins)
    changes = base.document.data[prefix[0]][prefix[1]]
    for section in OVERLAY if isinstance(changes, dict) else ():
        table, under = changes.get(section), data.get(section, {})
        if not isinstance(table, dict) or not isinstance(under, dict):
            continue
        if section not in data:
            origins[(section,)] = (*prefix, section)
        data[section] = {**under, **table}
        origins |= {(section, key): (*prefix, section, key) for key in table}
    return Merged(base.document, data, origins)


def command_line(base: Merged, values: Mapping[str, str]) -> tuple[Merged, list[Finding]]:
    """Values from the command line, `model.max_tokens` -> `"4096"`, laid over everything else.

    Returns what they could be laid over, and a finding for each key that cannot be changed there.
    """
    data, origins, findings = dict(base.data), dict(base.origins), []
    for name, text in values.items():
        path = tuple(name.split("."))
        key = find(path)
        if (
            path[0] not in OVERLAY
            or key is None
            or key.is_table
            or not isinstance(data.get(path[0], {}), dict)
        ):
            findings.append(_refuse(name))
            continue
        _put(data, path, _value(key.is_text or isinstance(_get(data, path), str), text))
        origins[path] = (COMMAND_LINE, *path)
    return Merged(base.document, data, origins), findings


def _refuse(name: str) -> Finding:
    close = nearest(name, (".".join(p) for p, key in known().items() if p[0] in OVERLAY and not key.is_table))
    message = f"`{name}` is no key that the command line can set"
    if close and "*" not in close:
        return Finding("unknown-key", f"{message}; did you mean `{close}`?", f"write {close}=…", COMMAND_LINE)
    fix = f"it can set keys of {listed(OVERLAY)}, as in model.max_tokens=4096"
    return Finding("unknown-key", message, fix, COMMAND_LINE)


def _value(is_text: bool, text: str) -> Any:
    """Text stays text where agent.toml wants text; elsewhere it is read as TOML would be."""
    if is_text:
        return text
    try:
        return freeze(tomllib.loads(f"value = {text}")["value"])
    except tomllib.TOMLDecodeError:
        return text


def _get(data: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    for part in path:
        data = data.get(part, {}) if isinstance(data, dict) else {}
    return data


def _put(data: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for part in path[:-1]:
        data[part] = dict(data[part]) if isinstance(data.get(part), dict) else {}
        data = data[part]
    data[path[-1]] = value
