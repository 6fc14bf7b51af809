"""OpenAI's Chat Completions API: https://platform.openai.com/docs/api-reference/chat.

In: request bodies; scripted answers, and recorded ones in the form they were recorded in. Out: what
`provider.Provider` asks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shipway.replay.apis import sse
from shipway.replay.apis.openai import UNMATCHED, text
from shipway.replay.apis.openai import error as error
from shipway.replay.apis.openai import place as place
from shipway.replay.apis.openai import streams as streams
from shipway.replay.apis.provider import Call, ConversionError, Events, LastMessage
from shipway.replay.matching import canonical as canon

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shipway.replay.exchange import Request


def owns(path: str) -> bool:
    return path.endswith("/chat/completions")


def error_event(status: int, message: str) -> str:
    return sse.frame(error(status, message))


# -- Requests ------------------------------------------------------------------------------------------------


def canonical(body: Any) -> Any:
    if not isinstance(body, dict):
        return canon.settle(body)
    kept = {key: canon.settle(value) for key, value in body.items() if key not in UNMATCHED}
    if isinstance(body.get("tools"), list):
        kept["tools"] = sorted(kept["tools"], key=canon.text)
    if isinstance(body.get("messages"), list):
        ids = canon.Ids()
        kept["messages"] = [_message(message, ids) for message in body["messages"]]
    return kept


def _message(message: Any, ids: canon.Ids) -> Any:
    settled = canon.settle(message)
    if not isinstance(message, dict):
        return settled
    for call in settled.get("tool_calls") or ():
        call["id"] = ids.rename(str(call.get("id")))
    if "tool_call_id" in message:
        settled["tool_call_id"] = ids.rename(str(message["tool_call_id"]))
        settled["content"] = canon.settle_result(message.get("content"))
    return settled


def tools(body: Any) -> frozenset[str]:
    offered = (tool.get("function") or {} for tool in body.get("tools") or ())
    return frozenset(str(function.get("name", "")) for function in offered)


def last_message(body: Any) -> LastMessage | None:
    messages = body.get("messages") if isinstance(body, dict) else None
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        return None
    names = {
        call.get("id"): call["function"]["name"]
        for message in messages
        for call in message.get("tool_calls") or ()
        if "function" in call
    }
    results = {names.get(m.get("tool_call_id"), ""): text(m.get("content")) for m in _results(messages)}
    asked: dict[str, Any] = next((m for m in reversed(messages) if m.get("role") == "user"), {})
    return LastMessage(text(asked.get("content")), results)


def _results(messages: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The tool messages at the end."""
    for message in reversed(messages):
        if message.get("role") != "tool":
            return
        yield message


# -- Answers that nobody recorded ----------------------------------------------------------------------------


def synthesise(request: Request, say: str, calls: Sequence[Call]) -> Any:
    body = request.body
    asked = canon.text(canonical(body))
    seed = canon.digest(asked, say)
    message: dict[str, Any] = {"role": "assistant", "content": say or None, "refusal": None}
    if calls:
        message["tool_calls"] = [_called_for(seed, number, call) for number, call in enumerate(calls)]
    reason = "tool_calls" if calls else "stop"
    sent, written = canon.count(asked), canon.count(canon.text(message))
    return {
        "id": f"chatcmpl-{seed[:24]}",
        "object": "chat.completion",
        "created": 0,
        "model": body.get("model", ""),
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
        "usage": {"prompt_tokens": sent, "completion_tokens": written, "total_tokens": sent + written},
    }


def _called_for(seed: str, number: int, call: Call) -> dict[str, Any]:
    function = {"name": call.tool, "arguments": canon.text(call.input)}
    return {"id": f"call_{canon.digest(seed, str(number))[:24]}", "type": "function", "function": function}


def to_events(answer: Any, request: Request) -> Events:
    if len(answer["choices"]) != 1:
        raise ConversionError(f"expected one choice, saw {len(answer['choices'])}")
    frames = [sse.frame(chunk) for chunk in _chunks(answer, request.body)]
    return sse.paced([*frames, "data: [DONE]\n\n"])


def _chunks(answer: dict[str, Any], asked: Any) -> Iterator[dict[str, Any]]:
    choice = answer["choices"][0]
    message = choice["message"]
    usage = answer.get("usage")
    wanted = bool(usage and (asked.get("stream_options") or {}).get("include_usage"))
    base = {key: value for key, value in answer.items() if key not in ("choices", "usage")}
    base |= {"object": "chat.completion.chunk"} | ({"usage": None} if wanted else {})

    def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        return base | {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]}

    yield chunk({"role": "assistant", "content": message.get("content") and "", "refusal": None})
    for piece in sse.pieces(message.get("content") or ""):
        yield chunk({"content": piece})
    for index, call in enumerate(message.get("tool_calls") or ()):
        start = call | {"index": index, "function": call["function"] | {"arguments": ""}}
        yield chunk({"tool_calls": [start]})
        for piece in sse.pieces(call["function"]["arguments"]):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield chunk({}, choice["finish_reason"])
    if wanted:
        yield base | {"choices": [], "usage": usage}


def to_body(events: Events) -> Any:
    raise ConversionError("a recorded Chat Completions stream cannot be put together yet")
