"""OpenAI's Chat Completions API: https://platform.openai.com/docs/api-reference/chat.

In: request bodies; recorded and scripted answers. Out: what `provider.Provider` asks for.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from shipway.replay.apis import sse
from shipway.replay.apis.body import at, kept, keys, objects, text
from shipway.replay.apis.body import model as model
from shipway.replay.apis.body import place as place
from shipway.replay.apis.body import streams as streams
from shipway.replay.apis.openai import UNMATCHED, status
from shipway.replay.apis.openai import error as error
from shipway.replay.apis.openai import headers as headers
from shipway.replay.apis.provider import (
    Call,
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

_TEXTS = ("reasoning_content", "reasoning", "content", "refusal")
"""What of a message comes in pieces; the first two only from compatible servers."""

_ONCE = frozenset({"id", "type", "name", "role"})
"""Texts that come whole. Some servers repeat them, so they are never put together."""


def owns(path: str) -> bool:
    return path.endswith("/chat/completions")


def error_event(status: int, message: str) -> str:
    return sse.frame(error(status, message))


# -- Requests ------------------------------------------------------------------------------------------------


def canonical(body: Any) -> Any:
    if not isinstance(body, dict):
        return canon.settle(body)
    ids = canon.Ids()
    rest = kept(body, UNMATCHED)
    if isinstance(body.get("messages"), list):
        rest["messages"] = [_message(message, ids) for message in body["messages"]]
    return ids.quoted(rest)


def _message(message: Any, ids: canon.Ids) -> Any:
    settled = canon.settle(message)
    if not isinstance(message, dict):
        return settled
    for call in objects(settled.get("tool_calls")):
        call["id"] = ids.rename(str(call.get("id")))
    if "tool_call_id" in message:
        settled["tool_call_id"] = ids.rename(str(message["tool_call_id"]))
        settled["content"] = canon.settle_result(message.get("content"))
    return settled


def tools(body: Any) -> frozenset[str]:
    choice = at(body, "tool_choice")
    if choice == "none":
        return frozenset()
    if name := _name(choice):
        return frozenset({name})
    allowed = at(choice, "allowed_tools", "tools") or at(body, "tools")
    return frozenset(_name(tool) for tool in objects(allowed))


def _name(tool: Any) -> str:
    return str(at(tool, "function", "name") or at(tool, "custom", "name") or "")


def demands(body: Any) -> Demands:
    choice, asked = at(body, "tool_choice"), at(body, "response_format")
    called = choice == "required" or bool(_name(choice)) or at(choice, "allowed_tools", "mode") == "required"
    json = at(asked, "type") in ("json_object", "json_schema")
    return Demands(called, json, keys(at(asked, "json_schema", "schema")))


def last_message(body: Any) -> LastMessage | None:
    messages = at(body, "messages")
    if not isinstance(messages, list):
        return None
    messages = objects(messages)
    calls = itertools.chain.from_iterable(objects(message.get("tool_calls")) for message in messages)
    names = {str(call.get("id")): _name(call) for call in calls}
    latest = itertools.takewhile(lambda message: message.get("role") == "tool", reversed(messages))
    results = [(names.get(str(m.get("tool_call_id")), ""), text(m.get("content"))) for m in latest]
    asked = next((message for message in reversed(messages) if message.get("role") == "user"), None)
    return LastMessage(text(at(asked, "content")), by_tool(reversed(results)))


# -- Answers that nobody recorded ----------------------------------------------------------------------------


def count(request: Request) -> Any | None:
    return None


def synthesise(request: Request, say: str, calls: Sequence[Call]) -> Any:
    asked = canon.text(canonical(request.body))
    seed = canon.digest(asked, say)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": say or None,
        "refusal": None,
        "annotations": [],
    }
    if calls:
        message["tool_calls"] = [_called_for(seed, number, call) for number, call in enumerate(calls)]
    reason = "tool_calls" if calls else "stop"
    sent, written = canon.count(asked), canon.count(canon.text(message))
    return {
        "id": f"chatcmpl-{seed[:24]}",
        "object": "chat.completion",
        "created": 0,
        "model": model(request),
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
        "usage": {
            "prompt_tokens": sent,
            "completion_tokens": written,
            "total_tokens": sent + written,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
        "service_tier": "default",
    }


def finish(answer: Any, stop: str, usage: Mapping[str, int]) -> Any:
    (choice,) = answer["choices"]
    if stop == "max_tokens":
        choice = choice | {"finish_reason": "length"}
    elif stop == "refusal":
        message = choice["message"]
        choice = choice | {"message": message | {"content": None, "refusal": message["content"]}}
    names = {"input": "prompt_tokens", "output": "completion_tokens"}
    told = answer["usage"] | {names[side]: tokens for side, tokens in usage.items()}
    told["total_tokens"] = told["prompt_tokens"] + told["completion_tokens"]
    return answer | {"choices": [choice], "usage": told}


def _called_for(seed: str, number: int, call: Call) -> dict[str, Any]:
    function = {"name": call.tool, "arguments": canon.text(call.input)}
    return {"id": f"call_{canon.digest(seed, str(number))[:24]}", "type": "function", "function": function}


# -- A completion and its stream -----------------------------------------------------------------------------


def to_events(answer: Any, request: Request) -> Events:
    frames = [sse.frame(chunk) for chunk in _chunks(answer, request.body)]
    return sse.paced([*frames, f"data: {sse.DONE}\n\n"])


def _chunks(answer: dict[str, Any], asked: Any) -> Iterator[dict[str, Any]]:
    """Usage is streamed when it was asked for, as null until the last chunk, which has nothing else."""
    wanted = at(asked, "stream_options", "include_usage") is True and "usage" in answer
    base = {key: value for key, value in answer.items() if key not in ("choices", "usage")}
    base |= {"object": "chat.completion.chunk"} | ({"usage": None} if wanted else {})
    for choice in answer["choices"]:
        yield from (base | {"choices": [part]} for part in _parts(choice))
    if wanted:
        yield base | {"choices": [], "usage": answer["usage"]}


def _parts(choice: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A choice in chunks: log probabilities come with the first, the reason for its end with the last."""
    shell = {"index": choice["index"], "logprobs": None, "finish_reason": None}
    first, *rest = _deltas(choice["message"])
    yield shell | {"delta": first, "logprobs": choice.get("logprobs")}
    yield from (shell | {"delta": delta} for delta in rest)
    last = {key: value for key, value in choice.items() if key not in ("message", "logprobs")}
    yield shell | last | {"delta": {}}


