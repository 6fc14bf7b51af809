"""HCL that people read: values -> text.

In: dicts in the order in which they are to be read; a value may be a `Block`, or a list of them. Out: text
of several lines as a heredoc, everything else in quotes; `${` and `%{` are written so that HCL leaves them
alone, unless the text is a `Reference`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MARKER = "EOT"


class Reference(str):
    """Text whose ${…} the reader of the document is to resolve."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a type that its key names; most have no label."""

    body: Mapping[str, Any]
    label: str | None = None


def write(body: Mapping[str, Any], head: str) -> str:
    """The document, below a comment."""
    comment = "".join(f"# {line}".rstrip() + "\n" for line in head.splitlines())
    return comment + "".join(f"{line}\n" for line in _body(body, ""))


def _body(body: Mapping[str, Any], indent: str) -> Iterator[str]:
    """Attributes in a row have their signs below each other; a block stands apart."""
    begun = False
    for is_block, entries in groupby(_entries(body), lambda entry: isinstance(entry[1], Block)):
        if is_block:
            for key, block in entries:
                yield from [""] if begun else []
                yield from _block(key, block, indent)
                begun = True
        else:
            yield from [""] if begun else []
            yield from _row([(key, _value(value)) for key, value in entries], indent)
            begun = True


def _entries(body: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in body.items():
        several = isinstance(value, list) and bool(value) and all(isinstance(one, Block) for one in value)
        yield from ((key, one) for one in (value if several else [value]))


def _block(key: str, block: Block, indent: str) -> Iterator[str]:
    label = f" {_quoted(block.label)}" if block.label is not None else ""
    yield f"{indent}{key}{label} {{"
    yield from _body(block.body, f"{indent}  ")
    yield f"{indent}}}"


def _row(attributes: Sequence[tuple[str, str]], indent: str) -> Iterator[str]:
    """Lines of a heredoc stay as they are: an indent would be part of the text."""
    width = max(len(key) for key, _ in attributes)
    for key, text in attributes:
        yield f"{indent}{key:<{width}} = {text}"


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _heredoc(value) if value.endswith("\n") else _quoted(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(one) for one in value)}]"
    return json.dumps(value)


def _quoted(text: str) -> str:
    """HCL knows fewer escapes than JSON, and every character by its number."""
    special = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    plain = "".join(special.get(c) or (c if c.isprintable() else _numbered(c)) for c in text)
    return f'"{plain if isinstance(text, Reference) else _escaped(plain)}"'


def _numbered(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _heredoc(text: str) -> str:
    return f"<<{_MARKER}\n{_escaped(text)}{_MARKER}"


def _escaped(text: str) -> str:
    return text.replace("${", "$${").replace("%{", "%%{")
