"""The text of a YAML or JSON file -> its documents, as nodes that know their lines.

In: text. Out: `Node`s. What is not there is a Node too, one that holds nothing, so that rules may ask for
`node["spec"]["template"]` of whatever was written. Merge keys (`<<`) and aliases are followed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEPEST = 100
"""So deep may values be nested. Nobody's manifest is half as deep."""
_MERGE = "tag:yaml.org,2002:merge"
_NULL = "tag:yaml.org,2002:null"


class Unreadable(Exception):
    """The text is no YAML. `line` is where that was seen."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A value: a text, a list or a mapping; none of them where nothing was written.

    `line` is the line of its key, or of itself in a list; `last` the last line of all that is below it.
    """

    line: int = 0
    last: int = 0
    text: str = ""
    """A scalar as it is written, without quotes."""
    items: tuple[Node, ...] = ()
    pairs: Mapping[str, Node] = field(default_factory=dict)
    is_set: bool = False

    def __getitem__(self, key: str) -> Node:
        return self.pairs.get(key) or Node(self.line, self.line)

    def __contains__(self, key: str) -> bool:
        return key in self.pairs

    def at(self, *keys: str) -> Node:
        """What is found by going down the keys."""
        node = self
        for key in keys:
            node = node[key]
        return node

    @property
    def number(self) -> float | None:
        try:
            return float(self.text)
        except ValueError:
            return None

    @property
    def words(self) -> tuple[str, ...]:
        """The texts of a list; of a scalar itself."""
        return tuple(item.text for item in self.items) or ((self.text,) if self.text else ())

    @property
    def truth(self) -> bool | None:
        """True or False where that is written, else None."""
        return {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}.get(
            self.text.lower()
        )

    def walk(self) -> Iterator[Node]:
        """Itself and all that is below it, each once, whatever the aliases."""
        seen, waiting = {id(self)}, [self]
        while waiting:
            node = waiting.pop()
            yield node
            for child in (*node.items, *node.pairs.values()):
                if id(child) not in seen:
                    seen.add(id(child))
                    waiting.append(child)


def read_documents(text: str) -> list[Node]:
    """Every document that is not empty. Raises Unreadable."""
    try:
        # Tabs are blanks in JSON, and nothing in the indentation of YAML.
        clean = text.replace("\t", " ") if text.lstrip()[:1] in ("{", "[") else text
        return [
            node for root in yaml.compose_all(clean, Loader=_LOADER) if (node := _Reader().read(root)).is_set
        ]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise Unreadable(" ".join(str(problem).split()), mark.line + 1 if mark else 0) from error
    except RecursionError as error:
        raise Unreadable("it is nested too deep", 0) from error


class _Reader:
    """Makes Nodes of one document's YAML nodes. What aliases share stays shared, or it could be endless."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, int], Node] = {}
        self._open: set[int] = set()

    def read(self, node: Any, line: int = 0, depth: int = 0) -> Node:
        if node is None or node.tag == _NULL:
            return Node(line, line)
        line = line or node.start_mark.line + 1
        if depth > _DEEPEST:
            raise Unreadable("it is nested too deep", line)
        if id(node) in self._open:
            raise Unreadable("it is a part of itself", line)
        key = (id(node), line)
        if key not in self._made:
            self._open.add(id(node))
            self._made[key] = self._make(node, line, depth + 1)
            self._open.discard(id(node))
        return self._made[key]

    def _make(self, node: Any, line: int, depth: int) -> Node:
        last = max(line, _last(node))
        if isinstance(node, yaml.ScalarNode):
            return Node(line, last, text=node.value, is_set=True)
        if isinstance(node, yaml.SequenceNode):
            return Node(
                line, last, items=tuple(self.read(item, 0, depth) for item in node.value), is_set=True
            )
        return Node(line, last, pairs=dict(self._pairs(node, depth)), is_set=True)

    def _pairs(self, node: Any, depth: int) -> Iterator[tuple[str, Node]]:
        """What is merged comes first, so that what is written here holds."""
        for key, value in node.value:
            if key.tag == _MERGE:
                merged = value.value if isinstance(value, yaml.SequenceNode) else [value]
                for one in reversed(merged):
                    yield from self.read(one, 0, depth).pairs.items()
        for key, value in node.value:
            if key.tag != _MERGE and isinstance(key, yaml.ScalarNode):
                yield key.value, self.read(value, key.start_mark.line + 1, depth)


def _last(node: Any) -> int:
    """The last line of a node: the mark after a block is at the start of what follows it."""
    end = node.end_mark
    return int(end.line + (1 if end.column else 0))
