from __future__ import annotations

import pytest

from shipway.spec import keys
from shipway.spec.positions import Path


def test_patterns_of_tables_names_lists_and_unions() -> None:
    known = keys.known()
    for pattern in ("name", "mcp.*.tools.deny", "secrets.*.token_url", "secrets.*.kubernetes", "config.*"):
        assert tuple(pattern.split(".")) in known
    assert ("rollout", "steps", "*", "weight") in known
    assert ("env", "*", "kubernetes", "namespace") in known
    assert ("env", "*", "mcp") not in known


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        (("mcp", "git", "tools"), ("mcp", "*", "tools")),
        (("rollout", "steps", 1, "weight"), ("rollout", "steps", "*", "weight")),
        (("env", "prod", "secrets", "KEY"), ("env", "*", "secrets", "*")),
        (("mcp", "git", "tool"), None),
        (("name", "x"), None),
    ],
)
def test_find(path: Path, pattern: keys.Pattern | None) -> None:
    found = keys.find(path)
    assert (found.pattern if found else None) == pattern


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("mcp.*.concurrency", "a whole number of 1 or more"),
        ("rollout.steps.*.weight", "a whole number from 1 to 100"),
        ("rollout.alpha", "a number above 0 and below 1"),
        ("evals.sample", "a number from 0 to 1"),
        ("mcp.*.optional", "true or false"),
        ("mcp.*.shape", '"inside", "sidecar" or "service"'),
        ("mcp.*.args", 'a list of texts: ["…"]'),
        ("model.timeout", 'a duration such as "500ms", "60s", "5m" or "1h"'),
        ("image", "a table"),
    ],
)
def test_expected_in_the_words_of_the_file(pattern: str, expected: str) -> None:
    assert keys.known()[tuple(pattern.split("."))].expected == expected


def test_below() -> None:
    assert keys.below(("storage",)) == ["path", "size", "url"]
    assert keys.below(("config",)) == [], "names that the user chooses"
    assert "entrypoint" in keys.below(())
