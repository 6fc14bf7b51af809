"""A judge whose model is a server on loopback, in each provider's own words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.model_api import Asked, ModelApi, Says, says_json

from shipway.evals.answer import Answer, Reply
from shipway.evals.case import Case, Label, Turn
from shipway.evals.judge import Judge, read_verdict
from shipway.evals.mark import Mark
from shipway.evals.model_api import ModelApi as Client
from shipway.evals.model_api import locate

CASE = Case("a", (Turn("first?"), Turn("second?")))
ANSWER = Answer((Reply("one"), Reply("two")))
VERDICT = '{"reason": "it is {}", "pass": true}'.replace("{}", "so")

Answers = Callable[[Asked], Says]


def anthropic(text: str) -> Any:
    return {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": text}]}


def openai(text: str) -> Any:
    return {"choices": [{"message": {"content": text}}]}


def gemini(text: str) -> Any:
    return {"candidates": [{"content": {"parts": [{"text": text}]}}]}


def judge(answer: Answers, provider: str = "anthropic") -> tuple[Mark, list[Asked]]:
    variables = {"anthropic": "ANTHROPIC", "openai": "OPENAI", "gemini": "GOOGLE_GEMINI"}
    with ModelApi(answer) as server:
        named = variables.get(provider)
        environ = {f"{named}_BASE_URL": server.url} if named else {"OPENAI_API_KEY": "k"}
        model = locate(provider if named else server.url, "big", environ)
        return asyncio.run(_judge(Judge, model)), server.asked


async def _judge(kind: type[Judge], model: Any) -> Mark:
    async with Client(model, 4) as api:
        return await kind(api)(CASE, ANSWER, "names the second")


@pytest.mark.parametrize(
    ("provider", "says", "target"),
    [
        ("anthropic", anthropic, "/v1/messages"),
        ("openai", openai, "/chat/completions"),
        ("gemini", gemini, "/v1beta/models/big:generateContent"),
        ("url", openai, "/chat/completions"),
    ],
)
def test_each_provider_is_asked_in_its_own_words(
    provider: str, says: Callable[[str], Any], target: str
) -> None:
    mark, asked = judge(lambda _: says_json(says(VERDICT)), provider)
    assert mark == Mark("judge", True, "it is so")
    assert [request.target for request in asked] == [target]
    said = asked[0].content.decode()
    assert "names the second" in said
    assert "User: first?\\nAssistant: one\\nUser: second?\\nAssistant: two" in said


def test_a_verdict_that_cannot_be_read_is_asked_for_once_more_and_then_missing() -> None:
    mark, asked = judge(lambda _: says_json(anthropic("Looks good to me!")))
    assert (mark.holds, len(asked)) == (None, 2)
    assert "Looks good to me!" in mark.reason


def test_a_judge_that_is_down_is_missing_data() -> None:
    mark, asked = judge(lambda _: says_json({"error": "bad key"}, 401))
    assert (mark.holds, len(asked)) == (None, 1)
    assert "401" in mark.reason


@pytest.mark.slow
def test_a_judge_that_is_busy_is_asked_again() -> None:
    answers = iter([says_json({}, 529), says_json(anthropic(VERDICT))])
    mark, asked = judge(lambda _: next(answers))
    assert (mark.holds, len(asked)) == (True, 2)


def test_an_answer_of_another_api_is_missing_data() -> None:
    mark, _ = judge(lambda _: says_json(openai(VERDICT)))
    assert mark.holds is None
    assert "cannot be read" in mark.reason


def test_a_key_that_is_not_there_is_named() -> None:
    with pytest.raises(LookupError, match="ANTHROPIC_API_KEY"):
        locate("anthropic", "big", {})


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ('{"reason": "r", "pass": false}', False),
        ('I think {"pass": true} at first, but no: {"reason": "r", "pass": false}', False),
        ('```json\n{"pass": true}\n```', True),
        ('{"pass": "yes"}', None),
        ("pass", None),
        ("{", None),
    ],
)
def test_verdicts(text: str, verdict: bool | None) -> None:
    found = read_verdict(text)
    assert (found and found["pass"]) == verdict


def test_a_labelled_answer_is_judged_as_a_case_is() -> None:
    async def label(model: Any) -> Mark:
        async with Client(model, 1) as api:
            return await Judge(api).label(Label("l", "q?", "a!", "is short", True))

    with ModelApi(lambda _: says_json(anthropic(VERDICT))) as server:
        mark = asyncio.run(label(locate("anthropic", "big", {"ANTHROPIC_BASE_URL": server.url})))
        assert mark.holds is True
        assert "User: q?\\nAssistant: a!" in server.asked[0].content.decode()
