"""Why a layer was made again: what it was made from, beside what the last build's was made from.

In: the layers of a build, and the record of the last one. Out: words for each layer; the new record. The
record is in the project's `.shipway`, because a shared cache knows other projects' layers, too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from shipway.build.writing import replace_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from shipway.build.image import BuiltImage
    from shipway.build.layers import Layer

Record = dict[str, list[dict[str, str]]]
"""Image and platform -> what each of its layers was made from."""

_SHOWN = 8


def read_record(directory: Path) -> Record:
    """The last build's record; empty where there is none, or none that can be read."""
    try:
        record = json.loads((directory / "layers.json").read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def write_record(directory: Path, images: Sequence[BuiltImage]) -> None:
    """Replace the record by this build's."""
    record = {
        _key(image, platform.platform): [dict(layer.made_from) for layer in platform.layers]
        for image in images
        for platform in image.platforms
    }
    replace_text(directory / "layers.json", json.dumps(record, indent=1) + "\n")


def explain(image: BuiltImage, record: Record) -> Iterator[str]:
    """A line for each layer: from the cache, or what changed since the last build here."""
    for platform in image.platforms:
        before = record.get(_key(image, platform.platform), [])
        for layer in platform.layers:
            yield f"{image.role} {platform.platform}, {layer.name}: {_reason(layer, before)}"


def _key(image: BuiltImage, platform: str) -> str:
    return f"{image.role} {platform}"


def _reason(layer: Layer, before: Sequence[Mapping[str, str]]) -> str:
    now = layer.made_from
    if now in before:
        return (
            "unchanged" if layer.cached else "unchanged since the last build; its blob was not in the cache"
        )
    origin = "in the cache; " if layer.cached else ""
    if not before:
        return f"{origin}no build was here before"
    last = max(before, key=lambda other: _likeness(now, other))
    return origin + "; ".join(_differences(last, now))


def _likeness(one: Mapping[str, str], other: Mapping[str, str]) -> float:
    """The share of names that two layers have in common."""
    return len(one.keys() & other.keys()) / (len(one.keys() | other.keys()) or 1)


def _differences(last: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    changed = [f"{k}: {last[k]} -> {now[k]}" for k in now if k in last and last[k] != now[k]]
    changed += [f"{k}: new" for k in now if k not in last]
    changed += [f"{k}: gone" for k in last if k not in now]
    more = len(changed) - _SHOWN
    return [*changed[:_SHOWN], f"and {more} more"] if more > 0 else changed
