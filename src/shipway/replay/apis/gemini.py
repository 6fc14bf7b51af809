"""Gemini's generateContent: https://ai.google.dev/api/generate-content, and Vertex AI's in the same shape.

In: request bodies; recorded and scripted answers. Out: what `provider.Provider` asks for. A stream here is
one of server-sent events; gemini_framing.py has its other form.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from shipway.replay.apis import sse
from shipway.replay.apis.body import at, kept, keys, objects
from shipway.replay.apis.gemini_framing import STREAM, chunks
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

_PATH = re.compile(r"/(?P<model>(?:models|tunedModels|endpoints)/[^/:]+):(?P<verb>\w+)$")
_WHOLE = "generateContent"
_UNMATCHED = frozenset({"labels", "serviceTier"})  # who pays, and how: neither changes what is answered
_THEIRS = frozenset(
    {"args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema"}
    | {"partMetadata"}
)
"""Keys whose values have keys that the API did not name."""

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_TEXT = frozenset({"text", "thought"})  # the keys of a part that goes on in the next chunk


def owns(path: str) -> bool:
    return bool(_PATH.search(path)) or path.startswith("/v1beta/")


def place(path: str) -> str:
    """Without version, project and location: SDKs change the first, people the others."""
    if found := _PATH.search(path):
        verb = _WHOLE if found["verb"] == STREAM else found["verb"]
        return f"/{found['model']}:{verb}"
    return path


def streams(request: Request) -> bool:
    return request.path.endswith(f":{STREAM}")


def model(request: Request) -> str:
    found = _PATH.search(request.path)
    return found["model"].partition("/")[2] if found else ""


def error(status: int, message: str) -> Any:
    named = _STATUSES.get(status, "UNKNOWN" if status >= 500 else "INVALID_ARGUMENT")
    return {"error": {"code": status, "message": message, "status": named}}


def error_event(status: int, message: str) -> str:
    """Not an event: the error as it is sent with a status, after what was streamed."""
    return json.dumps(error(status, message), ensure_ascii=False, indent=2) + "\n"


def headers(answer: Any) -> dict[str, str]:
    return {}


# -- Requests ------------------------------------------------------------------------------------------------


def canonical(body: Any) -> Any:
    if not isinstance(body, dict):
        return canon.settle(body)
    ids = canon.Ids()
    body = _camel(body)
    for tool in objects(body.get("tools")):
        if isinstance(tool.get("functionDeclarations"), list):
            tool["functionDeclarations"].sort(key=canon.text)
    rest = kept(body, _UNMATCHED)
    if isinstance(body.get("cachedContent"), str):
        rest["cachedContent"] = ids.rename(body["cachedContent"])
    if isinstance(body.get("contents"), list):
        rest["contents"] = [_content(content, ids) for content in body["contents"]]
    return ids.quoted(rest)


def _content(content: Any, ids: canon.Ids) -> Any:
    if not isinstance(at(content, "parts"), list):
        return canon.settle(content)
    return canon.settle(content) | {"parts": [_part(part, ids) for part in content["parts"]]}


def _part(part: Any, ids: canon.Ids) -> Any:
    settled = canon.settle(part)
    for key in ("functionCall", "functionResponse", "toolCall", "toolResponse"):
        if isinstance(id_ := at(part, key, "id"), str):
            settled[key]["id"] = ids.rename(id_)
        if response := at(part, key, "response"):
            settled[key]["response"] = canon.settle_result(response)
    return settled


def _camel(value: Any) -> Any:
    """Both spellings of the API's own keys are one: google-genai changed between them, and mixes them."""
    if isinstance(value, list):
        return [_camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    named = ((re.sub(r"_([a-z])", lambda m: m[1].upper(), key), item) for key, item in value.items())
    return {key: item if key in _THEIRS else _camel(item) for key, item in named}


def tools(body: Any) -> frozenset[str]:
    body = _camel(body)
    offered = {
        str(function.get("name", ""))
        for tool in objects(at(body, "tools"))
        for function in objects(tool.get("functionDeclarations"))
    }
    calling = at(body, "toolConfig", "functionCallingConfig")
    if at(calling, "mode") == "NONE":
        return frozenset()
    allowed = at(calling, "allowedFunctionNames")
    return frozenset(
        offered.intersection(map(str, allowed)) if allowed and isinstance(allowed, list) else offered
    )


def demands(body: Any) -> Demands:
    body = _camel(body)
    asked = at(body, "generationConfig")
    schema = at(asked, "responseJsonSchema") or at(asked, "responseSchema")
    json = at(asked, "responseMimeType") == "application/json"
    return Demands(at(body, "toolConfig", "functionCallingConfig", "mode") == "ANY", json, keys(schema))


def last_message(body: Any) -> LastMessage | None:
    contents = objects(at(_camel(body), "contents"))
    last = len(contents)
    while last and contents[last - 1].get("role") == "model":  # the start of the answer, put into its mouth
        last -= 1
    first = last
    while first and contents[first - 1].get("role") != "model":
        first -= 1
    parts = [part for content in contents[first:last] for part in objects(content.get("parts"))]
    if not parts:
        return None
    texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
    responses = [part["functionResponse"] for part in parts if at(part, "functionResponse")]
    return LastMessage("\n".join(texts), by_tool((str(at(r, "name")), _result(r)) for r in responses))


def _result(response: Any) -> str:
    """What a function gave, without the object that the API demands around it."""
    value = at(response, "response")
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# -- Answers that nobody recorded ----------------------------------------------------------------------------


def count(request: Request) -> Any | None:
    if not request.path.endswith(":countTokens"):
        return None
    tokens = canon.count(canon.text(canonical(request.body)))
    return {"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]}


def synthesise(request: Request, say: str, calls: Sequence[Call]) -> Any:
    asked = canon.text(canonical(request.body))
    seed = canon.digest(place(request.path), asked, say)
    parts: list[dict[str, Any]] = [{"text": say}] if say else []
    for number, call in enumerate(calls):
        id_ = canon.digest(seed, str(number))[:8]
        parts.append({"functionCall": {"id": id_, "name": call.tool, "args": call.input}})
    sent, written = canon.count(asked), canon.count(canon.text(parts))
    content = {"parts": parts, "role": "model"}
    return {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": sent,
            "candidatesTokenCount": written,
            "totalTokenCount": sent + written,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": sent}],
        },
        "modelVersion": model(request),
        "responseId": seed[:23],
    }


def finish(answer: Any, stop: str, usage: Mapping[str, int]) -> Any:
    (candidate,) = answer["candidates"]
    reason = {"max_tokens": "MAX_TOKENS", "refusal": "SAFETY"}.get(stop, candidate["finishReason"])
    names = {"input": "promptTokenCount", "output": "candidatesTokenCount"}
    told = answer["usageMetadata"] | {names[side]: tokens for side, tokens in usage.items()}
    told["totalTokenCount"] = told["promptTokenCount"] + told["candidatesTokenCount"]
    told["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": told["promptTokenCount"]}]
    return answer | {"candidates": [candidate | {"finishReason": reason}], "usageMetadata": told}


