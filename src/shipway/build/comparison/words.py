"""Comparison -> the lines of `shipway diff`: pure.

In: a `Comparison`. Out: lines. A section begins at the margin; below it `+`, `-` and `~` in the third column
say what was added, removed and changed, and in the fifth column stand the lines of a prompt's diff. What did
not change has no section.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from shipway.build.comparison.side import AGENT
from shipway.build.inspection import difference
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from shipway.build.comparison.compare import Comparison, Identity
    from shipway.build.comparison.packages import VersionChange
    from shipway.build.comparison.prompts import PromptChange
    from shipway.build.comparison.values import ValueChange

_SHORT = 12  # digits of a commit


def words(comparison: Comparison) -> Iterator[str]:
    """What changed. Equal sides have two lines."""
    old, new = comparison.before, comparison.after
    yield _title(old, new)
    if old.revision or new.revision:
        yield f"revision: {old.revision or 'not known'} -> {new.revision or 'not known'}"
    if comparison.same:
        yield "nothing changed"
        return
    yield from _section(_counted("prompts", comparison.prompts), comparison.prompts, _prompt_lines)
    model = [replace(change, key=change.key.removeprefix("model.")) for change in comparison.model]
    yield from _section("model", model, _value_lines)
    yield from _section("tools", comparison.tools, _tool_lines)
    packages, system = comparison.dependencies, comparison.system
    yield from _section(_counted("dependencies", packages), packages, _version_lines)
    yield from _section("settings of agent.toml", comparison.settings, _value_lines)
    said = (*comparison.model, *comparison.settings)
    config = [change for change in comparison.config if change not in said]
    yield from _section(f"config of {_environments(old, new)}", config, _value_lines)
    yield from _source(comparison)
    yield from _section(_counted("base", system), system, _version_lines)
    yield from _image(comparison)
    yield from (f"unknown: {line}" for line in comparison.unknown)


def _title(old: Identity, new: Identity) -> str:
    """Which two: by their releases, where they have any, and else as they were named."""
    if old.release and new.release and old.name == new.name:
        return f"{old.name}: {old.release} -> {new.release}"
    sides = [f"{side.name} {side.release}" if side.release else side.reference for side in (old, new)]
    return " -> ".join(sides)


def _environments(old: Identity, new: Identity) -> str:
    named = [side.environment for side in (old, new) if side.environment]
    return " -> ".join(dict.fromkeys(named))


def _section(title: str, changes: Sequence[Any], lines: Any) -> Iterator[str]:
    if changes:
        yield title
        yield from (f"  {line}" for line in lines(changes))


def _counted(title: str, changes: Iterable[VersionChange | PromptChange]) -> str:
    """dependencies: 1 added, 2 changed."""
    signs = Counter(_sign(change.before, change.after) for change in changes)
    named = {"+": "added", "-": "removed", "~": "changed"}
    return f"{title}: " + ", ".join(f"{signs[sign]} {word}" for sign, word in named.items() if signs[sign])


# -- Prompts and values --------------------------------------------------------------------------------------


def _prompt_lines(changes: Iterable[PromptChange]) -> Iterator[str]:
    for change in changes:
        yield f"{_sign(change.before, change.after)} {change.name}"
        yield from (f"  {line}" for line in change.diff or ())


def _value_lines(changes: Iterable[ValueChange]) -> Iterator[str]:
    for change in changes:
        yield f"{_sign(change.before, change.after)} {change.key}: {_became(change.before, change.after)}"


def _became(before: Any, after: Any) -> str:
    if before is None or after is None:
        return _text(after if before is None else before)
    if _is_names(before) and _is_names(after):
        return _elements(before, after)
    return f"{_text(before)} -> {_text(after)}"


def _is_names(value: Any) -> bool:
    """A list to which each element belongs by itself; a limit's amount and seconds belong together."""
    return isinstance(value, list) and all(isinstance(element, str) for element in value)


