"""What the rules say about files, as (rule, line)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shipway.check.manifests.subject import read
from shipway.check.rule import run
from shipway.check.rules import MANIFEST

Found = list[tuple[str, int]]
Judge = Callable[..., Found]


@pytest.fixture
def judge() -> Judge:
    def found(*texts: str, drain: float | None = None) -> Found:
        files = [(f"{number}.yaml", text) for number, text in enumerate(texts, 1)]
        return [(finding.rule, finding.line) for finding in run(MANIFEST, read(files, drain), "")]

    return found
