"""docs/reference/drift.md and the journal in formats.md: every key, verdict and sign, and no others."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest

from shipway.local.plan import JOURNAL, STATE
from shipway.local.replays import find
from shipway.replay import exchange
from shipway.replay.drift import prompts, provenance, writing
from shipway.replay.drift.journal import Journal
from shipway.replay.drift.signs import SIGNS, miss_signs
from shipway.replay.drift.verdicts import STATES, verify
from shipway.replay.drift.witnesses import tool_signs
from shipway.replay.exchange import Exchange, Request
from shipway.replay.traffic import Answer, Incoming

PAGE = Path("docs/reference/drift.md").read_text(encoding="utf-8")
FORMATS = Path("docs/reference/formats.md").read_text(encoding="utf-8")
EXAMPLES = sorted(path.parent for path in Path("examples").glob("*/agent.toml"))
RECORDINGS = sorted(Path("examples").glob("*/replays/**/*.json"))
ASKED = Request("POST", "/v1/messages", {"model": "m", "tools": [{"name": "t"}]})
INCOMING = Incoming(ASKED, "/v1/messages", {"user-agent": "x/1"})


def rows(text: str, head: str) -> set[str]:
    """The words in code in the first column of the table with this head."""
    table = text.split(head, 1)[1].split("\n\n")[0]
    return {word for line in table.splitlines()[1:] for word in re.findall(r"`(\w+)`", line.split("|")[1])}


def test_every_key_of_meta_is_documented(tmp_path: Path) -> None:
    (tmp_path / "p.md").write_text("x")
    written = set(provenance.describe(INCOMING, tmp_path, "m"))
    assert rows(PAGE, "| key of `meta` |") == written | {"source"}


def test_every_key_of_the_journal_is_documented(tmp_path: Path) -> None:
    class Nothing:
        async def answer(self, incoming: Incoming) -> Answer:
            return Answer("")

    with Journal(Nothing(), tmp_path / "j") as journal:
        asyncio.run(journal.answer(INCOMING))
    written = {key for line in (tmp_path / "j").read_text().splitlines() for key in json.loads(line)}
    section = FORMATS.split(f"## Journal: `{STATE}/{JOURNAL}`", 1)[1].split("\n## ")[0]
    assert rows(section, "| key | on |") == written
    assert f"larger than {writing.SIZE // 1_000_000} MB" in PAGE


def test_every_verdict_and_every_sign_is_documented() -> None:
    assert set(re.findall(r"^\| \*\*(\w+)\*\*", PAGE, re.MULTILINE)) == set(STATES)
    signs = PAGE.split("| sign |", 1)[1].split("\n\n")[0]
    assert len(re.findall(r"^\| \w+ \|", signs, re.MULTILINE)) == len([*SIGNS, tool_signs, miss_signs])


# -- The examples: their recordings must not go stale without anybody noticing -------------------------------


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_recording_of_an_example_is_fresh(example: Path, tmp_path: Path) -> None:
    """Whatever was asked of the example itself: a demo does not ask everything."""
    copy = shutil.copytree(example, tmp_path / example.name, ignore=shutil.ignore_patterns(STATE))
    replays = find(copy)
    report = verify(replays.directory, replays.now(), replays.runs())
    assert [verdict for verdict in report.verdicts if verdict.state != "fresh" and not verdict.scripted] == []


@pytest.mark.parametrize("file", RECORDINGS, ids=str)
def test_the_meta_of_an_example_is_true_of_its_request(file: Path) -> None:
    example = next(path for path in file.parents if (path / "agent.toml").exists())
    spec = tomllib.loads((example / "agent.toml").read_text())
    recording = exchange.read(file.read_text(), str(file))
    assert isinstance(recording, Exchange)
    meta, request = recording.meta, recording.request
    assert meta.get("source") or meta.get("recorded")
    assert meta["model"] == provenance.model(request)
    assert meta["declared_model"] == spec["model"]["name"]
    assert meta.get("tools", {}) == provenance.tools(request)
    texts = prompts.read(example / spec["prompts"])
    assert meta["prompts"] == prompts.used(texts, request.body)
    assert not [line for name in meta["prompts"] for line in prompts.missing(texts[name], request.body)]
