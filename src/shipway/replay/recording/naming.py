"""What a recording is about, for its name: `002-what-time-is-it-2.json` is the second step of turn 2.

In: a request. Out: what its user asked last, and whether the request goes on from there with a tool's result.
All four APIs keep a conversation as a list of messages; nothing else about them is known here.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shipway.replay.exchange import Request

_LISTS = ("messages", "input", "contents")
_LEFT_OUT = re.compile("['\u2019]|<secret[^>]*>")
_WORDS, _LETTERS = 6, 40  # of a slug


@dataclass(frozen=True, slots=True)
class Asked:
    """`texts` is all that the user said so far; `so_far` the conversation up to the last of it, as JSON.

    `step` counts the model's answers since then.
    """

    slug: str
    texts: tuple[str, ...] = ()
    so_far: str = ""
    step: int = 0


def asked(request: Request) -> Asked:
    """What the request is about; without a conversation, the end of its path."""
    items = _conversation(request.body)
    said = [(index, text) for index, item in enumerate(items) if (text := _said(item))]
    if not said:
        return Asked(_slug(request.path.rpartition("/")[2]) or "request")
    last, text = said[-1]
    step = sum(not _is_answer(after) and _is_answer(before) for before, after in pairwise(items[last:]))
    slug = _slug(text) or "request"
    return Asked(slug, tuple(text for _, text in said), json.dumps(items[: last + 1]), step)


def _conversation(body: Any) -> list[Any]:
    found: Any = next((body[key] for key in _LISTS if key in body), []) if isinstance(body, dict) else []
    if isinstance(found, str):
        return [{"role": "user", "content": found}]
    return found if isinstance(found, list) else []


def _said(item: Any) -> str:
    """What a user's message says, without results of tools: of several texts the last one."""
    if not isinstance(item, dict) or item.get("role", "user") != "user":
        return ""
    content = item.get("content", item.get("parts"))
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return texts[-1] if texts else ""


def _is_answer(item: Any) -> bool:
    """Whether an item is the model's: a message of its role or, in Responses, an item without one."""
    if not isinstance(item, dict):
        return False
    if "role" in item:
        return item["role"] in ("assistant", "model")
    return not str(item.get("type", "")).endswith("_output")


def _slug(text: str) -> str:
    """The first words, fit for a file name."""
    plain = unicodedata.normalize("NFKC", text).lower()
    words = re.findall(r"[^\W_]+", _LEFT_OUT.sub("", plain))
    return "-".join(words[:_WORDS])[:_LETTERS].strip("-")
