"""Plans to JSON and back.

In: a plan, a frozen dataclass. Out: canonical JSON (declared order, two spaces) that `decode` reads back to
an equal value; golden files and `shipway plan --json` are this text.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def encode(plan: object) -> str:
    """The plan as JSON text that ends in one line feed."""
    return _adapter(type(plan)).dump_json(plan, indent=2).decode() + "\n"


def decode(kind: type[T], text: str) -> T:
    """Read a plan back. Raises pydantic.ValidationError for text that is not this kind of plan."""
    plan: T = _adapter(kind).validate_json(text)
    return plan
