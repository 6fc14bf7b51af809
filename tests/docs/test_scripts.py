"""The examples of scripts.md and replays.md are scripts, and no reply of them hides another."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shipway.replay.scripts import reading
from shipway.replay.scripts.reach import unreachable

DOCS = Path(__file__).parents[2] / "docs/reference"
PAGES = {name: (DOCS / name).read_text("utf-8") for name in ("scripts.md", "replays.md")}
EXAMPLES = [
    (name, example)
    for name, page in PAGES.items()
    for example in re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
]


@pytest.mark.parametrize(("page", "example"), EXAMPLES)
def test_an_example_is_a_script(page: str, example: str) -> None:
    script, findings = reading.read(example, page)
    assert not findings
    assert not list(unreachable(script.replies, Path(page)))
    assert script.replies or script.ignored


def test_every_key_has_a_row() -> None:
    assert {key for key in reading.KEYS if f"| `{key}` |" not in PAGES["scripts.md"]} == set()
