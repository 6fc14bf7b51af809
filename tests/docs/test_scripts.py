"""The examples of scripts.md and replays.md are scripts, and no reply of them hides another."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from shipway.replay.exchange import Request
from shipway.replay.player import unrecorded
from shipway.replay.scripts import reading
from shipway.replay.scripts.reach import unreachable
from shipway.replay.tape import load

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


def test_the_miss_is_told_as_it_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def body(prompt: str, required: list[str], question: str) -> dict[str, Any]:
        rules = [f"Rule {number}." for number in range(1, 12)]
        schema = {"type": "object", "required": required}
        return {
            "system": "\n".join([*rules, prompt]),
            "messages": [{"role": "user", "content": question}],
            "tools": [{"name": "get_time", "input_schema": schema}],
            "max_tokens": 64,
        }

    recorded = body("Answer in one sentence.", ["city"], "What time is it in Tokyo?")
    sent = body("Answer in one short sentence.", ["city", "zone"], "What time is it in Paris?")
    request = {"method": "POST", "path": "/v1/messages", "body": recorded}
    monkeypatch.chdir(tmp_path)
    Path("replays").mkdir()
    Path("replays/02-tokyo-1.json").write_text(json.dumps({"request": request, "response": {"body": {}}}))
    answer = unrecorded(load(Path("replays")), Request("POST", "/v1/messages", sent))
    assert answer.note in PAGES["replays.md"]


def test_every_key_has_a_row() -> None:
    assert {key for key in reading.KEYS if f"| `{key}` |" not in PAGES["scripts.md"]} == set()
