from __future__ import annotations

import base64
import json
import time

import pytest

from shipway_runtime.contract import Secret
from shipway_runtime.secrets.declared import Secrets

ANTHROPIC, GOOGLE = "ANTHROPIC_IDENTITY_TOKEN_FILE", "GOOGLE_APPLICATION_CREDENTIALS"


def jwt(**claims):
    parts = (json.dumps(part).encode() for part in ({"alg": "none"}, claims))
    return ".".join([*(base64.urlsafe_b64encode(p).rstrip(b"=").decode() for p in parts), "signature"])


@pytest.fixture
def token(tmp_path):
    file = tmp_path / "token"
    file.write_text(jwt(exp=time.time() + 3600))
    return file


def declared(name, path, directory):
    return Secrets({name: Secret("env")}, directory, {name: str(path)})


def test_the_variable_stays_a_path(token, tmp_path):
    secrets = declared(ANTHROPIC, token, tmp_path)
    assert secrets.value(ANTHROPIC) == str(token)
    assert secrets.problems() == []


def test_what_is_in_the_file_is_redacted_and_its_path_is_not(token, tmp_path):
    secrets = declared(ANTHROPIC, token, tmp_path)
    first = token.read_text()
    assert secrets.redact(f"{token}: {first}") == f"{token}: [redacted]"
    token.write_text(jwt(exp=time.time() + 7200))
    assert secrets.redact(token.read_text() + first) == "[redacted][redacted]"


def test_missing_and_expired_are_told_apart(token, tmp_path):
    secrets = declared(ANTHROPIC, token, tmp_path)
    token.write_text(jwt(exp=time.time() - 100))
    assert secrets.problems()[0].startswith(f"{ANTHROPIC}: the token in {token} expired 100 s ago")
    token.unlink()
    assert secrets.problems() == [f"{ANTHROPIC}: no readable file {token}"]
    unset = Secrets({ANTHROPIC: Secret("env")}, tmp_path, {})
    assert unset.problems() == [f"{ANTHROPIC}: not in the environment"]


@pytest.mark.parametrize(
    "content", ["opaque", "a.b.c", "a.!!!.c", jwt(sub="x"), jwt(exp=True), jwt(exp="soon")]
)
def test_a_token_that_does_not_say_when_it_ends_is_taken_as_it_is(token, tmp_path, content):
    token.write_text(content)
    assert declared(ANTHROPIC, token, tmp_path).problems() == []


def test_googles_file_may_name_the_tokens(token, tmp_path):
    file = tmp_path / "google.json"
    file.write_text(json.dumps({"type": "external_account", "credential_source": {"file": str(token)}}))
    secrets = declared(GOOGLE, file, tmp_path)
    assert secrets.problems() == []
    assert secrets.redact(token.read_text()) == "[redacted]"
    token.write_text(jwt(exp=time.time() - 100))
    assert "the token in" in secrets.problems()[0]
    token.unlink()
    assert secrets.problems() == [f"{GOOGLE}: no readable file {token}"]


def test_googles_file_may_be_a_key(tmp_path):
    file = tmp_path / "google.json"
    file.write_text(json.dumps({"type": "service_account", "private_key": "-----BEGIN x\nkey\n"}))
    secrets = declared(GOOGLE, file, tmp_path)
    assert secrets.problems() == []
    assert secrets.redact(file.read_text()) == '{"type": "service_account", "private_key": "[redacted]"}'


def test_another_variable_is_a_plain_secret(tmp_path):
    secrets = declared("TOKEN_FILE", "/nowhere", tmp_path)
    assert secrets.problems() == []
    assert secrets.redact("/nowhere") == "[redacted]"


AGENT = """
import json, os

async def agent(messages, ctx):
    return json.dumps({"agent": os.environ["ANTHROPIC_IDENTITY_TOKEN_FILE"]})
"""


def test_it_reaches_the_agent_and_no_mcp_server(start, token, tmp_path):
    script = "import os, pathlib, sys; pathlib.Path(sys.argv[1]).write_text('\\n'.join(os.environ))"
    seen = tmp_path / "seen"
    server = {
        "name": "look",
        "shape": "inside",
        "command": ["python3", "-c", script, str(seen)],
        "optional": True,
    }
    env = {ANTHROPIC: str(token), "SHIPWAY_ENV": "prod"}
    settings = {"secrets": {ANTHROPIC: {"source": "env"}}, "api": {"auth": "none"}}
    running = start(AGENT, env=env, settings=settings, mcp=[server])
    assert str(token) in running.ask().text
    running.wait_for(seen.exists, "start of the server")
    running.wait_for(lambda: "PATH" in seen.read_text(), "what it saw")
    assert "TOKEN" not in seen.read_text()
    token.write_text(jwt(exp=1))
    running.wait_for(lambda: running.get_admin("/readyz") == 503, "unreadiness")
    assert "expired" in running.admin.get("/readyz").json()["checks"]["secrets"]["last_error"]
    token.write_text(jwt(exp=time.time() + 3600))
    running.wait_ready()


def test_a_file_dotenv_is_not_read(start, tmp_path):
    (tmp_path / ".env").write_text("KEY=from-dotenv\n")
    running = start(
        "async def agent(messages): return 'x'", ready=False, settings={"secrets": {"KEY": {"source": "env"}}}
    )

    def problem():
        return running.admin.get("/readyz").json()["checks"].get("secrets", {}).get("last_error")

    running.wait_for(lambda: running.get_admin("/readyz") == 503 and problem(), "a missing secret")
    assert problem() == "KEY: not in the environment"
