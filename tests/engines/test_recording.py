"""Recording as unmodified SDKs see it: a real recorder between the client and a stand-in API."""

from __future__ import annotations

import base64
import gzip
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import anthropic
import httpx2
import pytest
from tests.model_api import SSE, Asked, ModelApi, Says, says_json
from tests.ports import free_port
from tests.recording import (
    KEY,
    MESSAGE,
    arguments,
    ask,
    chunks,
    files,
    post,
    read,
    record,
    stream,
)
from tests.replaying import Replay


@pytest.fixture
def replays(tmp_path: Path) -> Path:
    return tmp_path / "replays"


def test_a_stream_passes_unchanged_and_is_replayed_chunk_by_chunk(replays: Path) -> None:
    sent = stream("Hé", "llo ", "there")
    with ModelApi(lambda _: Says(sent, headers={"content-type": SSE, "request-id": "req_9"})) as api:
        with record(replays, api) as recorder:
            client = anthropic.Anthropic(base_url=recorder.url, api_key=KEY)
            with client.messages.stream(**arguments(ask())) as live:
                heard = live.get_final_text()
            assert (heard, live.response.headers["request-id"]) == ("Héllo there", "req_9")
        assert api.asked[0].headers["authorization"] == f"Bearer {KEY}"
        assert api.asked[0].headers["accept-encoding"] == "identity"
    stored = read(replays, "001-hello-1.json")
    assert [text.encode() for _, text in stored["response"]["events"]] == sent
    assert stored["meta"]["sdk"] == f"anthropic-python/{anthropic.__version__}"
    with Replay(replays) as replay:
        client = anthropic.Anthropic(base_url=replay.url, api_key="none")
        with client.messages.stream(**arguments(ask())) as played:
            assert played.get_final_text() == heard
        assert chunks(replay.url, ask()) == sent


def test_chunks_arrive_as_they_are_sent_and_their_offsets_are_stored(replays: Path) -> None:
    went_on = threading.Event()

    def slowly() -> Iterator[bytes | str]:
        first, *rest = stream("a", "b")
        yield first
        assert went_on.wait(20)
        time.sleep(0.2)
        yield from rest

    with ModelApi(lambda _: Says(slowly())) as api, record(replays, api) as recorder:
        url = f"{recorder.url}/v1/messages"
        with httpx2.stream("POST", url, json=ask(), trust_env=False) as response:
            parts = response.iter_raw()
            assert b"message_start" in next(parts)  # while the API has sent nothing else
            went_on.set()
            assert b"message_stop" in b"".join(parts)
    offsets = [offset for offset, _ in read(replays)["response"]["events"]]
    assert offsets == sorted(offsets)
    assert offsets[1] - offsets[0] >= 200


def test_headers_pass_byte_for_byte(replays: Path) -> None:
    headers = {"content-type": "application/json", "x-said": "日本".encode().decode("latin-1")}
    with (
        ModelApi(lambda _: Says([b"{}"], headers=headers)) as api,
        record(replays, api) as recorder,
        socket.create_connection(("127.0.0.1", int(recorder.url.rpartition(":")[2]))) as client,
    ):
        client.sendall("GET /v1/models HTTP/1.1\r\nhost: x\r\nx-asked: 東京\r\n\r\n".encode())
        answer = client.recv(65_536)
    assert "x-said: 日本\r\n".encode() in answer
    assert api.asked[0].headers["x-asked"].encode("latin-1").decode() == "東京"


def test_json_is_stored_as_json_and_a_file_is_made_for_diffs(replays: Path) -> None:
    with ModelApi(lambda _: says_json(MESSAGE)) as api, record(replays, api) as recorder:
        assert post(recorder.url, ask(streamed=False)).json() == MESSAGE
    assert read(replays)["response"]["body"] == MESSAGE
    text = (replays / "001-hello-1.json").read_text()
    assert text.startswith('{\n "format": 1,\n "request": {\n  "method": "POST",')
    assert text.endswith("}\n")


@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_an_api_that_compresses_all_the_same(replays: Path, coding: str) -> None:
    content = json.dumps(MESSAGE).encode()
    packed = gzip.compress(content) if coding == "gzip" else b"not really brotli"
    headers = {"content-type": "application/json", "content-encoding": coding}
    headers["content-length"] = str(len(packed))
    with ModelApi(lambda _: Says([packed], headers=headers)) as api, record(replays, api) as recorder:
        url = f"{recorder.url}/v1/messages"
        with httpx2.stream("POST", url, json=ask(streamed=False), trust_env=False) as response:
            raw, got = b"".join(response.iter_raw()), response.headers.get("content-encoding")
    if coding == "gzip":
        assert (raw, got) == (content, None)
        assert read(replays)["response"]["body"] == MESSAGE
    else:
        assert (raw, got) == (packed, "br")
        assert "not recorded: the answer is compressed with br" in recorder.text
        assert files(replays) == []


def test_a_character_that_two_chunks_share(replays: Path) -> None:
    whole = b"".join(part for part in stream("héllo") if isinstance(part, bytes))
    middle = whole.index("é".encode()) + 1
    parts: list[bytes | str] = [whole[:middle], whole[middle:]]
    with ModelApi(lambda _: Says(parts)) as api, record(replays, api) as recorder:
        assert chunks(recorder.url, ask()) == parts
    assert [text for _, text in read(replays)["response"]["events"]][1].startswith("é")
    with Replay(replays) as replay:
        assert b"".join(chunks(replay.url, ask())) == whole


