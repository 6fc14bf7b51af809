"""Secrets pass, and are in no file."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.model_api import SSE, Asked, ModelApi, Says, says_json
from tests.recording import (
    KEY,
    MESSAGE,
    ask,
    chunks,
    files,
    post,
    record,
    stream,
)
from tests.replaying import Replay


@pytest.fixture
def replays(tmp_path: Path) -> Path:
    return tmp_path / "replays"


CANARY = 'c4nary/"Secret"+value\n42'
GITHUB = "ghp_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5"


def spellings(value: str) -> set[bytes]:
    once = json.dumps(value)[1:-1]
    found = {value, once, json.dumps(once)[1:-1], quote(value), quote(value, safe="")}
    encoded = {base64.b64encode(b"x" * shift + value.encode()) for shift in range(3)}
    return {text.encode() for text in found} | {text[4:-4] for text in encoded}


def test_no_file_holds_a_secret_however_it_is_written(replays: Path) -> None:
    basic = base64.b64encode(f"user:{CANARY}".encode()).decode()
    url = f"https://x.test/?t={quote(CANARY, safe='')}"
    told = f"It is {CANARY} or {GITHUB}, header Basic {basic}, {url} {KEY}"
    whole = b"".join(part for part in stream(told) if isinstance(part, bytes))
    middle = whole.index(b"c4nary") + 3
    body = ask(
        f"{told} {base64.b64encode(CANARY.encode()).decode()}",
        system=json.dumps({"inner": json.dumps(CANARY)}),
    )
    headers = {"content-type": SSE, "anthropic-organization-id": "org-canary", "set-cookie": "session=canary"}

    def answer(asked: Asked) -> Says:
        said = json.loads(asked.content)
        if said["stream"]:
            return Says([whole[:middle], whole[middle:]], headers=headers)
        return says_json(MESSAGE | {"content": [{"type": "text", "text": told}]}, request_id=f"req_{KEY}")

    with ModelApi(answer) as api:
        with record(replays, api, "--secret", "CRM_TOKEN", env={"CRM_TOKEN": CANARY}) as recorder:
            assert post(recorder.url, body, **{"x-api-key": KEY}).content == whole
            post(recorder.url, body | {"stream": False, "temperature": 0}, **{"x-api-key": KEY})
            post(recorder.url, ask(CANARY, streamed=False))
        assert [asked.body["messages"] for asked in api.asked[:2]] == [body["messages"]] * 2
    written = b"".join(
        path.read_bytes() + path.name.encode() for path in replays.rglob("*") if path.is_file()
    )
    assert written.count(b"<secret CRM_TOKEN>") >= 8
    for value in (CANARY, GITHUB, KEY, "org-canary", "session=canary"):
        assert not [spelling for spelling in spellings(value) if spelling in written]
        assert not [spelling for spelling in spellings(value) if spelling.decode() in recorder.text]
    with Replay(replays, "--secret", "CRM_TOKEN", env={"CRM_TOKEN": "another-value-of-it"}) as replay:
        assert post(replay.url, ask("another-value-of-it", streamed=False)).status_code == 200
    with Replay(replays, "--secret", "CRM_TOKEN", env={"CRM_TOKEN": CANARY}) as replay:
        assert post(replay.url, body, **{"x-api-key": KEY}).status_code == 200


def test_an_answer_that_spells_out_a_secret_is_not_stored(replays: Path) -> None:
    pieces = stream("It is c4na", "ry-secret", "-value.")
    given = {"CRM": "c4nary-secret-value"}
    with (
        ModelApi(lambda _: Says(pieces)) as api,
        record(replays, api, "--secret", "CRM", env=given) as recorder,
    ):
        assert chunks(recorder.url, ask()) == pieces
    assert files(replays) == []
    assert "not recorded: the answer spells out a secret, piece by piece" in recorder.text
