from __future__ import annotations

import base64
import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway.replay.secrecy import NONE, Secrets

PEM = (
    "-----BEGIN PRIVATE KEY-----\n"
    + ("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" * 2 + "\n") * 20
    + "-----END PRIVATE KEY-----"
)
VALUE = 'pa/ss"wörd+1\n'.strip() + "x9"
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=8, max_size=30).filter(
    lambda text: len(text.strip()) >= 8 and len(set(text.strip())) > 3
)


def spelled(value: str) -> list[str]:
    once, plain = json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]
    return [
        value,
        once,
        plain,
        json.dumps(once)[1:-1],
        json.dumps(plain)[1:-1],
        quote(value),
        quote(value, safe=""),
    ]


@given(VALUES, st.text(max_size=5), st.text(max_size=5))
def test_a_declared_value_is_hidden_however_it_is_written(value: str, before: str, after: str) -> None:
    secrets = Secrets({"NAME": value})
    if secrets.weak:
        return
    for text in spelled(value.strip()):
        hidden = secrets.hide({"a": [before + text + after]})["a"][0]
        assert "<secret NAME>" in hidden
        assert text not in hidden


@pytest.mark.parametrize("shift", range(3))
def test_base64_is_found_wherever_it_begins(shift: int) -> None:
    text = base64.b64encode(b"abc"[:shift] + VALUE.encode() + b"and more").decode()
    hidden = Secrets({"NAME": VALUE}).hide(text)
    assert "<secret NAME>" in hidden
    assert len(hidden) - len("<secret NAME>") < 20


@given(st.lists(st.integers(0, 60), max_size=5))
def test_a_stream_is_hidden_wherever_it_is_cut(cuts: list[int]) -> None:
    stream = b'data: {"text": "it is topsecret-9, really"}\n\n'
    ends = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(ends)]
    hidden = Secrets({"A": "topsecret-9"}).hide_in_chunks(chunks)
    assert len(hidden) == len(chunks)
    assert b"".join(hidden) == stream.replace(b"topsecret-9", b"<secret A>")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("use ghp_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5 now", "use <secret> now"),
        ("Authorization: Bearer q7Rk2Wz9Lm4q7Rk2Wz9Lm4", "Authorization: Bearer <secret>"),
        ("postgres://app:Zk93_hqPw1@db.corp.net/x", "postgres://app:<secret>@db.corp.net/x"),
        (f"key:\n{PEM}\nend", "key:\n<secret>-----END PRIVATE KEY-----\nend"),
        ("sk-your-key-here and sk-ant-api03-example", "sk-your-key-here and sk-ant-api03-example"),
    ],
)
def test_what_looks_like_a_key_is_hidden(text: str, expected: str) -> None:
    assert NONE.hide(text) == expected
    assert json.loads(NONE.hide_in_chunks([json.dumps(text).encode()])[0]).startswith(expected[:10])


def test_the_keys_of_a_request() -> None:
    secrets = Secrets({"MY_KEY": "declared-key-value-1"})
    headers = {"authorization": "Bearer undeclared-key-value-2", "x-api-key": "declared-key-value-1"}
    found = secrets.with_keys(headers, "/v1beta/models/g:generateContent?key=in-the-query-value-3")
    text = "undeclared-key-value-2 declared-key-value-1 in-the-query-value-3"
    assert found.hide(text) == "<secret> <secret MY_KEY> <secret>"
    assert secrets.with_keys({"authorization": "Bearer replayed"}, "/").hide("replayed") == "replayed"


def test_the_password_of_a_declared_url_is_one_too() -> None:
    hidden = Secrets({"DATABASE_URL": "postgres://app:Zk93hqPw1@127.0.0.1/x"}).hide("it is Zk93hqPw1")
    assert hidden == "it is <secret DATABASE_URL>"


def test_a_value_that_is_no_utf8_is_found_as_its_bytes() -> None:
    hidden = Secrets({"A": "topsecret\udcff"}).hide_in_chunks([b"it is topsecret\xff."])
    assert hidden == [b"it is <secret A>."]


def test_values_that_are_ordinary_words_are_left_and_named() -> None:
    secrets = Secrets({"A": "short", "B": "postgres", "C": "long enough"})
    assert secrets.weak == ("A", "B")
    assert secrets.hide("a short text on postgres") == "a short text on postgres"


def test_a_secret_that_comes_piece_by_piece() -> None:
    secrets = Secrets({"A": "topsecret-9"})
    pieces = [{"index": 0, "delta": {"text": text}} for text in ("it is top", "secret", "-9.")]
    assert secrets.are_in_pieces_of(pieces)
    pieces[1]["index"] = 1  # another block
    assert not secrets.are_in_pieces_of(pieces)


@pytest.mark.parametrize(
    "event",
    [
        lambda n, text: {
            "type": "response.output_text.delta",
            "sequence_number": n,
            "output_index": 0,
            "delta": text,
        },
        lambda n, text: {"choices": [{"index": 0, "delta": {"content": text}}], "created": n},
        lambda n, text: {
            "candidates": [{"content": {"parts": [{"text": text}]}}],
            "usageMetadata": {"count": n},
        },
        lambda n, text: {
            "choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}}]
        },
    ],
)
def test_pieces_are_put_together_in_every_api(event: Callable[[int, str], Any]) -> None:
    pieces = [event(number, text) for number, text in enumerate(("it is top", "sec", "ret-9."))]
    assert Secrets({"A": "topsecret-9"}).are_in_pieces_of(pieces)
