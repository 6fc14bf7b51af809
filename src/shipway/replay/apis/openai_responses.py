"""OpenAI's Responses API: https://platform.openai.com/docs/api-reference/responses and its streaming events.

In: request bodies; recorded and scripted answers. Out: what `provider.Provider` asks for.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

from shipway.replay.apis import openai, sse
from shipway.replay.apis.body import at, kept, keys, objects, text
from shipway.replay.apis.body import model as model
from shipway.replay.apis.body import place as place
from shipway.replay.apis.body import streams as streams
from shipway.replay.apis.openai import error as error
from shipway.replay.apis.openai import headers as headers
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

_CALL_ID = re.compile(r"call_[0-9a-f]{24}_(.+)")
_IDS = ("id", "call_id", "approval_request_id", "container_id")
_OF_SERVERS = ("authorization", "headers")  # how a server that is a tool is reached

_INPUTS = {
    "function_call": ("response.function_call_arguments", "arguments"),
    "mcp_call": ("response.mcp_call_arguments", "arguments"),
    "custom_tool_call": ("response.custom_tool_call_input", "input"),
    "code_interpreter_call": ("response.code_interpreter_call_code", "code"),
}
"""Items whose input comes in pieces: the events' name, and where the whole is."""

_EMPTY: dict[str, dict[str, Any]] = {
    "message": {"content": []},
    "reasoning": {"summary": []},
    "image_generation_call": {"result": None},
    "file_search_call": {"queries": [], "results": None},
    "mcp_call": {"output": None},
    "mcp_list_tools": {"tools": []},
}
"""What else items have not yet, before their first event."""

_STAGES = {
    "web_search_call": ("in_progress", "searching", "completed"),
    "file_search_call": ("in_progress", "searching", "completed"),
    "code_interpreter_call": ("in_progress", "interpreting", "completed"),
    "image_generation_call": ("in_progress", "generating", "completed"),
    "mcp_call": ("in_progress", "completed"),
    "mcp_list_tools": ("in_progress", "completed"),
}
"""Items of built-in tools: what is told of them, the first before their input and the others after it."""


def owns(path: str) -> bool:
    return path.endswith("/responses") or "/responses/" in path


def error_event(status: int, message: str) -> str:
    """As the API sends it. Its reference has `code` and `message` beside `type` (openai-dotnet#881)."""
    return sse.frame({"type": "error", "sequence_number": 0} | error(status, message), "error")


# -- Requests ------------------------------------------------------------------------------------------------


def canonical(body: Any) -> Any:
    if not isinstance(body, dict):
        return canon.settle(body)
    ids = canon.Ids()
    rest = kept(body, openai.UNMATCHED, of_tools=_OF_SERVERS)
    for key in ("previous_response_id", "conversation"):
        if isinstance(body.get(key), str):
            rest[key] = ids.rename(body[key])
    if id_ := at(body, "conversation", "id"):
        rest["conversation"]["id"] = ids.rename(str(id_))
    if isinstance(body.get("input"), list):
        rest["input"] = [_item(item, ids) for item in body["input"]]
    return ids.quoted(rest)


def _item(item: Any, ids: canon.Ids) -> Any:
    settled = canon.settle(item)
    if not isinstance(item, dict):
        return settled
    for key in _IDS:
        if isinstance(item.get(key), str):
            settled[key] = ids.rename(item[key])
    if _is_output(item):
        settled["output"] = canon.settle_result(item.get("output"))
    return settled


def _is_output(item: dict[str, Any]) -> bool:
    return str(item.get("type")).endswith("_call_output")


def tools(body: Any) -> frozenset[str]:
    choice = at(body, "tool_choice")
    if choice == "none":
        return frozenset()
    if at(choice, "type") == "function":
        return frozenset({_name(choice)})
    return frozenset(_name(tool) for tool in objects(at(choice, "tools") or at(body, "tools")))


def _name(tool: Any) -> str:
    return str(at(tool, "name") or at(tool, "type") or "")


