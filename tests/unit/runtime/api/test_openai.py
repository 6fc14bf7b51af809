from __future__ import annotations

import pytest

from shipway_runtime.api.errors import ApiError
from shipway_runtime.api.openai import parse


def messages(given):
    return parse({"input": given}).ask.messages


def test_a_text_is_one_user_message():
    assert messages("hi") == [{"role": "user", "content": "hi"}]


def test_messages_with_text_or_parts():
    given = [
        {"role": "developer", "content": "be brief"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]},
        {
            "role": "assistant",
            "content": [{"type": "output_text", "text": "b"}, {"type": "output_text", "text": "c"}],
        },
    ]
    assert messages(given) == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "bc"},
    ]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"messages": [{"role": "user", "content": "hi"}]}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["hi"]}, "input[0]"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0]"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": 1}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0]"),
        ({"input": "x", "stream": "yes"}, "stream"),
        ({"input": "x", "instructions": 1}, "instructions"),
        ({"input": "x", "metadata": []}, "metadata"),
        ({"input": "x", "previous_response_id": 1}, "previous_response_id"),
        ({"input": "x", "conversation": "a b"}, "conversation"),
        ({"input": "x", "conversation": {"id": 7}}, "conversation"),
        ({"input": "x", "conversation": "a", "previous_response_id": "resp_a_1"}, "conversation"),
        ({"input": "x", "tools": [{"type": "function"}]}, "tools"),
        ({"input": "x", "background": True}, "background"),
        ("text", "body"),
    ],
)
def test_what_is_wrong_is_named(body, param):
    with pytest.raises(ApiError) as caught:
        parse(body)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_header_and_body_must_agree():
    header = "a"
    assert parse({"input": "x", "previous_response_id": "resp_a_2"}, header).ask.previous == 2
    with pytest.raises(ApiError):
        parse({"input": "x", "conversation": "b"}, header)
    with pytest.raises(ApiError) as caught:
        parse({"input": "x", "previous_response_id": "resp_b_2"}, header)
    assert caught.value.status == 404


def test_settings_of_a_model_are_accepted():
    given = {"input": "x", "model": "m", "temperature": 0.2, "max_output_tokens": 5, "tools": []}
    assert not parse(given).stream
