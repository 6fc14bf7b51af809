"""Items that a request only names: looked up, and put where the reference stood.

In: a parsed body with `item_reference` among its input. Out: the same with the items themselves. Errors:
ApiError 404 for an item that is not known here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..contract import response_id
from ..conversations.store import Place
from . import kept
from .errors import ApiError

if TYPE_CHECKING:
    from ..conversations.store import Store
    from .items import Item

MOST = 200  # each costs a look into the store


def are_in(body: Any) -> bool:
    """Whether a request names items."""
    given = body.get("input") if isinstance(body, dict) else None
    return isinstance(given, list) and any(map(_is_reference, given))


async def resolve(body: dict[str, Any], store: Store, tenant: str | None) -> dict[str, Any]:
    """The body with its items, as far as they are this tenant's."""
    turns: dict[tuple[str, int], list[Item]] = {}
    found: list[Any] = []
    for index, item in enumerate(body["input"]):
        if not _is_reference(item):
            found.append(item)
            continue
        identity = item.get("id")
        where = kept.place_of_item(identity) if isinstance(identity, str) else None
        if where and where not in turns:
            if len(turns) == MOST:
                raise ApiError(400, f"input: more than {MOST} turns are referred to", param="input")
            turns[where] = await _items(where, store, tenant)
        found.append(_pick(identity, turns[where] if where else [], f"input[{index}]"))
    return body | {"input": found}


def _is_reference(item: Any) -> bool:
    return isinstance(item, dict) and item.get("type") == "item_reference"


async def _items(where: tuple[str, int], store: Store, tenant: str | None) -> list[Item]:
    turned = await store.read(Place(tenant, where[0]), where[1])
    if turned is None:
        return []
    identity = response_id(*where)
    return kept.given(turned, identity) + kept.output(turned, identity)


def _pick(identity: Any, items: list[Item], param: str) -> Item:
    for item in items:
        if item["id"] == identity:
            return item
    message = f"{param}: no item {str(identity)[:200]} here"
    raise ApiError(404, message, code="item_not_found", param=param)