def demands(body: Any) -> Demands:
    choice, asked = at(body, "tool_choice"), at(body, "text", "format")
    called = choice == "required" or at(choice, "mode") == "required" or at(choice, "type") == "function"
    return Demands(called, at(asked, "type") in ("json_object", "json_schema"), keys(at(asked, "schema")))


def last_message(body: Any) -> LastMessage | None:
    asked = at(body, "input")
    if isinstance(asked, str):
        return LastMessage(asked)
    if not isinstance(asked, list):
        return None
    items = objects(asked)
    names = {str(item.get("call_id")): str(item.get("name")) for item in items if not _is_output(item)}
    latest = itertools.takewhile(_is_output, reversed(items))
    results = [(_called(names, str(item.get("call_id"))), text(item.get("output"))) for item in latest]
    question = next((item for item in reversed(items) if item.get("role") == "user"), None)
    return LastMessage(text(at(question, "content")), by_tool(reversed(results)))


def _called(names: dict[str, str], call_id: str) -> str:
    """The function of a call. After previous_response_id only its id comes back: ours have the name in it."""
    found = _CALL_ID.fullmatch(call_id)
    return names.get(call_id) or (found[1] if found else "")


# -- Answers that nobody recorded ----------------------------------------------------------------------------


def count(request: Request) -> Any | None:
    if not request.path.endswith("/responses/input_tokens"):
        return None
    asked = canon.text(canonical(request.body))
    return {"object": "response.input_tokens", "input_tokens": canon.count(asked)}


def synthesise(request: Request, say: str, calls: Sequence[Call]) -> Any:
    body = request.body
    asked = canon.text(canonical(body))
    seed = canon.digest(asked, say)
    output = [_said(seed, say)] if say else []
    output += [_called_for(canon.digest(seed, str(number)), call) for number, call in enumerate(calls)]
    sent, written = canon.count(asked), canon.count(canon.text(output))
    usage = {
        "input_tokens": sent,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": sent + written,
    }
    echoed = (
        "instructions",
        "max_output_tokens",
        "previous_response_id",
        "temperature",
        "top_p",
        "reasoning",
    )
    return {
        "id": f"resp_{seed[:32]}",
        "object": "response",
        "created_at": 0,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        **{key: body.get(key) for key in echoed},
        "metadata": body.get("metadata") or {},
        "model": model(request),
        "output": output,
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "usage": usage,
    }


