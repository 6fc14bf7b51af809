"""Anthropic's Messages API: https://platform.claude.com/docs/en/api/messages and its streaming events.

In: request bodies; recorded and scripted answers. Out: what `provider.Provider` asks for.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

from shipway.replay.apis import sse
from shipway.replay.apis.provider import Call, ConversionError, ErrorEventError, Events, LastMessage
from shipway.replay.matching import canonical as canon

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from shipway.replay.exchange import Request

_UNMATCHED = ("stream", "metadata")  # how the answer is sent, and who asked: neither changes what is answered
_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_KINDS = {status: kind for kind, status in _STATUS.items()}


def owns(path: str) -> bool:
    return path.startswith("/v1/messages")


def place(path: str) -> str:
    return path


def streams(request: Request) -> bool:
    return isinstance(request.body, dict) and request.body.get("stream") is True


def error(status: int, message: str) -> Any:
    kind = _KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message}}


def error_event(status: int, message: str) -> str:
    return sse.frame(error(status, message), "error")


# -- Requests ------------------------------------------------------------------------------------------------


def canonical(body: Any) -> Any:
    if not isinstance(body, dict):
        return canon.settle(body)
    kept = {key: canon.settle(value) for key, value in body.items() if key not in _UNMATCHED}
    if isinstance(body.get("tools"), list):
        kept["tools"] = sorted(kept["tools"], key=lambda tool: (_name(tool), canon.text(tool)))
    if isinstance(body.get("messages"), list):
        ids = canon.Ids()
        kept["messages"] = [_message(message, ids) for message in body["messages"]]
    return kept


def _message(message: Any, ids: canon.Ids) -> Any:
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        return canon.settle(message)
    return canon.settle(message) | {"content": [_block(block, ids) for block in message["content"]]}


def _block(block: Any, ids: canon.Ids) -> Any:
    settled = canon.settle(block)
    if not isinstance(block, dict):
        return settled
    for key in ("id", "tool_use_id"):
        if isinstance(block.get(key), str):
            settled[key] = ids.rename(block[key])
    if "tool_use_id" in block and "content" in block:
        settled["content"] = canon.settle_result(block["content"])
    return settled


def tools(body: Any) -> frozenset[str]:
    return frozenset(_name(tool) for tool in body.get("tools") or ())


def _name(tool: Any) -> str:
    return str(tool.get("name", "")) if isinstance(tool, dict) else ""


def last_message(body: Any) -> LastMessage | None:
    if not isinstance(body, dict) or "max_tokens" not in body:  # count_tokens has none
        return None
    messages = [message for message in body.get("messages") or () if isinstance(message, dict)]
    asked = next((message for message in reversed(messages) if message.get("role") == "user"), None)
    if asked is None:
        return None
    names = {block.get("id"): str(block.get("name")) for block in _blocks(messages, "tool_use")}
    results = {
        names.get(block.get("tool_use_id"), ""): _text(block.get("content"))
        for block in _blocks([asked], "tool_result")
    }
    return LastMessage(_text(asked.get("content")), results)


def _blocks(messages: Iterable[dict[str, Any]], kind: str) -> Iterator[dict[str, Any]]:
    for message in messages:
        if isinstance(content := message.get("content"), list):
            yield from (block for block in content if isinstance(block, dict) and block.get("type") == kind)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    texts = (block.get("text") for block in content or () if isinstance(block, dict))
    return "\n".join(text for text in texts if isinstance(text, str))


# -- Answers that nobody recorded ----------------------------------------------------------------------------


def synthesise(request: Request, say: str, calls: Sequence[Call]) -> Any:
    asked = canon.text(canonical(request.body))
    seed = canon.digest(asked, say)
    content: list[dict[str, Any]] = [{"type": "text", "text": say}] if say else []
    for number, call in enumerate(calls):
        id_ = f"toolu_{canon.digest(seed, str(number))[:24]}"
        content.append({"type": "tool_use", "id": id_, "name": call.tool, "input": call.input})
    usage = {"input_tokens": canon.count(asked), "output_tokens": canon.count(canon.text(content))}
    return {
        "id": f"msg_{seed[:24]}",
        "type": "message",
        "role": "assistant",
        "model": request.body.get("model", ""),
        "content": content,
        "stop_reason": "tool_use" if calls else "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }


# -- A message and its stream --------------------------------------------------------------------------------


def to_events(answer: Any, request: Request) -> Events:
    usage = answer.get("usage") or {}
    late = {
        key: answer[key]
        for key in ("stop_reason", "stop_sequence", "stop_details", "container")
        if key in answer
    }
    start = answer | dict.fromkeys(late) | {"content": [], "usage": usage | {"output_tokens": 1}}
    events = [
        {"type": "message_start", "message": start},
        *itertools.chain.from_iterable(_block_events(i, block) for i, block in enumerate(answer["content"])),
        {"type": "message_delta", "delta": late, "usage": {"output_tokens": usage.get("output_tokens", 1)}},
        {"type": "message_stop"},
    ]
    return sse.paced(sse.frame(event, event["type"]) for event in events)


def _block_events(index: int, block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    shell, deltas = _open_block(block)
    yield {"type": "content_block_start", "index": index, "content_block": shell}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def _open_block(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The block as it starts, and the deltas that complete it. Blocks of other types start complete."""
    if block["type"] == "text":
        deltas = [{"type": "text_delta", "text": piece} for piece in sse.pieces(block["text"])]
        cited = block.get("citations") or []
        deltas += [{"type": "citations_delta", "citation": citation} for citation in cited]
        return block | {"text": ""} | ({"citations": []} if cited else {}), deltas
    if block["type"] == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": block["thinking"]}]
        deltas += [{"type": "signature_delta", "signature": block.get("signature", "")}]
        return block | {"thinking": "", "signature": ""}, deltas
    if isinstance(block.get("input"), dict):
        written = json.dumps(block["input"], ensure_ascii=False)
        pieces = [written[i : i + 24] for i in range(0, len(written), 24)]
        return block | {"input": {}}, [
            {"type": "input_json_delta", "partial_json": piece} for piece in pieces
        ]
    return block, []


def to_body(events: Events) -> Any:
    message: dict[str, Any] = {}
    inputs: dict[int, str] = {}
    for event in sse.values(events):
        match event["type"]:
            case "message_start":
                message = event["message"] | {"content": []}
            case "content_block_start":
                message["content"].append(dict(event["content_block"]))
            case "content_block_delta":
                _apply(message["content"][event["index"]], event["delta"], event["index"], inputs)
            case "message_delta":
                message |= event["delta"]
                told = {key: value for key, value in event.get("usage", {}).items() if value is not None}
                message["usage"] = message.get("usage", {}) | told
            case "error":
                raise ErrorEventError(_STATUS.get(event["error"]["type"], 500), event)
            case "message_stop":
                for index, written in inputs.items():
                    message["content"][index]["input"] = json.loads(written or "{}")
                return message
    raise ConversionError("the recorded stream ends without message_stop")


def _apply(block: dict[str, Any], delta: dict[str, Any], index: int, inputs: dict[int, str]) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
        case "input_json_delta":
            inputs[index] = inputs.get(index, "") + delta["partial_json"]
        case other:
            raise ConversionError(f"the recorded stream has a delta of the unknown type {other}")