def test_a_large_picture_has_a_file_of_its_own_that_recordings_share(replays: Path) -> None:
    picture = b"\x89PNG\r\n\x1a\n" + os.urandom(5_000_000)
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(picture).decode()}
    bodies = [
        ask([{"type": "image", "source": source}, {"type": "text", "text": text}], streamed=False)
        for text in ("what is it", "and where")
    ]
    with ModelApi(lambda _: says_json(MESSAGE)) as api, record(replays, api) as recorder:
        for body in bodies:
            assert post(recorder.url, body).status_code == 200
        assert [asked.body for asked in api.asked] == bodies
    (part,) = (replays / "parts").iterdir()
    assert (part.suffix, part.read_bytes()) == (".png", picture)
    assert max(path.stat().st_size for path in replays.glob("*.json")) < 2_000
    with Replay(replays) as replay:
        assert [post(replay.url, body).status_code for body in bodies] == [200, 200]
    part.write_bytes(picture[:-1])
    assert "was changed" in refused(replays)
    part.unlink()
    assert f"parts/{part.name} is missing" in refused(replays)


def refused(replays: Path) -> str:
    command = [sys.executable, "-m", "shipway.replay", str(replays), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    return done.stderr


def test_speech_is_stored_as_it_is(replays: Path) -> None:
    sound = b"ID3" + bytes(range(256)) * 200
    says = Says([sound[:100], sound[100:]], headers={"content-type": "audio/mpeg"})
    body = {"model": "tts", "input": "Good morning", "voice": "v"}
    with ModelApi(lambda _: says) as api, record(replays, api) as recorder:
        url = f"{recorder.url}/v1/audio/speech"
        assert httpx2.post(url, json=body, trust_env=False).content == sound
        assert api.asked[0].target == "/audio/speech"
    assert [path.suffix for path in (replays / "parts").iterdir()] == [".mp3"]
    with Replay(replays) as replay:
        answer = httpx2.post(f"{replay.url}/v1/audio/speech", json=body, trust_env=False)
        assert (answer.content, answer.headers["content-type"]) == (sound, "audio/mpeg")


def test_a_file_that_is_uploaded_matches_though_its_boundary_differs(replays: Path) -> None:
    sound = {"file": ("a.mp3", b"ID3\xff\xfe" * 9_000, "audio/mpeg")}

    def upload(url: str) -> httpx2.Response:
        form, client = {"model": "whisper"}, httpx2.Client(trust_env=False)
        with client:
            return client.post(f"{url}/v1/audio/transcriptions", data=form, files=sound)

    with ModelApi(lambda _: says_json({"text": "hello"})) as api, record(replays, api) as recorder:
        assert upload(recorder.url).json() == {"text": "hello"}
    assert b"ID3\xff\xfe" in api.asked[0].content
    with Replay(replays) as replay:
        assert upload(replay.url).json() == {"text": "hello"}


# -- Where requests go ---------------------------------------------------------------------------------------


def test_each_provider_has_its_own_api_and_its_own_base_path(replays: Path) -> None:
    asked: dict[str, str] = {}

    def api(name: str) -> ModelApi:
        def answer(request: Asked) -> Says:
            asked[name] = request.target
            return says_json({"from": name})

        return ModelApi(answer)

    with api("anthropic") as one, api("openai") as two, api("gemini") as three:
        upstreams = [f"anthropic={one.url}/a", f"openai={two.url}/o/v1", f"gemini={three.url}"]
        options = [word for upstream in upstreams for word in ("--upstream", upstream)]
        with record(replays, one, *options) as recorder:
            client = httpx2.Client(base_url=recorder.url, trust_env=False)
            client.post("/v1/messages?beta=true", json={}, headers={"anthropic-version": "2023-06-01"})
            client.get("/v1/models", headers={"anthropic-version": "2023-06-01"})
            client.post("/v1/responses", json={"input": "hi"})
            client.post("/v1beta/models/g:generateContent?key=abc", json={})
            client.close()
    assert asked == {
        "anthropic": "/a/v1/models",
        "openai": "/o/v1/responses",
        "gemini": "/v1beta/models/g:generateContent?key=abc",
    }


def test_an_api_with_a_certificate_of_ones_own(replays: Path, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = (
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=localhost",
    )
    named = ("-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate)
    subprocess.run((*make, *named), check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with ModelApi(lambda _: says_json(MESSAGE), tls) as api:
        with record(replays, api, env={"SSL_CERT_FILE": str(certificate)}) as recorder:
            assert post(recorder.url, ask(streamed=False)).json() == MESSAGE
        with record(replays, api) as recorder:
            answer = post(recorder.url, ask(streamed=False))
    assert (answer.status_code, answer.headers["x-should-retry"]) == (502, "false")
    assert "cannot be reached" in answer.json()["error"]["message"]
    assert "CERTIFICATE_VERIFY_FAILED" in recorder.text


def test_an_api_that_is_not_there_is_one_clear_message(replays: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with Replay(replays, "--record", "--upstream", url) as recorder:
        client = anthropic.Anthropic(base_url=recorder.url, api_key=KEY)
        with pytest.raises(anthropic.APIStatusError, match=f"{url}/v1/messages cannot be reached"):
            client.messages.create(**arguments(ask()))
    assert recorder.text.count("cannot be reached") == 1
    assert KEY not in recorder.text
