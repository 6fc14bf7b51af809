"""Anthropic's Messages API: https://platform.claude.com/docs/en/api/messages and its streaming events.

In: request bodies; recorded and scripted answers. Out: what `provider.Provider` asks for.
"""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any

from shipway.replay.apis import sse
from shipway.replay.apis.body import at, kept, keys, objects, text
from shipway.replay.apis.body import model as model
from shipway.replay.apis.body import place as place
from shipway.replay.apis.body import streams as streams
from shipway.replay.apis.provider import (
    Call,
    ConversionError,
    Demands,
    ErrorEventError,
    Events,
    LastMessage,
    UnfinishedError,
    by_tool,
)
from shipway.replay.matching import canonical as canon

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shipway.replay.exchange import Request

_UNMATCHED = frozenset(
    {"stream", "service_tier", "speed", "inference_geo", "cache_control", "diagnostics"}
    | {"metadata", "user_profile_id", "workspace_id", "billing_policy", "fallback_credit_token"}
)
"""How and where the answer is made and sent, and who asked: none of it changes what is answered."""

_PATH = re.compile(r"(?<!/)(?<!/v1)/v1/messages")
"""Compatible servers have it below a path of their own; a base URL with too much at its end has it twice."""
_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_KINDS = {status: kind for kind, status in _STATUS.items()}
_SUMMARY = ("content", "encrypted_content")  # what of a compaction block comes after its start
_LATE = ("stop_reason", "stop_sequence", "stop_details", "container")
"""What of a message its stream tells only at the end,"""
_LATE_USAGE = frozenset(
    {"input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens"}
    | {"output_tokens_details", "server_tool_use", "iterations", "fallback_credit"}
)
"""and what of its usage it tells again then."""


def owns(path: str) -> bool:
    return bool(_PATH.search(path))


def error(status: int, message: str) -> Any:
    kind = _KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")
    body = {"type": "error", "error": {"type": kind, "message": message}}
    return body | {"request_id": _request_id(body)}


def error_event(status: int, message: str) -> str:
    return sse.frame(error(status, message), "error")


def headers(answer: Any) -> dict[str, str]:
    return {"request-id": at(answer, "request_id") or _request_id(answer)}


def _request_id(answer: Any) -> str:
    return f"req_{canon.digest(canon.text(answer))[:24]}"


# -- Requests ------------------------------------------------------------------------------------------------


def canonical(body: Any) -> Any:
    if not isinstance(body, dict):
        return canon.settle(body)
    ids = canon.Ids()
    rest = kept(body, _UNMATCHED, of_tools=["cache_control"])
    for server in objects(rest.get("mcp_servers")):
        server.pop("authorization_token", None)
    if isinstance(rest.get("system"), list):
        rest["system"] = [_block(block, ids) for block in body["system"]]
    if isinstance(rest.get("messages"), list):
        rest["messages"] = [_message(message, ids) for message in body["messages"]]
    match rest.get("container"):
        case str() as id_:
            rest["container"] = ids.rename(id_)
        case {"id": str() as id_}:
            rest["container"]["id"] = ids.rename(id_)
    return ids.quoted(rest)


def _message(message: Any, ids: canon.Ids) -> Any:
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        return canon.settle(message)
    return canon.settle(message) | {"content": [_block(block, ids) for block in message["content"]]}


def _block(block: Any, ids: canon.Ids) -> Any:
    """A content block: ids are numbered, results settled as such; where the cache begins does not count."""
    settled = canon.settle(block)
    if not isinstance(block, dict):
        return settled
    settled.pop("cache_control", None)
    for key in ("id", "tool_use_id"):
        if isinstance(block.get(key), str):
            settled[key] = ids.rename(block[key])
    if "tool_use_id" in block and "content" in block:
        settled["content"] = canon.settle_result(block["content"])
        for part in objects(settled["content"]):
            part.pop("cache_control", None)
    return settled


def tools(body: Any) -> frozenset[str]:
    if at(body, "tool_choice", "type") == "none":
        return frozenset()
    if name := at(body, "tool_choice", "name"):
        return frozenset({str(name)})
    return frozenset(str(tool.get("name", "")) for tool in objects(at(body, "tools")))


def demands(body: Any) -> Demands:
    asked = at(body, "output_config", "format") or at(body, "output_format")
    called = at(body, "tool_choice", "type") in ("any", "tool")
    return Demands(called, at(asked, "type") == "json_schema", keys(at(asked, "schema")))


def last_message(body: Any) -> LastMessage | None:
    if at(body, "max_tokens") is None:  # not the conversation, but something beside it
        return None
    messages = objects(body.get("messages"))
    asked = next((message for message in reversed(messages) if message.get("role") == "user"), None)
    if asked is None:
        return None
    names = {str(block.get("id")): str(block.get("name")) for block in _blocks(messages, "tool_use")}
    results = (
        (names.get(str(block.get("tool_use_id")), ""), text(block.get("content")))
        for block in _blocks([asked], "tool_result")
    )
    return LastMessage(text(asked.get("content")), by_tool(results))