def _elements(before: list[Any], after: list[Any]) -> str:
    """What a list lost and got; where only its order changed, all of it."""
    lost, got = ([e for e in one if e not in other] for one, other in ((before, after), (after, before)))
    if not lost and not got:
        return f"{_text(before)} -> {_text(after)}"
    return ", ".join([*(f"-{_text(e)}" for e in lost), *(f"+{_text(e)}" for e in got)])


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _sign(before: object, after: object) -> str:
    return "+" if before is None else "-" if after is None else "~"


# -- MCP servers ---------------------------------------------------------------------------------------------


def _tool_lines(changes: Iterable[ValueChange]) -> Iterator[str]:
    for name, group in groupby(changes, key=lambda change: change.key.partition(".")[0]):
        found = {change.key.partition(".")[2]: change for change in group}
        shape = found.get("shape")
        if shape and (shape.before is None or shape.after is None):
            yield f"{_sign(shape.before, shape.after)} {name}: {_whole(found)}"
            continue
        for key, change in found.items():
            key = key.removeprefix("tools.")  # of a filter: allow and deny say what they are
            yield f"{_sign(change.before, change.after)} {name}: {key} {_became(change.before, change.after)}"


def _whole(found: dict[str, ValueChange]) -> str:
    """A server in one line: what runs it, in which shape, and which tools are let through."""
    said = {key: change.before if change.after is None else change.after for key, change in found.items()}
    started = " ".join([_text(said.get("run", "")), *said.get("args", [])]).strip()
    filters = [f"{key} {_text(said[f'tools.{key}'])}" for key in ("allow", "deny") if f"tools.{key}" in said]
    return ", ".join(filter(None, [started, said["shape"], *filters]))


# -- Packages ------------------------------------------------------------------------------------------------


def _version_lines(changes: Iterable[VersionChange]) -> Iterator[str]:
    for change in sorted(changes, key=lambda c: (c.image != AGENT, c.image, c.place, c.name)):
        size = f" ({difference.moved(change.grown)})" if change.grown is not None else ""
        yield f"{_sign(change.before, change.after)} {change.name} {_versions(change)}{size}{_where(change)}"


def _versions(change: VersionChange) -> str:
    if change.before == change.after:
        return f"{change.after}: same version, other content"
    return " -> ".join(version for version in (change.before, change.after) if version is not None)


def _where(change: VersionChange) -> str:
    """Nothing for the agent's own; the MCP server for what it runs on; else the image."""
    if change.place.startswith(f"{contract.MCP}/"):
        return f", of mcp {change.place.removeprefix(f'{contract.MCP}/')}"
    if change.image != AGENT:
        return f", in the image {change.image}"
    return "" if change.place in ("", contract.VENV) else f", in {change.place}"


# -- Source and image ----------------------------------------------------------------------------------------


def _source(comparison: Comparison) -> Iterator[str]:
    was, now = comparison.before.source, comparison.after.source
    files = list(difference.project_words(comparison.image)) if comparison.image else []
    if not (comparison.code or files or was != now):
        return
    yield "source"
    if was or now:
        yield f"  {_commit(was)} -> {_commit(now)}" if was != now else f"  {_commit(now)}"
    yield from (f"  {line}" for line in files)
    if comparison.code is False and not files:
        yield "  the project's files are the same"
    elif comparison.code and not files:
        yield "  the project's files changed"
    if was and now and was != now and not (was + now).count("+"):
        yield f"  git diff {was[:_SHORT]} {now[:_SHORT]}"


def _commit(source: str | None) -> str:
    if source is None:
        return "not known"
    return source[:_SHORT] + (" with changes" if source.endswith("+") else "")


def _image(comparison: Comparison) -> Iterator[str]:
    found = comparison.image
    if found and found.before.image_id != found.after.image_id:
        yield "image"
        yield from (f"  {line}" for line in difference.image_words(found))
