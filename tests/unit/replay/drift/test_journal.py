"""The journal: what it notes of requests, that it survives whatever is done to its file, and what is read."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway.replay.drift import runs, writing
from shipway.replay.drift.journal import Journal, keep
from shipway.replay.drift.runs import Run, Runs
from shipway.replay.drift.signs import moment
from shipway.replay.exchange import Request
from shipway.replay.player import COUNTED
from shipway.replay.traffic import Answer, Answerer, Incoming

TOOL = {"name": "get_time", "input_schema": {"type": "object"}}
HEADERS = {"x-stainless-lang": "python", "x-stainless-package-version": "2.12.0", "user-agent": "x"}


@dataclasses.dataclass(frozen=True)
class Answered:
    """An answerer that was told its answers."""

    answers: dict[str, Answer]

    async def answer(self, incoming: Incoming) -> Answer:
        return self.answers[incoming.request.body["model"]]


RECORDED, SCRIPTED = Answer("a.json"), Answer("scripted.toml:7")
MISS = Answer("", 404)
ANSWERS = Answered({"a": RECORDED, "b": Answer("deep/b.json"), "script": SCRIPTED, "miss": MISS})


def ask(answerer: Answerer, models: Sequence[str], path: str = "/v1/messages") -> list[Answer]:
    async def all_of_them() -> list[Answer]:
        body: dict[str, Any] = {"tools": [TOOL]}
        requests = [Request("POST", path, body | {"model": model}) for model in models]
        return [await answerer.answer(Incoming(request, path, HEADERS)) for request in requests]

    return asyncio.run(all_of_them())


def run(file: Path, models: Sequence[str], answers: Answered = ANSWERS) -> None:
    with Journal(answers, file, {"system.md": "0123"}, "claude-sonnet-5") as journal:
        ask(journal, models)


def only(file: Path) -> Run:
    found = runs.read(file)
    assert found.unreadable == 0
    (one,) = found.runs
    return one


def test_a_run_is_what_was_used_and_what_was_not_recorded(tmp_path: Path) -> None:
    file = tmp_path / "replay/journal.jsonl"
    run(file, ["a", "b", "a", "miss", "script", "a", "miss"])
    told = only(file)
    assert told.whole
    assert told.used == {"a.json": 3, "deep/b.json": 1, "scripted.toml:7": 1}
    assert (told.requests, told.missed) == (7, 2)
    assert (told.prompts, told.model) == ({"system.md": "0123"}, "claude-sonnet-5")
    assert told.sdks == {"anthropic-python/2.12.0"}
    assert [each.source for each in told.unrecorded] == ["", "scripted.toml:7"]
    assert list(told.unrecorded[0].tools) == ["get_time"]
    assert set(told.last_used) == {"a.json", "deep/b.json", "scripted.toml:7"}


def test_answers_pass_as_they_are(tmp_path: Path) -> None:
    with Journal(ANSWERS, tmp_path / "j.jsonl") as journal:
        assert ask(journal, ["a", "miss"]) == [RECORDED, MISS]


def test_a_file_that_answers_again_and_again_is_two_lines(tmp_path: Path) -> None:
    run(tmp_path / "j.jsonl", ["a"] * 1000 + ["miss"] * 1000)
    assert (tmp_path / "j.jsonl").read_bytes().count(b"\n") == 5  # begin, file, sdk, miss, end
    assert only(tmp_path / "j.jsonl").requests == 2000


def test_a_run_that_was_killed_has_used_what_it_used(tmp_path: Path) -> None:
    file = tmp_path / "j.jsonl"
    run(file, ["a", "miss"])
    lines = file.read_text().splitlines()
    killed = runs.parse(lines[:-1]).runs[0]
    assert (killed.used, killed.requests, killed.missed) == ({"a.json": 1}, 2, 1)


def test_what_is_asked_of_the_replay_itself_is_no_request(tmp_path: Path) -> None:
    with Journal(ANSWERS, tmp_path / "j.jsonl") as journal:
        ask(journal, ["miss"], path="/_shipway/reset")
    assert only(tmp_path / "j.jsonl").requests == 0


def test_what_only_counts_tokens_is_no_request(tmp_path: Path) -> None:
    with Journal(Answered({"m": Answer(COUNTED)}), tmp_path / "j.jsonl") as journal:
        ask(journal, ["m"], path="/v1/messages/count_tokens")
    assert only(tmp_path / "j.jsonl").requests == 0


def test_without_a_file_there_is_no_journal() -> None:
    with keep(ANSWERS, None) as answerer:
        assert answerer is ANSWERS


def test_what_the_run_goes_with_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "system.md").write_text("x")
    monkeypatch.setenv("SHIPWAY_PROMPTS", str(tmp_path))
    monkeypatch.setenv("SHIPWAY_MODEL", "claude-sonnet-5")
    with keep(ANSWERS, tmp_path / "j.jsonl"):
        pass
    told = only(tmp_path / "j.jsonl")
    assert (list(told.prompts), told.model) == (["system.md"], "claude-sonnet-5")


# -- The file ------------------------------------------------------------------------------------------------


SEVERAL = """
import asyncio, pathlib, sys
from shipway.replay.drift.journal import Journal
from shipway.replay.exchange import Request
from shipway.replay.player import COUNTED
from shipway.replay.traffic import Answer, Incoming

