from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.replay.apis.cutting import cut, cuts, ends

from shipway.replay.apis import gemini, sse
from shipway.replay.apis.provider import Call, ConversionError, Demands, ErrorEventError, LastMessage
from shipway.replay.exchange import Request

PATH = "/v1beta/models/gemini-2.5-pro:generateContent"
texts = st.text(st.characters(codec="utf-8"), max_size=60)
thoughts = st.builds(lambda text: {"text": text, "thought": True}, texts)
signed = st.builds(lambda text: {"text": text, "thoughtSignature": "c2ln"}, texts)
calls = st.builds(
    lambda named, value, signature: {"functionCall": {"name": "now", "args": value, **named}, **signature},
    st.sampled_from([{}, {"id": "a1"}]),
    st.dictionaries(texts, texts, max_size=2),
    st.sampled_from([{}, {"thoughtSignature": "c2ln"}]),
)
others = st.sampled_from(
    [{"executableCode": {"code": "1", "language": "PYTHON"}}, {"inlineData": {"data": "AAAA"}}]
)
# No two texts of one kind follow each other: the API joins them.
part_lists = st.builds(
    lambda thought, text, rest: [*thought, *text, *rest],
    st.lists(thoughts, max_size=1),
    st.lists(st.builds(lambda text: {"text": text}, texts.filter(bool)) | signed, max_size=1),
    st.lists(calls | others, max_size=3),
)
candidates = st.builds(
    lambda parts, more: {
        "content": {"role": "model", **({"parts": parts} if parts else {})},
        "finishReason": "STOP",
        **more,
    },
    part_lists,
    st.sampled_from([{}, {"safetyRatings": [], "groundingMetadata": {"x": 1}, "finishMessage": "m"}]),
)
answers = st.one_of(
    st.builds(
        lambda told: {
            "candidates": [candidate | {"index": index} for index, candidate in enumerate(told)],
            "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 9, "thoughtsTokenCount": 2},
            "modelVersion": "gemini-2.5-pro",
            "responseId": "r1",
        },
        st.lists(candidates, min_size=1, max_size=2),
    ),
    st.just({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}}),
)


def request(body: Any, path: str = PATH) -> Request:
    return Request("POST", path, body)


@given(answers, cuts, ends)
def test_an_answer_survives_being_streamed_and_cut(
    answer: dict[str, Any], places: list[int], end: str
) -> None:
    events = gemini.to_events(answer, request({}))
    assert gemini.to_body(events) == answer
    assert gemini.to_body(cut(events, places, end)) == answer


@given(answers, cuts)
def test_an_array_is_put_together_as_events_are(answer: dict[str, Any], places: list[int]) -> None:
    chunks = [chunk for _, chunk in gemini.chunks(gemini.to_events(answer, request({})))]
    array = cut([(0, json.dumps(chunks, indent=1, ensure_ascii=False))], places)
    assert gemini.to_body(array) == answer


def test_text_and_its_signature_that_come_apart_are_one_part() -> None:
    told: list[dict[str, Any]] = [{"text": "Hel"}, {"text": "lo"}, {"text": "", "thoughtSignature": "c2ln"}]
    chunks = [{"candidates": [{"content": {"role": "model", "parts": [part]}}]} for part in told]
    chunks[-1]["candidates"][0]["finishReason"] = "STOP"
    body = gemini.to_body([(0, sse.frame(chunk)) for chunk in chunks])
    assert body["candidates"][0]["content"]["parts"] == [{"text": "Hello", "thoughtSignature": "c2ln"}]


@pytest.mark.parametrize(
    "stream", ["", 'data: {"candidates": [{"content": {}}]}\n\n', '[{"candidates": [{}]}']
)
def test_a_cut_stream_has_no_other_form(stream: str) -> None:
    with pytest.raises(ConversionError, match="without finishReason"):
        gemini.to_body([(0, stream)])


