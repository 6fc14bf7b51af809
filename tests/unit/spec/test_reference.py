from __future__ import annotations

from pathlib import Path

import pytest

from shipway.spec import keys, reference
from shipway.spec.load import load

PATH = Path(reference.__file__).parent / "reference.toml"


def test_loading_it_finds_nothing() -> None:
    assert load(PATH).spec.rollout is not None


def test_it_has_every_key_of_the_model() -> None:
    """Of an overlay, [env.NAME.model], the section is enough: its keys are those of [model]."""
    missing = {
        pattern
        for pattern, key in keys.known().items()
        if key.owner and not key.owner.__name__.startswith("Env") and pattern not in reference.documented()
    }
    documented = {(keys.known()[p].owner, p[-1]) for p in reference.documented()}
    assert {p for p in missing if (keys.known()[p].owner, p[-1]) not in documented} == set()


def test_the_model_has_every_key_of_it() -> None:
    """Also those behind `#`, which loading does not see."""
    assert ("evals", "command") in reference.documented()
    assert set(reference.documented()) <= set(keys.known())


def test_every_key_has_a_comment() -> None:
    described = {(_type(keys.known()[p]), p[-1]) for p in reference.described()}
    silent = {
        pattern
        for pattern in reference.documented()
        if (key := keys.known()[pattern]).owner and (_type(key), pattern[-1]) not in described
    }
    tables = {("model", "prices"), ("mcp",), ("services",), ("env",), ("tenants",)}
    assert silent <= tables, "which nobody writes by themselves"


def _type(key: keys.Key) -> str:
    return key.owner.__name__.removeprefix("Env") if key.owner else ""


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        ("model.timeout", 'timeout = "60s"'),
        ("env.*.model.timeout", 'timeout = "60s"'),
        ("secrets.*.kubernetes", 'kubernetes = "support/anthropic"'),
        ("secrets.*", 'ANTHROPIC_API_KEY = "env"'),
        ("evals.command", 'command = "promptfoo eval"'),
        ("rollout.gates.cost.margin", "margin = 0.02"),
        ("image", ""),
    ],
)
def test_the_example_of_a_key(pattern: str, line: str) -> None:
    assert reference.example(keys.known()[tuple(pattern.split("."))]) == line


def test_descriptions_are_the_comments() -> None:
    described = reference.described()
    assert described["image", "size"].startswith("The largest the image may be, unpacked;")
    assert described["evals", "command"].startswith("A command that runs the suite")
    assert described["evals", "scorer"] == "The function that scores an answer. Or `command`."
    assert ("mcp",) not in described
