from __future__ import annotations

import pytest

from shipway.spec.positions import Path
from shipway.spec.words import dotted, hidden, is_credential, listed, nearest, seen


@pytest.mark.parametrize(
    "text",
    [
        "sk-ant-api03-abcdefghijkl",
        "ghp_abcdefghijklmnopqrst",
        "github_pat_abcdefghijklmnopqrstuv",
        "xoxb-1234567890-abc",
        "AKIAIOSFODNN7EXAMPLE",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "postgres://user:pass@db.example.com/x",
    ],
)
def test_credentials(text: str) -> None:
    assert is_credential(text)
    assert text not in seen(text)


@pytest.mark.parametrize(
    "text",
    [
        "ANTHROPIC_API_KEY",
        "registry.example.com/support",
        "https://crm.example.com:8443/mcp",
        "claude-sonnet-5-20260101",
        "pypi:mcp-server-time==2026.10.19",
        "2026.10.19",
    ],
)
def test_ordinary_texts(text: str) -> None:
    assert not is_credential(text)


def test_random_texts_are_hidden() -> None:
    assert hidden("a8f7e6d5c4b3a2918273645")
    assert not hidden("INTERNAL_CUSTOMER_DATABASE_URL")
    assert not hidden("enviroment")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("x", '"x"'),
        ("x" * 100, f'"{"x" * 57}…"'),
        (True, "true"),
        (3, "3"),
        ((1,), "a list"),
        ({"a": 1}, "a table"),
    ],
)
def test_seen(value: object, words: str) -> None:
    assert seen(value) == words


@pytest.mark.parametrize(
    ("path", "text"),
    [(("rollout", "steps", 1, "hold"), "rollout.steps[1].hold"), (("mcp", "a b", "run"), 'mcp."a b".run')],
)
def test_dotted(path: Path, text: str) -> None:
    assert dotted(path) == text


def test_nearest() -> None:
    assert nearest("max-tokens", ["max_tokens", "timeout"]) == "max_tokens"
    assert nearest("colour", ["max_tokens", "timeout"]) is None


def test_listed() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"], "or") == "a, b or c"
