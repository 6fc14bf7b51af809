"""The `input` of a request: OpenAI's items, as the messages that an agent gets.

In: parsed JSON. Out: messages. Errors: ApiError 400 naming the item. Pure functions.

Clients send back what they were given, and what other models gave them. What an agent can go on from is text:
messages. Reasoning and tool calls of earlier turns are left out, for they belong to whoever made them; but an
input that ends with one is refused, because it asks for something that no agent here has asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, cast

from .errors import ApiError

if TYPE_CHECKING:
    from ..dialogue import Message

ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
TEXT_PARTS = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}
"""Type of a part -> the field that holds its text."""

LEFT_OUT = (
    *("reasoning", "compaction", "function_call", "function_call_output"),
    *("custom_tool_call", "custom_tool_call_output", "mcp_call", "mcp_list_tools", "mcp_approval_request"),
    *("mcp_approval_response", "web_search_call", "file_search_call", "code_interpreter_call"),
    *("computer_call", "computer_call_output", "image_generation_call", "local_shell_call"),
    *("local_shell_call_output", "shell_call", "shell_call_output", "apply_patch_call"),
    *("apply_patch_call_output", "tool_search_call", "tool_search_output"),
)
MAX_ITEMS = 5000


def messages(given: Any, param: str = "input") -> list[Message]:
    """The messages of a request."""
    if isinstance(given, str) and given:
        return [{"role": "user", "content": given}]
    if not isinstance(given, list) or not given:
        refuse(param, "a text or a list of messages, not empty", given)
    found = _read(given, param)
    if found[-1] is None:
        last = f"{param}[{len(given) - 1}]"
        seen = f"{last}: expected a message at the end, saw {_kind(given[-1])}"
        raise ApiError(400, f"{seen}; the agent runs its own tools", code="unsupported_item", param=last)
    return [message for message in found if message]


def items(given: Any, param: str) -> list[Message]:
    """The messages among items that are to be kept, whatever they end with."""
    if not isinstance(given, list):
        refuse(param, "a list of items", given)
    return [message for message in _read(given, param) if message]


def refuse(param: str, expected: str, seen: object) -> NoReturn:
    """Raise what says that `param` is of another kind than expected."""
    message = f"{param}: expected {expected}, saw {_shown(seen)}"
    raise ApiError(400, message, code="invalid_type", param=param)


def _shown(seen: object) -> str:
    """A value in few words, however large or deep it is."""
    if isinstance(seen, dict):
        names = ", ".join(str(name)[:20] for name in list(seen)[:5])
        return f"an object with {names or 'nothing'}"
    if isinstance(seen, list):
        return f"a list of {len(seen)}"
    shown = repr(seen[:60] if isinstance(seen, str) else seen)
    return "nothing" if seen is None else shown[:62]


def _read(given: list[Any], param: str) -> list[Message | None]:
    if len(given) > MAX_ITEMS:
        raise ApiError(400, f"{param}: {len(given)} items, at most {MAX_ITEMS} are read", param=param)
    return [_message(item, f"{param}[{index}]") for index, item in enumerate(given)]


def _message(item: Any, param: str) -> Message | None:
    if not isinstance(item, dict):
        refuse(param, "an item", item)
    kind = _kind(item)
    if kind in LEFT_OUT:
        return None
    if kind != "message":
        refuse(f"{param}.type", "message, or an item of an earlier response", item.get("type"))
    role = item.get("role")
    if not isinstance(role, str) or role not in ROLES:
        refuse(f"{param}.role", f"one of {', '.join(ROLES)}", role)
    return cast(
        "Message", {"role": ROLES[role], "content": _content(item.get("content"), f"{param}.content")}
    )


def _kind(item: dict[str, Any]) -> str:
    kind = item.get("type", "message")
    return kind if isinstance(kind, str) else ""


def _content(content: Any, param: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        refuse(param, "a text or a list of parts", content)
    return "".join(_text(part, f"{param}[{index}]") for index, part in enumerate(content))


def _text(part: Any, param: str) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    field = TEXT_PARTS.get(kind) if isinstance(kind, str) else None
    text = part.get(field) if field else None
    if isinstance(text, str):
        return text
    if isinstance(kind, str) and not field:
        seen = f"{param}: {kind[:40]} cannot be read, the agent gets text"
        message = f"{seen}; expected {' or '.join(TEXT_PARTS)}"
        raise ApiError(400, message, code="unsupported_content", param=param)
    refuse(param, "a part with a text", part)
