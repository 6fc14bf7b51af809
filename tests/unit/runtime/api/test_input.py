from __future__ import annotations

import contextlib

import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st

from shipway_runtime.api import openai
from shipway_runtime.api.errors import ApiError
from shipway_runtime.api.input import MAX_ITEMS, messages

USER = {"role": "user", "content": "hi"}


def test_what_comes_back_from_an_earlier_response_is_its_text():
    given = [
        USER,
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {
            "type": "message",
            "id": "msg_c_1_0",
            "status": "completed",
            "role": "assistant",
            "content": [
                {"type": "output_text", "text": "a", "annotations": [], "logprobs": []},
                {"type": "refusal", "refusal": "b"},
            ],
        },
        {"type": "mcp_call", "id": "mcp_c_1_1", "name": "now", "arguments": "{}", "server_label": "time"},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "x"},
        USER,
    ]
    assert messages(given) == [USER, {"role": "assistant", "content": "ab"}, USER]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            [{"type": "function_call_output", "output": "x"}],
            "expected a message at the end, saw function_call_output",
        ),
        ([USER, {"type": "reasoning"}], "input[1]: expected a message at the end, saw reasoning"),
        ([{"type": "telepathy"}], "input[0].type: expected message, or an item of an earlier response"),
        ([{"type": ["message"]}], "input[0].type: expected message"),
        ([{"role": "user", "content": [{"type": "input_image"}]}], "content[0]: input_image cannot be read"),
        ([{"role": "user", "content": [{"type": "input_file"}]}], "content[0]: input_file cannot be read"),
        (
            [{"role": "user", "content": [{"type": {}}]}],
            "expected a part with a text, saw an object with type",
        ),
        ([{"role": "user", "content": [{"type": "text", "text": 1}]}], "expected a part with a text"),
        ([{"role": ["user"], "content": "x"}], "input[0].role: expected one of user,"),
        ([{"role": "user"}], "input[0].content: expected a text or a list of parts, saw nothing"),
        ([USER] * (MAX_ITEMS + 1), f"at most {MAX_ITEMS} are read"),
    ],
)
def test_what_cannot_be_read_is_named(given, said):
    with pytest.raises(ApiError) as caught:
        messages(given)
    assert caught.value.status == 400
    assert said in caught.value.message


def test_what_was_seen_is_shown_in_few_words():
    with pytest.raises(ApiError) as caught:
        messages("")
    assert caught.value.message.endswith("saw ''")
    deep: list[object] = []
    for _ in range(900):
        deep = [deep]
    with pytest.raises(ApiError) as caught:
        messages([deep])
    assert caught.value.message.endswith("saw a list of 1")


NAMES = st.sampled_from(
    [
        "type",
        "role",
        "content",
        "text",
        "id",
        "input",
        "stream",
        "conversation",
        "metadata",
        "format",
        "tools",
    ]
)
WORDS = st.sampled_from(["message", "user", "input_text", "item_reference", "resp_a_1", "a", ""])
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=12,
)


@given_any(st.fixed_dictionaries({"input": ANY}, optional=dict.fromkeys(("text", "metadata"), ANY)) | ANY)
def test_whatever_comes_is_read_or_refused(body):
    with contextlib.suppress(ApiError):
        assert openai.parse(body).ask.messages