# -- An answer and its stream --------------------------------------------------------------------------------


def to_events(answer: Any, request: Request) -> Events:
    return sse.paced(sse.frame(chunk) for chunk in _chunks(answer))


def _chunks(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A chunk is an answer with a part of one candidate. What is told of the prompt comes with the last."""
    base = {key: value for key, value in answer.items() if key != "promptFeedback"}
    portions = [portion for candidate in answer.get("candidates") or () for portion in _portions(candidate)]
    for portion in portions[:-1]:
        yield base | {"candidates": [portion]}
    yield answer | ({"candidates": portions[-1:]} if portions else {})


def _portions(candidate: dict[str, Any]) -> Iterator[dict[str, Any]]:
    index = {"index": candidate["index"]} if "index" in candidate else {}
    if not (parts := at(candidate, "content", "parts")):
        yield candidate
        return
    *begun, last = [portion for part in parts for portion in _pieces(part)]
    content = {key: value for key, value in candidate["content"].items() if key != "parts"}
    yield from ({"content": content | {"parts": [part]}, **index} for part in begun)
    yield candidate | {"content": content | {"parts": [last]}}


def _pieces(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Text comes in pieces, and what else the part has with the last of them."""
    if not isinstance(part.get("text"), str):
        yield part
        return
    *begun, last = sse.pieces(part["text"]) or [""]
    shell = {"thought": part["thought"]} if "thought" in part else {}
    yield from ({"text": piece} | shell for piece in begun)
    yield part | {"text": last}


def to_body(events: Events) -> Any:
    answer: dict[str, Any] = {}
    candidates: dict[int, dict[str, Any]] = {}
    for _, chunk in chunks(events):
        if told := at(chunk, "error"):
            raise ErrorEventError(told.get("code", 500), chunk)
        answer |= {key: value for key, value in chunk.items() if key != "candidates"}
        for portion in chunk.get("candidates") or ():
            _add(candidates.setdefault(portion.get("index", 0), {}), portion)
    blocked = at(answer, "promptFeedback", "blockReason")
    if not (candidates or blocked) or not all("finishReason" in each for each in candidates.values()):
        raise UnfinishedError("finishReason")
    return answer | ({"candidates": list(candidates.values())} if candidates else {})


def _add(candidate: dict[str, Any], portion: dict[str, Any]) -> None:
    """Parts are added, texts of one kind joined; what else is told of a candidate is its latest."""
    content = (candidate.get("content") or {}) | (portion.get("content") or {})
    parts = [*(at(candidate, "content", "parts") or ())]
    for part in at(portion, "content", "parts") or ():
        if "partialArgs" in (part.get("functionCall") or {}):
            raise ConversionError("the recorded stream has a function call whose arguments come in portions")
        if parts and _goes_on(parts[-1], part):
            parts[-1] = part | {"text": parts[-1]["text"] + part["text"]}
        elif not parts or part != {"text": ""}:  # with which streams end that said no more
            parts.append(part)
    candidate |= portion
    if content:
        candidate["content"] = content | ({"parts": parts} if "parts" in content else {})


def _goes_on(part: dict[str, Any], following: dict[str, Any]) -> bool:
    same = part.get("thought", False) == following.get("thought", False)
    return part.keys() <= _TEXT and "text" in part and "text" in following and same
