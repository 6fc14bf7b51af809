"""Frozen dataclasses to JSON and back, each value checked against its declared type.

In: a value, or text and the type it should have. Out: canonical JSON, or the value; ContractError names the
first place that is not as declared. The standard library alone: this is in every image.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import types
import typing
from typing import Any, Literal, TypeVar

T = TypeVar("T")

FORMAT = 1
"""The version of every format of the contract."""


class ContractError(ValueError):
    """A document that is not what the format says; the message names the place and what was expected."""


def encode(value: Any) -> str:
    """A value as canonical JSON: sorted keys, two spaces, one line feed at the end."""
    return json.dumps(dataclasses.asdict(value), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def decode(kind: type[T], text: str | bytes, where: str, newest: int) -> T:
    """Read a value from JSON.

    `where` names the document in messages. Raises ContractError for text that is no JSON, for a format
    after `newest`, and for the first value that is not of the declared type.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ContractError(f"{where}: not JSON: {error}") from None
    if isinstance(data, dict) and isinstance(data.get("format"), int) and data["format"] > newest:
        raise ContractError(
            f"{where}: format {data['format']} is newer than this runtime's {newest}; "
            "update shipway-runtime, or build again with the version that runs"
        )
    return typing.cast("T", _value(kind, data, where, ""))


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


@functools.cache
def _anatomy(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """What a type is made of: control reads thousands of outcomes a second."""
    return typing.get_origin(kind), typing.get_args(kind)


def _value(kind: Any, data: Any, where: str, path: str) -> Any:
    if kind is type(data) or kind is Any:
        return data
    origin, arguments = _anatomy(kind)
    if origin in (typing.Union, types.UnionType):
        if data is None:
            return None
        return _value(next(a for a in arguments if a is not type(None)), data, where, path)
    if origin is Literal:
        return data if data in arguments else _refuse(where, path, f"one of {', '.join(arguments)}", data)
    if origin is tuple:
        return _tuple(arguments, data, where, path)
    if origin is dict:
        if not isinstance(data, dict):
            return _refuse(where, path, "an object", data)
        return {str(k): _value(arguments[1], v, where, _join(path, k)) for k, v in data.items()}
    if dataclasses.is_dataclass(kind):
        return _record(typing.cast("type", kind), data, where, path)
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        try:
            return float(data)
        except OverflowError:
            return _refuse(where, path, "a smaller number", data)
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        return _refuse(where, path, kind.__name__, data)
    return data


def _tuple(arguments: tuple[Any, ...], data: Any, where: str, path: str) -> tuple[Any, ...]:
    if not isinstance(data, list):
        _refuse(where, path, "a list", data)
    if arguments[-1] is not Ellipsis:
        if len(data) != len(arguments):
            _refuse(where, path, f"a list of {len(arguments)}", data)
        pairs = zip(arguments, data, strict=True)
        return tuple(_value(a, item, where, f"{path}[{i}]") for i, (a, item) in enumerate(pairs))
    return tuple(_value(arguments[0], item, where, f"{path}[{i}]") for i, item in enumerate(data))


def _record(kind: type, data: Any, where: str, path: str) -> Any:
    if not isinstance(data, dict):
        return _refuse(where, path, "an object", data)
    hints = _hints(kind)
    if unknown := sorted(set(data) - set(hints)):
        raise ContractError(f"{where}: {_join(path, unknown[0])}: not a key of this format")
    values = {key: _value(hints[key], value, where, _join(path, key)) for key, value in data.items()}
    for wanted in dataclasses.fields(kind):
        unset = wanted.default is dataclasses.MISSING and wanted.default_factory is dataclasses.MISSING
        if unset and wanted.name not in values:
            raise ContractError(f"{where}: {path or 'document'}: {wanted.name!r} is missing")
    return kind(**values)


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _refuse(where: str, path: str, expected: str, seen: object) -> typing.NoReturn:
    raise ContractError(f"{where}: {path or 'document'}: expected {expected}, saw {json.dumps(seen)[:80]}")
