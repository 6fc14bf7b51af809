"""Where a request keeps its parts, under the names that the providers give them.

In: the steps of a path into a body, or a body. Out: which part that is. Only words and scripts depend on it:
what makes two requests the same is the provider's (apis/).
"""

from __future__ import annotations

from typing import Any

CONVERSATION = ("messages", "input", "contents")
PROMPT = ("system", "instructions", "systemInstruction", "system_instruction")
_PROMPT_ROLES = ("system", "developer")


def rank(part: str) -> int:
    """The part's place among the causes of a difference: what is the same in every turn comes first."""
    if part in CONVERSATION:
        return 4
    return 0 if part == "model" else 1 if part in PROMPT else 2 if part == "tools" else 3


def conversation(body: Any) -> tuple[str, list[Any]] | None:
    """The name and the items of the conversation; None where it is not a list."""
    if not isinstance(body, dict):
        return None
    return next(((name, body[name]) for name in CONVERSATION if isinstance(body.get(name), list)), None)


def role(item: Any) -> str:
    """Who speaks in an item of a conversation: system, user, model or tool."""
    if not isinstance(item, dict):
        return "user"
    kind = str(item.get("type", ""))
    if item.get("role") == "tool" or kind.endswith("_call_output") or _holds_result(item):
        return "tool"
    if item.get("role") in _PROMPT_ROLES:
        return "system"
    return "user" if item.get("role") == "user" or not (kind or "role" in item) else "model"


def _holds_result(item: dict[str, Any]) -> bool:
    content = item.get("content", item.get("parts"))
    blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    return any(
        str(block.get("type", "")).endswith("tool_result")
        or "functionResponse" in block
        or "function_response" in block
        for block in blocks
    )


def prompt(body: Any) -> str:
    """The text of the system prompt, wherever the provider keeps it; empty where there is none."""
    if not isinstance(body, dict):
        return ""
    own = [_text(body[name]) for name in PROMPT if name in body]
    found = conversation(body)
    items = [_text(item.get("content")) for item in (found[1] if found else ()) if role(item) == "system"]
    return "\n".join(filter(None, own + items))


def said(item: Any) -> str:
    """The text of an item of a conversation."""
    return _text(item.get("content", item.get("parts"))) if isinstance(item, dict) else _text(item)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(filter(None, map(_text, value)))
    if isinstance(value, dict):
        return _text(value.get("text", value.get("parts")))
    return ""


def tool_name(tool: Any) -> str:
    """The name of a tool's definition; empty where it has none."""
    if not isinstance(tool, dict):
        return ""
    function = tool.get("function")
    return str(tool.get("name") or (function.get("name") if isinstance(function, dict) else "") or "")
