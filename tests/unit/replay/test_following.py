"""A tape that follows its directory."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path

import pytest

from shipway.replay.exchange import Exchange, Request, Response
from shipway.replay.following import Following
from shipway.replay.player import Player
from shipway.replay.tape import load
from shipway.replay.traffic import Answer, Incoming

SCRIPT = "[[reply]]\nsay = '{}'"


def request(question: str) -> Request:
    messages = [{"role": "user", "content": question}]
    return Request("POST", "/v1/messages", {"max_tokens": 1, "messages": messages})


class Directory:
    """A directory that is played while it is edited."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.write("s.toml", SCRIPT.format("before"))
        self.record("1.json", "hello", 1)
        tape = load(path)
        player = Player(tape)
        self._answerer = Following(player, tape, player.insert)

    def write(self, file: str, text: str) -> None:
        (self._path / file).write_text(text)

    def record(self, file: str, question: str, number: int) -> None:
        exchange = Exchange(request(question), Response(body={"n": number}))
        self.write(file, json.dumps(dataclasses.asdict(exchange)))

    def delete(self, file: str) -> None:
        (self._path / file).unlink()

    def ask(self, question: str) -> Answer:
        asked = request(question)
        return asyncio.run(self._answerer.answer(Incoming(asked, asked.path)))

    def said(self, question: str) -> str:
        return str(self.ask(question).body["content"][0]["text"])


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    return Directory(tmp_path)


def test_what_is_edited_added_and_deleted_counts_from_the_next_request_on(directory: Directory) -> None:
    assert directory.said("help") == "before"
    directory.write("s.toml", SCRIPT.format("after"))
    assert directory.said("help") == "after"
    directory.record("2.json", "help", 2)
    assert directory.ask("help").body == {"n": 2}
    directory.record("2.json", "help", 33)
    assert directory.ask("help").body == {"n": 33}
    directory.delete("2.json")
    assert directory.said("help") == "after"


def test_what_is_ignored_counts_for_recordings_that_were_there_before(directory: Directory) -> None:
    directory.record("1.json", "build 5", 1)
    assert directory.ask("build 6").source == "s.toml:1"
    directory.write("i.toml", "[[ignore]]\ntext = 'build \\d+'")
    assert directory.ask("build 6").body == {"n": 1}


def test_a_position_outlives_an_edit_of_something_else(directory: Directory) -> None:
    directory.record("2.json", "hello", 2)
    assert directory.ask("hello").body == {"n": 1}
    directory.write("s.toml", SCRIPT.format("x"))
    assert directory.ask("hello").body == {"n": 2}


def test_a_recording_that_changed_is_not_passed_over(directory: Directory) -> None:
    directory.record("2.json", "hello", 2)
    directory.write("1.json", "{")
    assert directory.ask("hello").status == 404
    directory.record("1.json", "hello", 11)
    assert [directory.ask("hello").body for _ in range(2)] == [{"n": 11}, {"n": 2}]


def test_a_broken_edit_leaves_the_last_good_tape(
    directory: Directory, capsys: pytest.CaptureFixture[str]
) -> None:
    directory.write("s.toml", "[[reply]]\nsays = 'x'")
    assert directory.said("help") == "before"
    assert directory.ask("hello").body == {"n": 1}
    told = capsys.readouterr().err
    assert told.count("s.toml:2: unknown key says") == 1  # and not at every request
    assert "what was read before still answers" in told


def test_a_recording_that_became_wrong_or_vanished_says_so(directory: Directory, tmp_path: Path) -> None:
    directory.write("1.json", "{")
    answer = directory.ask("hello")
    assert answer.status == 404
    assert "1.json has changed since it was read" in answer.note
    directory.record("1.json", "hello", 4)
    directory.record("2.json", "bye", 2)
    assert directory.ask("hello").body == {"n": 4}
    directory.write("s.toml", "broken")
    directory.delete("2.json")
    assert "2.json is gone since it was read" in directory.ask("bye").note
    tmp_path.rename(tmp_path.with_name("elsewhere"))
    assert directory.said("help") == "before"
