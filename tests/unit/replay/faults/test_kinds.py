"""Each kind of fault, on each API, in both forms."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from shipway.replay.apis import anthropic, gemini, openai_chat, openai_responses, providers
from shipway.replay.apis.provider import Provider
from shipway.replay.exchange import Request
from shipway.replay.faults import frames, kinds
from shipway.replay.faults.kinds import KINDS, USAGES, Fault
from shipway.replay.traffic import Answer

SAY = "Hello there, this is an answer of a few words, and then some more of them."
ASKED = [{"role": "user", "content": "hi"}]
REQUESTS = {
    anthropic: ("/v1/messages", {"model": "m", "max_tokens": 9, "messages": ASKED}),
    openai_responses: ("/v1/responses", {"model": "m", "input": "hi"}),
    openai_chat: (
        "/v1/chat/completions",
        {"model": "m", "messages": ASKED, "stream_options": {"include_usage": True}},
    ),
    gemini: (
        "/v1beta/models/m:streamGenerateContent",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    ),
}
EVERY_API = pytest.mark.parametrize("provider", providers.PROVIDERS, ids=lambda module: module.__name__[20:])


def good(provider: Provider, *, stream: bool) -> Answer:
    """What a scripted reply makes."""
    path, body = REQUESTS[provider]
    asked = Request("POST", path, body | {"stream": stream})
    made = provider.synthesise(asked, SAY, ())
    if stream:
        return Answer("s.toml:1", events=tuple(provider.to_events(made, asked)))
    return Answer("s.toml:1", body=made)


def spoilt(provider: Provider, kind: str, *, stream: bool, **parameters: Any) -> Answer:
    fault = Fault(kind, **{**KINDS[kind].defaults, **parameters})
    return kinds.spoil(good(provider, stream=stream), fault, provider)


def sent(answer: Answer) -> str:
    """All that the client gets."""
    if answer.events is not None:
        return "".join(text for _, text in answer.events)
    return answer.content.decode() if answer.content is not None else json.dumps(answer.body)


def values(text: str) -> Iterator[Any]:
    for line in text.splitlines():
        if line.startswith("data: {"):
            yield json.loads(line[6:])


def counts(value: Any) -> Iterator[int]:
    """Every count of tokens in an answer."""
    if isinstance(value, list):
        for item in value:
            yield from counts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if type(item) is int and ("token" in key.lower()):
                yield item
            yield from counts(item)


@EVERY_API
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("kind", "status"), [("rate-limit", 429), ("overloaded", None), ("server-error", 500), ("refused", 401)]
)
def test_a_status_comes_in_the_providers_shape(
    provider: Provider, kind: str, status: int | None, stream: bool
) -> None:
    status = status or (529 if provider is anthropic else 503)
    answer = spoilt(provider, kind, stream=stream)
    assert (answer.status, answer.events) == (status, None)
    assert answer.body == provider.error(status, f"injected by the replay: {kind}")
    assert answer.headers.get("retry-after") == ("1" if kind == "rate-limit" else None)


@EVERY_API
def test_a_refusal_may_have_another_status(provider: Provider) -> None:
    answer = spoilt(provider, "refused", stream=True, status=403)
    assert (answer.status, answer.body) == (403, provider.error(403, "injected by the replay: refused"))


def test_when_to_come_back_may_be_a_part_of_a_second() -> None:
    answer = spoilt(anthropic, "rate-limit", stream=True, retry_after=0.25)
    assert {name: answer.headers[name] for name in ("retry-after", "retry-after-ms")} == {
        "retry-after": "1",
        "retry-after-ms": "250",
    }


def test_an_error_has_the_id_that_sdks_read() -> None:
    answer = spoilt(anthropic, "overloaded", stream=True)
    assert answer.headers["request-id"] == answer.body["request_id"]


@EVERY_API
@pytest.mark.parametrize("at", [0.0, 0.5, 1.0])
def test_a_stream_never_comes_to_its_end(provider: Provider, at: float) -> None:
    whole = sent(good(provider, stream=True))
    early, cut = (spoilt(provider, kind, stream=True, at=at) for kind in ("early-end", "cut"))
    events = list(frames.split([(0.0, whole)]))
    lost = whole.removeprefix(sent(early))
    assert whole.startswith(sent(early))
    assert lost.endswith(events[-1][1])
    assert not early.cut
    if at:
        assert (sent(cut), cut.cut, cut.status) == (sent(early), True, 200)
    else:
        assert cut.status == 0  # before the first byte


@EVERY_API
def test_a_body_that_is_no_stream_ends_before_its_json(provider: Provider) -> None:
    whole = sent(good(provider, stream=False))
    for kind in ("early-end", "cut", "malformed-json"):
        answer = spoilt(provider, kind, stream=False)
        assert whole.startswith(sent(answer))
        assert answer.status == 200
        with pytest.raises(ValueError, match=r"."):
            json.loads(sent(answer))
        assert answer.cut == (kind == "cut")


@EVERY_API
def test_an_error_in_the_midst_is_the_providers_and_the_last(provider: Provider) -> None:
    status = 529 if provider is anthropic else 503
    answer = spoilt(provider, "error-event", stream=True)
    event = provider.error_event(status, "injected by the replay: error-event")
    assert answer.status == 200
    assert sent(answer).endswith(event)
    assert sent(good(provider, stream=True)).startswith(sent(answer).removesuffix(event))
    assert len(sent(answer)) > len(event)
    assert spoilt(provider, "error-event", stream=False).status == status


@EVERY_API
@pytest.mark.parametrize("at", [0.0, 0.5, 1.0])
def test_one_event_is_no_json_and_the_others_are(provider: Provider, at: float) -> None:
    whole, broken = (
        list(frames.split([(0.0, sent(answer))]))
        for answer in (good(provider, stream=True), spoilt(provider, "malformed-json", stream=True, at=at))
    )
    differing = [text for (_, text), (_, right) in zip(broken, whole, strict=True) if text != right]
    assert len(differing) == 1
    with pytest.raises(ValueError, match=r"."):
        json.loads(differing[0].partition("data: ")[2])


@EVERY_API
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("usage", USAGES)
def test_usage_that_cannot_be(provider: Provider, usage: str, stream: bool) -> None:
    right, wrong = good(provider, stream=stream), spoilt(provider, "wrong-usage", stream=stream, usage=usage)
    told = [list(values(sent(a))) if stream else [json.loads(sent(a))] for a in (right, wrong)]
    before, after = ([*counts(document)] for document in told)
    assert any(count > 0 for count in before)
    expected = {"zero": {0}, "huge": {1_000_000_000}, "absent": set(), "negative": {-n - 1 for n in before}}
    assert set(after) == expected[usage]
    assert len(told[0]) == len(told[1])
    assert SAY.split()[0] in sent(wrong)


@EVERY_API
def test_slow_answers_are_whole(provider: Provider) -> None:
    for stream in (True, False):
        right = good(provider, stream=stream)
        late = spoilt(provider, "slow-start", stream=stream, seconds=2.0)
        assert (late.delay_s, sent(late)) == (2.0, sent(right))
        slow = spoilt(provider, "slow-stream", stream=stream, seconds=2.0)
        offsets = [offset for offset, _ in slow.events or ()]
        assert offsets == [2000.0 * i for i in range(len(offsets))]
        assert (slow.speed, len(offsets) > 3, sent(slow)) == (1.0, True, sent(right))


@EVERY_API
@pytest.mark.parametrize("stream", [True, False])
def test_what_hangs_has_no_end(provider: Provider, stream: bool) -> None:
    assert spoilt(provider, "hang", stream=stream).delay_s > 3600
    midway = spoilt(provider, "hang", stream=stream, at=0.5)
    assert midway.delay_s == 0
    assert midway.events
    assert [offset > 3_600_000 for offset, _ in midway.events][-2:] == [False, True]
    assert sent(good(provider, stream=stream)).startswith(sent(midway))


def test_every_kind_is_tested_above() -> None:
    assert set(KINDS) == {
        *("rate-limit", "overloaded", "server-error", "refused", "error-event", "cut", "early-end"),
        *("hang", "slow-start", "slow-stream", "malformed-json", "wrong-usage"),
    }


@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n"])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_events_are_found_however_chunks_were_cut(size: int, end: str) -> None:
    text = "".join(f"event: e{end[: len(end) // 2]}data: {{}}{end}" for _ in range(3))
    chunks = [(float(i), text[i : i + size]) for i in range(0, len(text), size)]
    events = frames.split(chunks)
    assert [event for _, event in events] == [text[: len(text) // 3]] * 3
    assert [offset for offset, _ in events] == sorted(offset for offset, _ in events)
    assert frames.split([(0.0, "data: 1\n\ndata: 2")]) == ((0.0, "data: 1\n\n"), (0.0, "data: 2"))