def finish(answer: Any, stop: str, usage: Mapping[str, int]) -> Any:
    told = answer["usage"] | {f"{side}_tokens": tokens for side, tokens in usage.items()}
    answer = answer | {"usage": told | {"total_tokens": told["input_tokens"] + told["output_tokens"]}}
    if stop == "max_tokens":
        return answer | {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    if stop == "refusal":
        (message,) = answer["output"]
        refused = {"type": "refusal", "refusal": message["content"][0]["text"]}
        return answer | {"output": [message | {"content": [refused]}]}
    return answer


def _said(seed: str, say: str) -> dict[str, Any]:
    content = {"type": "output_text", "text": say, "annotations": [], "logprobs": []}
    message = {"id": f"msg_{seed[:32]}", "type": "message", "status": "completed", "role": "assistant"}
    return message | {"content": [content]}


def _called_for(seed: str, call: Call) -> dict[str, Any]:
    return {
        "id": f"fc_{seed[:32]}",
        "type": "function_call",
        "status": "completed",
        "call_id": f"call_{seed[32:56]}_{call.tool}",
        "name": call.tool,
        "arguments": canon.text(call.input),
    }


# -- A response and its stream -------------------------------------------------------------------------------


def to_events(answer: Any, request: Request) -> Events:
    if answer["status"] not in ("completed", "incomplete", "failed"):
        raise ConversionError(f"a response that is {answer['status']} has no end to stream")
    events = (event | {"sequence_number": number} for number, event in enumerate(_stream(answer)))
    return sse.paced(sse.frame(event, event["type"]) for event in events)


def _stream(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    begun = answer | {"status": "in_progress", "output": [], "usage": None}
    begun |= {"error": None, "incomplete_details": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(answer["output"]):
        yield {"type": "response.output_item.added", "output_index": index, "item": _begun(item)}
        for event in _item_events(item):
            yield event | {"output_index": index, "item_id": item.get("id")}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": f"response.{answer['status']}", "response": answer}


def _begun(item: dict[str, Any]) -> dict[str, Any]:
    """An item before its first event; one that no event completes comes whole."""
    kind = item["type"]
    empty = _EMPTY.get(kind, {}) | ({_INPUTS[kind][1]: ""} if kind in _INPUTS else {})
    return item | empty | ({"status": "in_progress"} if "status" in item else {})


def _item_events(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    kind = item["type"]
    first, *later = [f"response.{kind}.{stage}" for stage in _stages(item)] or [""]
    if first:
        yield {"type": first}
    if kind in _INPUTS:
        yield from _input_events(item)
    for index, part in enumerate(objects(item.get("summary"))):
        yield from ({"summary_index": index, **event} for event in _summary_events(part))
    for index, part in enumerate(objects(item.get("content"))):
        yield from ({"content_index": index, **event} for event in _part_events(part))
    yield from ({"type": name} for name in later)


def _stages(item: dict[str, Any]) -> tuple[str, ...]:
    stages = _STAGES.get(item["type"], ())
    return (*stages[:-1], "failed") if stages and item.get("error") else stages


def _input_events(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    name, key = _INPUTS[item["type"]]
    written = item[key] or ""
    yield from ({"type": f"{name}.delta", "delta": cut} for cut in sse.portions(written))
    yield {"type": f"{name}.done", key: written}


def _summary_events(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    name = "response.reasoning_summary"
    yield {"type": f"{name}_part.added", "part": part | {"text": ""}}
    yield from ({"type": f"{name}_text.delta", "delta": piece} for piece in sse.pieces(part["text"]))
    yield {"type": f"{name}_text.done", "text": part["text"]}
    yield {"type": f"{name}_part.done", "part": part}


def _part_events(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A part of a message: `output_text`, `refusal`; or of reasoning: `reasoning_text`."""
    name = f"response.{part['type']}"
    key = "refusal" if part["type"] == "refusal" else "text"
    likely = {"logprobs": part.get("logprobs") or []} if part["type"] == "output_text" else {}
    noted = part.get("annotations") or []
    begun = part | {key: ""} | ({"annotations": []} if noted else {})
    yield {"type": "response.content_part.added", "part": begun}
    for piece in sse.pieces(part[key]):
        yield {"type": f"{name}.delta", "delta": piece} | ({"logprobs": []} if likely else {})
    for index, note in enumerate(noted):
        yield {"type": f"{name}.annotation.added", "annotation_index": index, "annotation": note}
    yield {"type": f"{name}.done", key: part[key]} | likely
    yield {"type": "response.content_part.done", "part": part}


def to_body(events: Events) -> Any:
    items: dict[int, Any] = {}
    for event in sse.values(events):
        match event["type"]:
            case "response.output_item.done":
                items[event["output_index"]] = event["item"]
            case "response.completed" | "response.incomplete":
                response = event["response"]
                told = response.get("output") or [items[index] for index in sorted(items)]
                return response | {"output": told}
            case "response.failed":
                raise _error(event["response"]["error"] or {})
            case "error":
                raise _error(event.get("error") or event)
    raise UnfinishedError("response.completed")


def _error(told: dict[str, Any]) -> ErrorEventError:
    """A stream tells less of an error than an answer does."""
    status = openai.status(told)
    whole = error(status, "")["error"]
    whole |= {key: value for key, value in told.items() if key in whole and value not in (None, "error")}
    return ErrorEventError(status, {"error": whole})