def _deltas(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    texts = {key: message[key] for key in _TEXTS if isinstance(message.get(key), str)}
    calls = message.get("tool_calls") or []
    yield {k: v for k, v in message.items() if k != "tool_calls" or not calls} | dict.fromkeys(texts, "")
    for key, whole in texts.items():
        yield from ({key: piece} for piece in sse.pieces(whole))
    for index, call in enumerate(calls):
        for delta in _call_deltas(call):
            yield {"tool_calls": [{"index": index, **delta}]}


def _call_deltas(call: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A call of a function or a custom tool, and then its input."""
    kind, key = ("custom", "input") if "custom" in call else ("function", "arguments")
    yield call | {kind: call[kind] | {key: ""}}
    yield from ({kind: {key: cut}} for cut in sse.portions(call[kind][key]))


def to_body(events: Events) -> Any:
    answer: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    for chunk in sse.values(events):
        if chunk.get("error"):
            raise ErrorEventError(status(chunk["error"]), {"error": chunk["error"]})
        told = {k: v for k, v in chunk.items() if k not in ("choices", "obfuscation")}
        answer |= {k: v for k, v in told.items() if v not in (None, "") or k not in answer}
        for part in chunk.get("choices") or ():
            _add(choices.setdefault(part["index"], {"message": {}, "logprobs": None}), part)
    if not choices or not all(choice.get("finish_reason") for choice in choices.values()):
        raise UnfinishedError("finish_reason")
    for call in itertools.chain.from_iterable(c["message"].get("tool_calls") or () for c in choices.values()):
        call.pop("index", None)
    if answer.get("usage", 0) is None:
        del answer["usage"]
    return answer | {"object": "chat.completion", "choices": [choices[index] for index in sorted(choices)]}


def _add(choice: dict[str, Any], part: dict[str, Any]) -> None:
    choice["message"] = _merged(choice["message"], part.get("delta") or {})
    if part.get("logprobs"):
        choice["logprobs"] = _merged(choice["logprobs"] or {}, part["logprobs"])
    told = {key: value for key, value in part.items() if key not in ("delta", "logprobs")}
    choice |= {key: value for key, value in told.items() if value is not None or key not in choice}


def _merged(whole: dict[str, Any], delta: dict[str, Any]) -> dict[str, Any]:
    return whole | {key: _joined(key, whole.get(key), value) for key, value in delta.items()}


def _joined(key: str, old: Any, new: Any) -> Any:
    """Texts and lists grow, objects too; entries with an index join their own; the rest is replaced."""
    match old, new:
        case _, list() if any("index" in entry for entry in objects(new)):
            return _by_index([*objects(old), *objects(new)])
        case None, _:
            return new
        case _, None | "":
            return old
        case dict(), dict():
            return _merged(old, new)
        case list(), list():
            return [*old, *new]
        case str(), str() if key not in _ONCE:
            return old + new
    return new


def _by_index(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    whole: dict[Any, dict[str, Any]] = {}
    for entry in entries:
        whole[entry.get("index")] = _merged(whole.get(entry.get("index"), {}), entry)
    return list(whole.values())