def test_arguments_in_portions_have_no_other_form() -> None:
    part = {"functionCall": {"name": "now", "partialArgs": [{"jsonPath": "$.city", "stringValue": "To"}]}}
    chunk = {"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]}
    with pytest.raises(ConversionError, match="in portions"):
        gemini.to_body([(0, sse.frame(chunk))])


@pytest.mark.parametrize("form", ["{}", "data: {}\n\n", "[{}]"])
def test_an_error_in_the_stream_is_the_error_answer(form: str) -> None:
    error = {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}
    with pytest.raises(ErrorEventError) as raised:
        gemini.to_body([(0, form.replace("{}", json.dumps(error)))])
    assert (raised.value.status, raised.value.body) == (503, error)


def test_the_error_after_a_stream_is_found() -> None:
    begun = gemini.to_events(gemini.synthesise(request({}), "two words", ()), request({}))
    with pytest.raises(ErrorEventError) as raised:
        gemini.to_body([*begun, (99, gemini.error_event(429, "slow down"))])
    assert (raised.value.status, raised.value.body["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")


@pytest.mark.parametrize(
    "path",
    [
        PATH,
        "/v1/models/gemini-2.5-pro:generateContent",
        "/v1beta/models/gemini-2.5-pro:streamGenerateContent",
        "/v1/projects/p/locations/eu/publishers/google/models/gemini-2.5-pro:streamGenerateContent",
    ],
)
def test_version_project_and_form_never_count_but_the_model_does(path: str) -> None:
    assert gemini.owns(path)
    assert gemini.place(path) == "/models/gemini-2.5-pro:generateContent"
    assert gemini.model(request({}, path)) == "gemini-2.5-pro"
    assert gemini.streams(request({}, path)) == ("stream" in path)
    assert gemini.place(path.replace("pro", "flash")) != gemini.place(path)


@pytest.mark.parametrize("verb", ["countTokens", "embedContent", "batchEmbedContents"])
def test_what_is_beside_the_conversation_has_its_own_place(verb: str) -> None:
    path = f"/v1beta/models/gemini-2.5-pro:{verb}"
    assert gemini.owns(path)
    assert gemini.place(path) == f"/models/gemini-2.5-pro:{verb}"


def call(id_: str | None) -> dict[str, Any]:
    named = {"id": id_} if id_ else {}
    asked = {
        "functionCall": {"name": "now", "args": {"city_name": "Tokyo"}, **named},
        "thoughtSignature": "s",
    }
    result = {
        "functionResponse": {"name": "now", "response": {"result": "2026-01-01T12:00 Thursday"}, **named}
    }
    contents = [
        {"role": "user", "parts": [{"text": "the time?"}]},
        {"role": "model", "parts": [asked]},
        {"role": "user", "parts": [result]},
    ]
    return {"contents": contents}


LOG, NOW = ({"name": name, "parameters": {"type": "OBJECT"}} for name in ("log", "now"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (call("a1"), call("b2")),
        (call("a1"), call("a1") | {"labels": {"team": "x"}, "serviceTier": "flex"}),
        ({"systemInstruction": {"parts": []}}, {"system_instruction": {"parts": []}}),
        (
            {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "AA"}}]}]},
            {"contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": "AA"}}]}]},
        ),
        (
            {"tools": [{"functionDeclarations": [LOG, NOW]}, {"googleSearch": {}}]},
            {"tools": [{"googleSearch": {}}, {"functionDeclarations": [NOW, LOG]}]},
        ),
        ({"cachedContent": "cachedContents/1"}, {"cachedContent": "cachedContents/2"}),
    ],
)
def test_two_spellings_of_one_request(one: Any, other: Any) -> None:
    assert gemini.canonical(one) == gemini.canonical(other)


