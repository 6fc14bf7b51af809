"""What a revision is called, and that everything a process gives out carries it: whole runtimes, grepped."""

from __future__ import annotations

import dataclasses
import json
import socket

import pytest

from shipway_runtime import contract
from shipway_runtime.config import check_revision, read
from shipway_runtime.contract import Config, Settings
from shipway_runtime.errors import StartError

CONFIG = contract.encode(Config("prod", Settings(config={"greeting": "short"})))
NAMED = f"0123456789ab-{contract.config_digest(CONFIG)}"
AGENT = """
import warnings, logging
async def agent(messages, ctx):
    logging.getLogger("theirs").warning("a line of the agent's")
    if messages[-1].content == "fail":
        raise RuntimeError("on purpose")
    yield "o"
    yield "k"
"""
ASGI = """
async def agent(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
            if kind.endswith("shutdown"):
                return
    if scope["path"] == "/boom":
        raise RuntimeError("on purpose")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
"""


def deployment(tmp_path, said="", config=CONFIG):
    (tmp_path / "shipway.json").write_text('{"name": "test", "entrypoint": "agent:agent"}')
    environ = {"SHIPWAY_MANIFEST": str(tmp_path / "shipway.json"), "SHIPWAY_REVISION": said}
    environ |= {"SHIPWAY_CONFIG_JSON": config} if config else {}
    return read(environ), check_revision(read(environ), environ)


@pytest.mark.parametrize(
    ("said", "config", "runs"),
    [
        (NAMED, CONFIG, NAMED),
        ("0123456789ab", CONFIG, NAMED),
        ("0123456789ab", None, "0123456789ab"),
        ("v1.2-main", CONFIG, "v1.2-main"),
        ("", None, "unreleased"),
        ("", CONFIG, f"unreleased-{contract.config_digest(CONFIG)}"),
    ],
)
def test_what_runs(tmp_path, said, config, runs):
    found, warning = deployment(tmp_path, said, config)
    assert (found.revision, warning) == (runs, None)


def test_a_config_that_somebody_changed_is_another_revision(tmp_path):
    changed = CONFIG.replace("short", "long")
    found, warning = deployment(tmp_path, NAMED, changed)
    assert found.revision == f"0123456789ab-{contract.config_digest(changed)}" != NAMED
    assert f"SHIPWAY_REVISION says {NAMED}" in (warning or "")
    assert found.revision in (warning or "")


def test_spelling_and_provenance_are_no_change():
    value = contract.decode(Config, CONFIG, "config")
    elsewhere = contract.encode(dataclasses.replace(value, provenance={"config.greeting": "agent.toml:9"}))
    packed = json.dumps(dict(reversed(json.loads(elsewhere).items())), separators=(",", ":"))
    assert contract.config_digest(packed) == contract.config_digest(CONFIG)


def test_how_a_secret_comes_is_no_change():
    """An engine that has no files is told another source, and runs the same revision."""
    value = contract.decode(Config, CONFIG, "config")

    def digest(source):
        secrets = {"KEY": contract.Secret(source)}
        settings = dataclasses.replace(value.settings, secrets=secrets)
        return contract.config_digest(contract.encode(dataclasses.replace(value, settings=settings)))

    assert digest("env") == digest("file") != digest("broker")


@pytest.mark.parametrize("text", ['{"settings": 1}', '{"settings": {"secrets": [1]}}', "{}"])
def test_a_config_of_another_shape_has_digits_too(text):
    assert len(contract.config_digest(text)) == 6


def test_a_revision_that_no_header_can_carry(tmp_path):
    with pytest.raises(StartError, match=r"SHIPWAY_REVISION: expected letters, digits.*at most 128; saw"):
        deployment(tmp_path, "r-1\r\nset-cookie: x")


def raw(port: int, text: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while data := connection.recv(65536):
            answer += data
    return answer


@pytest.fixture(scope="module")
def running(start_shared):
    settings = {"api": {"auth": "none"}}
    gone = {"name": "gone", "shape": "inside", "command": ["/nonexistent"], "optional": True}
    env = {"SHIPWAY_REVISION": "r-1", "SHIPWAY_ENV": "prod", "SHIPWAY_ADMIN_TOKEN": "admin-token-123456"}
    return start_shared(AGENT, settings=settings, mcp=[gone], env=env)


def test_every_answer_carries_it(running):
    api, admin = running.api, running.admin
    answers = {
        "a turn": running.ask(),
        "a stream": running.ask(stream=True),
        "an agent's error": running.ask("fail"),
        "what is no JSON": api.post("/v1/responses", content=b"{"),
        "what is not there": api.get("/nothing"),
        "another method": api.get("/v1/responses"),
        "an invocation": api.post("/invocations", json={"prompt": "hi"}),
        "a ping": api.get("/ping"),
        "health": api.get("/healthz"),
        "readiness": api.get("/readyz"),
        "the admin's health": admin.get("/healthz"),
        "the admin's readiness": admin.get("/readyz"),
        "metrics": admin.get("/metrics"),
        "a refusal": admin.get("/config"),
        "nothing of the admin's": admin.get("/nothing"),
    }
    assert {what: a.headers.get("x-shipway-revision") for what, a in answers.items()} == dict.fromkeys(
        answers, "r-1"
    )
    for port in ("API", "ADMIN", "RELAY"):
        assert b"x-shipway-revision: r-1\r\n" in raw(running.ports[port], b"no HTTP\r\n\r\n"), port
    asked = b"POST /mcp/gone HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 2\r\n\r\n{}"
    assert b"x-shipway-revision: r-1\r\n" in raw(running.ports["RELAY"], asked)


def test_every_line_and_every_outcome_names_it(running):
    running.ask()
    running.ask("fail")
    raw(running.ports["API"], b"no HTTP\r\n\r\n")
    running.wait_for(lambda: len(running.outcomes()) >= 2, "outcomes")
    running.wait_for(lambda: "uvicorn.error" in running.log(), "uvicorn's line")
    lines = [json.loads(line) for line in running.log().splitlines()]
    loggers = {line["logger"] for line in lines}
    assert {"theirs", "shipway", "shipway.turn", "shipway.mcp", "uvicorn.error"} <= loggers
    assert {line.get("revision") for line in lines} == {"r-1"}
    assert {outcome["revision"] for outcome in running.outcomes()} == {"r-1"}


def test_metrics_name_it(running):
    page = running.admin.get("/metrics").text
    assert page.count('revision="r-1"') == 1
    assert 'shipway_build_info{environment="prod",name="test",revision="r-1"' in page
    assert running.admin.get("/revision").json()["revision"] == "r-1"


def test_an_application_of_its_own_carries_it(start):
    running = start(ASGI, env={"SHIPWAY_REVISION": "r-1"})
    paths = ("/", "/boom")
    assert [running.api.get(path).headers.get("x-shipway-revision") for path in paths] == ["r-1", "r-1"]


def test_what_keeps_it_from_starting_is_a_line_of_the_log_as_well(start):
    running = start(AGENT, ready=False, env={"SHIPWAY_ENV": "prod", "SHIPWAY_CONFIG_JSON": "{"})
    assert running.exit_code() == 1
    (line,) = running.log().splitlines()
    assert json.loads(line)["message"].startswith("SHIPWAY_CONFIG_JSON: not JSON")
