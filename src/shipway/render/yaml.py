"""YAML that people read: values -> text.

In: dicts in the order in which they are to be read, lists, scalars. Out: block style; text of several lines
as a block, and quotes where another reader might see no text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Sequence

_AMBIGUOUS = re.compile(r"(?i)y|n|yes|no|on|off|[0-9][0-9_:.]*|0[xo][0-9a-f]+|[-+.]?[0-9].*")
"""Text that YAML 1.1 or 1.2 takes for something else: Compose and Kubernetes do not read the same."""


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
    """Lists are indented below their key, and nothing is written as a reference to something before."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else '"' if _AMBIGUOUS.fullmatch(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(tuple, yaml.SafeDumper.represent_list)