class Answers:
    async def answer(self, incoming):
        return Answer(f"{sys.argv[2]}-{incoming.request.body['model']}.json")

async def ask(journal):
    for n in [*range(50), *range(50)]:
        await journal.answer(Incoming(Request("POST", "/v1/messages", {"model": str(n)}), "/v1/messages"))

with Journal(Answers(), pathlib.Path(sys.argv[1]), {}, None) as journal:
    asyncio.run(ask(journal))
"""


def test_two_replays_write_one_journal(tmp_path: Path) -> None:
    file = tmp_path / "replay/journal.jsonl"
    processes = [subprocess.Popen((sys.executable, "-c", SEVERAL, file, str(number))) for number in (1, 2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    told = runs.read(file)
    assert (len(told.runs), told.unreadable) == (2, 0)
    assert [(one.requests, len(one.used), one.whole) for one in told.runs] == [(100, 50, True)] * 2


def test_a_directory_that_takes_nothing_is_said_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "replay").write_text("in the way")  # root may write anywhere: a file stands where it must not
    run(tmp_path / "replay/journal.jsonl", ["a"] * 100)
    said = capfd.readouterr().err
    assert said.count("cannot be written") == 1
    assert "`shipway replay verify` will not know of this run" in said


def test_a_line_that_somebody_died_in_spoils_no_other(tmp_path: Path) -> None:
    file = tmp_path / "j.jsonl"
    run(file, ["a"])
    file.write_bytes(file.read_bytes()[:-20])
    run(file, ["b"])
    told = runs.read(file)
    assert (len(told.runs), told.unreadable) == (2, 1)
    assert told.last_used("deep/b.json")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "3",
        '{"run": "x"}',
        '{"run": "x", "at": "soon"}',
        '{"run": "x", "at": 1, "format": 2, "model": "", "prompts": {}}',
        '{"run": ["x"], "at": 1}',
        '{"run": "x", "at": 1, "requests": "many"}',
        '{"run": "x", "at": 1, "file": "a", "near": "b", "differs": 3, "tools": {}}',
        "\x00\x00",
    ],
)
def test_a_line_of_another_kind_is_counted_and_left_out(tmp_path: Path, line: str) -> None:
    file = tmp_path / "j.jsonl"
    run(file, ["a"])
    with file.open("a") as end:
        end.write(f"{line}\n")
    told = runs.read(file)
    assert told.unreadable == 1
    assert [one.used for one in told.asked] == [{"a.json": 1}]


KEYS = ("format", "model", "prompts", "sdk", "file", "near", "differs", "tools", "requests", "missed", "used")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


LINES = st.fixed_dictionaries(
    {"run": st.just("x") | VALUES, "at": st.integers(0, 10**10) | VALUES},
    optional=dict.fromkeys(KEYS, VALUES) | {"format": st.just(1) | VALUES},
)


@given(st.lists(LINES, max_size=5))
def test_whatever_is_in_a_journal_it_is_read(lines: list[dict[str, Any]]) -> None:
    told = runs.parse(json.dumps(line) for line in lines)
    for one in told.runs:
        moment(one.at)
    assert len(told.runs) + told.unreadable <= 2 * len(lines)


def test_bytes_that_are_no_text_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "j.jsonl"
    run(file, ["a"])
    file.write_bytes(b"\xff\xfe\n" + file.read_bytes())
    assert (runs.read(file).unreadable, len(runs.read(file).runs)) == (1, 1)


def test_no_journal_knows_of_no_run(tmp_path: Path) -> None:
    assert runs.read(tmp_path / "nothing.jsonl") == runs.read(tmp_path) == Runs()


def test_a_journal_that_grew_loses_its_older_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "SIZE", 4000)
    file = tmp_path / "j.jsonl"
    for _ in range(30):
        run(file, ["a"])
    assert file.stat().st_size < 5000
    told = runs.read(file)
    assert told.unreadable == 0
    assert told.runs[-1].whole
    assert told.runs[-1].used == {"a.json": 1}
    assert json.loads(file.read_text().splitlines()[-1])["requests"] == 1


def test_a_run_without_its_beginning_is_no_whole_run(tmp_path: Path) -> None:
    run(tmp_path / "j.jsonl", ["a"])
    lines = (tmp_path / "j.jsonl").read_text().splitlines()
    assert not runs.parse(lines[1:]).runs[0].whole