def _blocks(messages: list[dict[str, Any]], kind: str) -> Iterator[dict[str, Any]]:
    for message in messages:
        yield from (block for block in objects(message.get("content")) if block.get("type") == kind)


# -- Answers that nobody recorded ----------------------------------------------------------------------------


def count(request: Request) -> Any | None:
    if not request.path.endswith("/count_tokens"):
        return None
    return {"input_tokens": canon.count(canon.text(canonical(request.body)))}


def synthesise(request: Request, say: str, calls: Sequence[Call]) -> Any:
    asked = canon.text(canonical(request.body))
    seed = canon.digest(asked, say)
    content: list[dict[str, Any]] = [{"type": "text", "text": say}] if say else []
    for number, call in enumerate(calls):
        id_ = f"toolu_{canon.digest(seed, str(number))[:24]}"
        content.append({"type": "tool_use", "id": id_, "name": call.tool, "input": call.input})
    usage = {
        "input_tokens": canon.count(asked),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": canon.count(canon.text(content)),
        "service_tier": "standard",
    }
    return {
        "id": f"msg_{seed[:24]}",
        "type": "message",
        "role": "assistant",
        "model": model(request),
        "content": content,
        "stop_reason": "tool_use" if calls else "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "usage": usage,
    }


def finish(answer: Any, stop: str, usage: Mapping[str, int]) -> Any:
    told = {f"{side}_tokens": tokens for side, tokens in usage.items()}
    details = {"type": "refusal", "category": None, "explanation": None} if stop == "refusal" else None
    ended = {"stop_reason": stop or answer["stop_reason"], "stop_details": details}
    return answer | ended | {"usage": answer["usage"] | told}


# -- A message and its stream --------------------------------------------------------------------------------


def to_events(answer: Any, request: Request) -> Events:
    usage = answer.get("usage") or {}
    late = {key: answer[key] for key in _LATE if key in answer}
    start = answer | dict.fromkeys(late) | {"content": [], "usage": usage | {"output_tokens": 1}}
    told = {"output_tokens": 1} | {key: value for key, value in usage.items() if key in _LATE_USAGE}
    blocks = (_block_events(index, block) for index, block in enumerate(answer["content"]))
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        *itertools.chain.from_iterable(blocks),
        {"type": "message_delta", "delta": late, "usage": told},
        {"type": "message_stop"},
    ]
    events.insert(2, {"type": "ping"})  # they may come at any time, and come here
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
        cited = block.get("citations")
        deltas = [{"type": "text_delta", "text": piece} for piece in sse.pieces(block["text"])]
        deltas += [{"type": "citations_delta", "citation": citation} for citation in cited or ()]
        return block | {"text": ""} | ({"citations": []} if cited else {}), deltas
    if block["type"] == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in sse.pieces(block["thinking"])]
        deltas += [{"type": "signature_delta", "signature": block.get("signature", "")}]
        return block | {"thinking": "", "signature": ""}, deltas
    if block["type"] == "compaction":
        late: dict[str, Any] = {key: block[key] for key in _SUMMARY if key in block}
        return block | dict.fromkeys(late), [{"type": "compaction_delta", **late}]
    if isinstance(block.get("input"), dict):
        written = sse.portions(json.dumps(block["input"], ensure_ascii=False))
        return block | {"input": {}}, [{"type": "input_json_delta", "partial_json": cut} for cut in written]
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
                if event["content_block"]["type"] == "fallback":  # from here on another model answers
                    message["model"] = event["content_block"]["to"]["model"]
            case "content_block_delta":
                _apply(message["content"][event["index"]], event["delta"], event["index"], inputs)
            case "message_delta":
                _finish(message, event)
            case "error":
                raise ErrorEventError(_STATUS.get(event["error"]["type"], 500), event)
            case "message_stop":
                for index, written in inputs.items():
                    message["content"][index]["input"] = sse.load(written or "{}", "input of a tool")
                return message
    raise UnfinishedError("message_stop")


def _finish(message: dict[str, Any], event: dict[str, Any]) -> None:
    """Counts are totals and replace those of the start; what is null or left out was said there."""
    told = {key: value for key, value in event.items() if key not in ("type", "delta", "usage")}
    _tell(message, told | event["delta"])
    _tell(message.setdefault("usage", {}), event.get("usage") or {})


def _tell(target: dict[str, Any], told: dict[str, Any]) -> None:
    target |= {key: value for key, value in told.items() if value is not None or key not in target}


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
        case "compaction_delta":
            for key in _SUMMARY:
                if delta.get(key) is not None:
                    block[key] = (block.get(key) or "") + delta[key]
        case "input_json_delta":
            inputs[index] = inputs.get(index, "") + delta["partial_json"]
        case other:
            raise ConversionError(f"the recorded stream has a delta of the unknown type {other}")
