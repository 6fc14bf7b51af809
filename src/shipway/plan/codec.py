"""Plans to JSON and back.

In: a plan, a frozen dataclass. Out: canonical JSON (declared order, two spaces) that `decode` reads back to
an equal value; golden files and `shipway plan --json` are this text.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")


def encode(plan: object) -> str:
    """The plan, or a tuple of plans, as JSON text that ends in one line feed."""
    kind: Any = tuple[type(plan[0]), ...] if isinstance(plan, tuple) and plan else type(plan)  # type: ignore[misc]
    return TypeAdapter(kind).dump_json(plan, indent=2).decode() + "\n"


def decode(kind: type[T], text: str) -> T:
    """Read a plan back. Raises pydantic.ValidationError for text that is not this kind of plan."""
    return TypeAdapter(kind).validate_json(text)
