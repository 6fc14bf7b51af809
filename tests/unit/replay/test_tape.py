from __future__ import annotations

import json
from pathlib import Path

import pytest

from shipway.errors import SpecError
from shipway.replay import tape


def recording(question: str = "hello") -> str:
    body = {"max_tokens": 1, "messages": [{"role": "user", "content": question}]}
    request = {"method": "POST", "path": "/v1/messages", "body": body}
    return json.dumps({"request": request, "response": {"body": {}}})


def test_recordings_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "later").mkdir()
    for file in ("later/1.json", "b.json", "a.json"):
        (tmp_path / file).write_text(recording())
    (tmp_path / "notes.md").write_text("ignored")
    assert [r.file for r in tape.load(tmp_path).recordings] == ["a.json", "b.json", "later/1.json"]


def test_an_empty_directory_is_an_empty_tape(tmp_path: Path) -> None:
    assert tape.load(tmp_path) == tape.Tape(str(tmp_path))


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="not a directory"):
        tape.load(tmp_path / "none")


def test_every_finding_of_every_file_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "b.json").write_bytes(b"\xff")
    (tmp_path / "a.toml").write_text("[[reply]]\nsay = 1\n\n[[reply]]\n")
    (tmp_path / "b.toml").write_text("[[reply]]\nsay = 'x'\n\n[[reply]]\nsay = 'y'\n")
    with pytest.raises(SpecError) as raised:
        tape.load(tmp_path)
    places = [(Path(finding.file).name, finding.line) for finding in raised.value.findings]
    assert places == [("a.toml", 2), ("a.toml", 4), ("b.toml", 4), ("a.json", 1), ("b.json", 0)]
