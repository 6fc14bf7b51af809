"""What request bodies have in common, read without trust: a client may send any JSON.

In: JSON values. Out: their parts; what is not where it belongs is absent.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from shipway.replay.matching import canonical

if TYPE_CHECKING:
    from collections.abc import Collection

    from shipway.replay.exchange import Request


def at(value: Any, *keys: str) -> Any:
    """The value under these keys, one in another; None where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(content: Any) -> str:
    """The text of a message: a string, or that of its parts."""
    if isinstance(content, str):
        return content
    texts = (part.get("text") for part in objects(content))
    return "\n".join(text for text in texts if isinstance(text, str))


def keys(schema: Any) -> tuple[str, ...]:
    """The properties of a JSON schema."""
    properties = at(schema, "properties")
    return tuple(properties) if isinstance(properties, dict) else ()


def kept(body: dict[str, Any], unmatched: Collection[str], of_tools: Collection[str] = ()) -> dict[str, Any]:
    """What of a body is compared: settled, and tools in no order; `unmatched` keys never count.

    Nor do those `of_tools`: where the cache begins, and how a server that is a tool is reached.
    """
    rest = {key: canonical.settle(value) for key, value in body.items() if key not in unmatched}
    if isinstance(rest.get("tools"), list):
        for tool, key in itertools.product(objects(rest["tools"]), of_tools):
            tool.pop(key, None)
        rest["tools"].sort(key=canonical.text)
    return rest


# -- Functions of a provider whose requests name model and stream in the body, and the API in the path -------


def place(path: str) -> str:
    return path


def streams(request: Request) -> bool:
    return at(request.body, "stream") is True


def model(request: Request) -> str:
    name = at(request.body, "model")
    return name if isinstance(name, str) else ""
