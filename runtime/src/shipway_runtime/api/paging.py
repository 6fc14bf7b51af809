"""Lists, page by page, as OpenAI has them: `limit`, `after` and `order` in, `has_more` and two ids out.

In: a query string, items. Out: a page. Errors: ApiError 400. Pure functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from .errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .items import Item

LIMIT, MOST = 20, 100


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted: up to `limit` items from the one after `after` on."""

    limit: int = LIMIT
    after: str | None = None
    newest_first: bool = True


def parse(query: bytes) -> Page:
    """The page that a query string asks for."""
    given = {name: values[-1] for name, values in parse_qs(query.decode("latin-1"), True).items()}
    limit, order = given.get("limit", str(LIMIT)), given.get("order", "desc")
    if not (limit.isascii() and limit.isdigit() and len(limit) < 4 and 1 <= int(limit) <= MOST):
        raise _refused("limit", f"a number from 1 to {MOST}", limit)
    if order not in ("asc", "desc"):
        raise _refused("order", "asc or desc", order)
    return Page(int(limit), given.get("after"), order == "desc")


def cut(items: Sequence[Item], page: Page) -> dict[str, Any]:
    """The page of `items`, which are all there are, in the order that is wanted."""
    start = 0
    if page.after is not None:
        start = next((i + 1 for i, item in enumerate(items) if item["id"] == page.after), -1)
        if start < 0:
            message = f"after: no item {page.after[:200]} in this list"
            raise ApiError(404, message, code="item_not_found", param="after")
    return listed(items[start : start + page.limit], has_more=len(items) > start + page.limit)


def listed(items: Sequence[Item], *, has_more: bool = False) -> dict[str, Any]:
    """One page."""
    return {
        "object": "list",
        "data": items,
        "first_id": items[0]["id"] if items else "",
        "last_id": items[-1]["id"] if items else "",
        "has_more": has_more,
    }


def _refused(name: str, expected: str, seen: str) -> ApiError:
    message = f"{name}: expected {expected}, saw {seen[:60]!r}"
    return ApiError(400, message, code="invalid_value", param=name)
