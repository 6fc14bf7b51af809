"""YAML that people read: values -> text.

In: dicts in the order in which they are to be read, lists, scalars; `Line` for a list on one line, `Anchor`
for what is said once. Out: block style; text of several lines as a block, and quotes where another reader
might see no text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Sequence

_AMBIGUOUS = re.compile(r"(?i)y|n|yes|no|on|off|[-+.]?[0-9][0-9a-f_.:xo+-]*|[-+]?\.(inf|nan)")
"""Text that YAML 1.1 or 1.2 takes for something else: Compose and Kubernetes do not read the same."""
_BREAKS = re.compile("[\x85\u2028\u2029]")
"""Ends of lines to YAML 1.1, and characters like others to 1.2."""


class Line(list[Any]):
    """A list that is written on one line, as commands are."""


class Anchor:
    """A value with a name: written where it comes first, and by its name (`*name`) from then on."""

    def __init__(self, name: str, value: Any) -> None:
        self.name, self.value = name, value


class _Merge(str):
    __slots__ = ()


MERGE = _Merge("<<")
"""A key: here belongs all of the mapping that an anchor names, but for what is written beside it."""


def write(documents: Sequence[Any], head: str) -> str:
    """The documents, one after the other, below a comment."""
    comment = "".join(f"# {line}".rstrip() + "\n" for line in head.splitlines())
    text = yaml.dump_all(
        documents,
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=False,
        allow_unicode=True,
        width=4096,
        explicit_start=len(documents) > 1,
    )
    return comment + text


class _Dumper(yaml.SafeDumper):
    """Lists are indented below their key, and nothing but an Anchor is written as a reference."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.names: dict[yaml.Node, str] = {}

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return not isinstance(data, Anchor)

    def generate_anchor(self, node: yaml.Node) -> str:
        return self.names[node]


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    quoted = _BREAKS.search(text) or _AMBIGUOUS.fullmatch(text)
    style = '"' if quoted else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _line(dumper: yaml.SafeDumper, items: Line) -> yaml.SequenceNode:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)


def _anchor(dumper: _Dumper, anchor: Anchor) -> yaml.Node:
    node = dumper.represent_data(anchor.value)
    dumper.names[node] = anchor.name
    dumper.represented_objects[id(anchor)] = node
    return node


def _merge(dumper: yaml.SafeDumper, key: _Merge) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:merge", str(key))


_Dumper.add_representer(str, _text)
_Dumper.add_representer(tuple, yaml.SafeDumper.represent_list)
_Dumper.add_representer(Line, _line)
_Dumper.add_representer(Anchor, _anchor)
_Dumper.add_representer(_Merge, _merge)