def test_the_keys_of_arguments_and_schemas_are_the_users() -> None:
    settled = gemini.canonical(call("a1"))
    assert settled["contents"][1]["parts"][0]["functionCall"]["args"] == {"city_name": "Tokyo"}
    assert settled["contents"][2]["parts"][0]["functionResponse"]["response"]["result"] == "<time> <weekday>"
    schema = {"properties": {"city_name": {}}}
    body = {"generation_config": {"response_json_schema": schema, "max_output_tokens": 3}}
    assert gemini.canonical(body) == {
        "generationConfig": {"responseJsonSchema": schema, "maxOutputTokens": 3}
    }


@pytest.mark.parametrize(
    ("response", "text"),
    [
        ({"result": "12:00"}, "12:00"),
        ({"output": {"hour": 12}}, '{"hour": 12}'),
        ({"hour": 12, "minute": 0}, '{"hour": 12, "minute": 0}'),
        (None, "null"),
    ],
)
def test_the_result_of_a_function_is_its_text(response: Any, text: str) -> None:
    parts = [{"functionResponse": {"name": "now", "response": response}}]
    assert gemini.last_message({"contents": [{"role": "user", "parts": parts}]}) == LastMessage(
        "", {"now": text}
    )


def test_results_may_come_in_several_contents_and_the_answer_may_have_begun() -> None:
    results = [{"functionResponse": {"name": name, "response": {"result": name}}} for name in ("log", "now")]
    contents = [
        {"role": "user", "parts": [{"text": "the time?"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "now"}}]},
        *({"role": "function", "parts": [result]} for result in results),
        {"role": "model", "parts": [{"text": "It is"}]},
    ]
    assert gemini.last_message({"contents": contents}) == LastMessage("", {"log": "log", "now": "now"})
    asked = {"contents": [{"parts": [{"text": "hi"}, {"text": "there"}]}]}
    assert gemini.last_message(asked) == LastMessage("hi\nthere")


@pytest.mark.parametrize(
    ("config", "tools", "call"),
    [
        ({"mode": "AUTO"}, {"log", "now"}, False),
        ({"mode": "NONE"}, set(), False),
        ({"mode": "ANY"}, {"log", "now"}, True),
        ({"mode": "ANY", "allowed_function_names": ["now"]}, {"now"}, True),
    ],
)
def test_the_choice_of_functions(config: Any, tools: set[str], call: bool) -> None:
    body = {
        "tools": [{"functionDeclarations": [LOG, NOW]}],
        "toolConfig": {"function_calling_config": config},
    }
    assert (gemini.tools(body), gemini.demands(body).call) == (tools, call)


def test_json_is_demanded_by_the_generation_config() -> None:
    config = {"response_mime_type": "application/json", "response_schema": {"properties": {"city": {}}}}
    assert gemini.demands({"generationConfig": config}) == Demands(json=True, keys=("city",))
    assert gemini.demands({"generationConfig": {}}) == Demands()


def test_tokens_are_counted_by_a_rule_of_thumb() -> None:
    body = {"contents": [{"parts": [{"text": "hello " * 40}]}]}
    counted = gemini.count(request(body, PATH.replace("generateContent", "countTokens")))
    assert counted["totalTokens"] == pytest.approx(60, abs=20)
    assert gemini.count(request(body)) is None


def test_a_scripted_answer_names_the_model_of_the_path() -> None:
    answer = gemini.synthesise(request({}), "hi", [Call("now", {"city": "Tokyo"})])
    assert answer["modelVersion"] == "gemini-2.5-pro"
    assert [list(part) for part in answer["candidates"][0]["content"]["parts"]] == [
        ["text"],
        ["functionCall"],
    ]
    assert answer == gemini.synthesise(request({}), "hi", [Call("now", {"city": "Tokyo"})])


@pytest.mark.parametrize(
    "body", [None, [], "x", {"contents": "x"}, {"tools": [1], "toolConfig": 1}, {"contents": [{"parts": 1}]}]
)
def test_any_json_is_a_body(body: Any) -> None:
    gemini.canonical(body)
    assert gemini.last_message(body) is None
    assert gemini.tools(body) == frozenset()
    assert gemini.demands(body) == Demands()
