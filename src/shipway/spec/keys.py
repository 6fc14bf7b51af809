"""Every key that agent.toml may hold, as patterns: ("mcp", "*", "tools", "deny").

In: the types of model.py. Out: for each pattern what may stand there, in words. `*` is a name that the user
chooses, or a place in a list. Findings, overrides and the reference all look here.
"""

from __future__ import annotations

import functools
import types
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt

from shipway.spec.model import Section, Spec
from shipway.spec.values import Expects
from shipway.spec.words import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Pattern = tuple[str, ...]
OVERLAY = ("model", "config", "resources", "api", "storage", "health", "policy", "secrets")
"""The sections that an environment, or the command line, may change."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key. `owner` is the section's type, None for a name that the user chooses."""

    pattern: Pattern
    owner: type[Section] | None
    kind: Any
    bounds: tuple[Any, ...] = ()
    label: Any = None
    """The type of the names below it, where the user chooses them."""

    @property
    def is_table(self) -> bool:
        """A table with keys of its own, or with names that the user chooses."""
        kind = plain(self.kind)
        return _is_section(kind) or typing.get_origin(kind) is dict

    @property
    def is_text(self) -> bool:
        """Written in quotes, whatever it becomes."""
        fields = typing.get_args(self.kind) if typing.get_origin(self.kind) is Annotated else ()
        converted = any(hasattr(part, "json_schema_input_type") for part in fields)
        return converted or plain(self.kind) is str

    @property
    def expected(self) -> str:
        """What may stand there, in the words of agent.toml."""
        return words(self.kind, self.bounds)


@functools.cache
def known() -> Mapping[Pattern, Key]:
    """All patterns, in the order of the model."""
    return {key.pattern: key for key in _section((), Spec)}


def find(path: tuple[str | int, ...]) -> Key | None:
    """The key that `path` of a document is an instance of; None for what agent.toml does not know."""
    patterns = known()
    pattern: Pattern = ()
    for part in path:
        pattern = (*pattern, str(part)) if (*pattern, str(part)) in patterns else (*pattern, "*")
        if pattern not in patterns:
            return None
    return patterns.get(pattern)


def below(path: tuple[str | int, ...]) -> list[str]:
    """The names that agent.toml knows directly below a table; empty where the user chooses them."""
    key = find(path)
    if path and key is None:
        return []
    pattern = key.pattern if key else ()
    names = [p[-1] for p in known() if p[:-1] == pattern]
    return [name for name in names if name != "*"]


def _section(pattern: Pattern, section: type[Section]) -> Iterator[Key]:
    hints = typing.get_type_hints(section, include_extras=True)
    for name, field in section.model_fields.items():
        bounds = tuple(m for m in field.metadata if isinstance(m, Ge | Gt | Le | Lt))
        yield from _key((*pattern, name), section, _without_none(hints[name]), bounds)


def _key(pattern: Pattern, owner: type[Section] | None, kind: Any, bounds: tuple[Any, ...]) -> Iterator[Key]:
    inner, arguments = plain(kind), typing.get_args(plain(kind))
    origin = typing.get_origin(inner)
    label = arguments[0] if origin is dict else None
    yield Key(pattern, owner, kind, bounds, label)
    if origin is dict:
        yield from _key((*pattern, "*"), None, arguments[1], ())
    elif origin is tuple and arguments[-1] is Ellipsis:
        yield from _key((*pattern, "*"), None, arguments[0], ())
    for section in arguments if origin in (types.UnionType, typing.Union) else (inner,):
        if _is_section(section):
            yield from _section(pattern, section)


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def plain(kind: Any) -> Any:
    """A type without its annotations."""
    return typing.get_args(kind)[0] if typing.get_origin(kind) is Annotated else kind


def _without_none(kind: Any) -> Any:
    if typing.get_origin(kind) not in (types.UnionType, typing.Union):
        return kind
    parts = [part for part in typing.get_args(kind) if part is not type(None)]
    return parts[0] if len(parts) == 1 else typing.Union[tuple(parts)]  # noqa: UP007 - built at run time


def words(kind: Any, bounds: tuple[Any, ...] = ()) -> str:
    """What a value of a type is called in agent.toml."""
    for part in typing.get_args(kind)[1:] if typing.get_origin(kind) is Annotated else ():
        if isinstance(part, Expects):
            return part.words
    kind = plain(kind)
    if typing.get_origin(kind) is Literal:
        return listed((f'"{value}"' for value in typing.get_args(kind)), "or")
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        return 'a list of texts: ["…"]' if item is str else f"a list, each {words(item)}"
    if kind in (int, float):
        return ("a whole number" if kind is int else "a number") + _range(bounds)
    if kind is bool:
        return "true or false"
    return "text in quotes" if kind is str else "a table"


def _range(bounds: tuple[Any, ...]) -> str:
    low = next((b.ge for b in bounds if isinstance(b, Ge)), None)
    high = next((b.le for b in bounds if isinstance(b, Le)), None)
    above = next((b.gt for b in bounds if isinstance(b, Gt)), None)
    below_ = next((b.lt for b in bounds if isinstance(b, Lt)), None)
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None:
        return f" of {low} or more"
    return f" above {above} and below {below_}" if above is not None else ""
