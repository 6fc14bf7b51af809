"""Where the admin token comes from, and what it lets somebody do in a whole process."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from shipway_runtime import config, contract
from shipway_runtime.admin import token as admin_token
from shipway_runtime.errors import StartError
from shipway_runtime.secrets.declared import Secrets

LONG = "a-token-that-nobody-guesses"
OPEN = {"environment": "prod", "settings": {"api": {"auth": "none"}}}


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "shipway.json").write_text('{"name": "a", "entrypoint": "a:b"}')
    monkeypatch.setattr(contract, "admin_token_file", lambda port: str(tmp_path / f"{port}.token"))
    return tmp_path


def find(place: Path, **environ: str):
    given = {
        "SHIPWAY_MANIFEST": str(place / "shipway.json"),
        "SHIPWAY_SECRETS": str(place / "secrets"),
    } | environ
    deployment = config.read(given)
    secrets = Secrets({}, place / "secrets", given)
    return admin_token.find(deployment, secrets, given), secrets


def test_given_in_the_environment(place):
    token, secrets = find(place, SHIPWAY_ADMIN_TOKEN=LONG)
    assert token.shown(f"Bearer {LONG}")
    assert secrets.redact(f"x {LONG}") == "x [redacted]"
    assert not (place / "8081.token").exists()


def test_mounted_and_rotated(place):
    (place / "secrets").mkdir()
    file = place / "secrets" / "SHIPWAY_ADMIN_TOKEN"
    file.write_text(f"{LONG}\n")
    token, secrets = find(place)
    assert token.shown(f"Bearer {LONG}")
    file.write_text(f"{LONG}-new\n")
    assert token.shown(f"Bearer {LONG}-new")
    assert not token.shown(f"Bearer {LONG}")
    assert secrets.redact(f"{LONG}-new") == "[redacted]"


@pytest.mark.parametrize("given", ["short", " " * 3])
def test_one_that_can_be_guessed_is_refused(place, given):
    with pytest.raises(StartError, match="at least 16 characters") as error:
        find(place, SHIPWAY_ADMIN_TOKEN=given)
    assert "short" not in str(error.value)
    assert find(place, SHIPWAY_ADMIN_TOKEN=given, SHIPWAY_ENV="development")[0]


def test_made_when_nobody_gives_one(place, caplog):
    caplog.set_level("INFO")
    file = place / "8081.token"
    file.symlink_to(place / "trap")
    token, _ = find(place)
    value = file.read_text().strip()
    assert len(value) == 43
    assert token.shown(f"Bearer {value}")
    assert not file.is_symlink()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not (place / "trap").exists()
    assert str(file) in caplog.text
    assert value not in caplog.text
    assert str(file) in token.where()
    token.close()
    assert list(place.glob("*.token*")) == []


def test_nowhere_to_leave_it(place, monkeypatch, caplog):
    monkeypatch.setattr(contract, "admin_token_file", lambda port: "/proc/nowhere/token")
    token, _ = find(place)
    assert "the admin port takes no changes" in caplog.text
    assert not token.shown("Bearer ")


def test_a_whole_process(start):
    agent = "import os\nasync def agent(messages): return str('SHIPWAY_ADMIN_TOKEN' in os.environ)"
    env = {"SHIPWAY_ENV": "prod", "SHIPWAY_CONFIG_JSON": json.dumps(OPEN), "SHIPWAY_ADMIN_TOKEN": LONG}
    running = start(agent, env=env)
    assert running.admin.get("/config").status_code == 401
    assert running.admin.get("/policy").status_code == 401
    assert running.admin.get("/config", headers={"authorization": f"Bearer {LONG}"}).status_code == 200
    for path in ("/healthz", "/readyz", "/metrics", "/revision"):
        assert running.admin.get(path).status_code == 200
    assert "False" in running.ask().text, "what the agent starts does not inherit it"
    running.terminate()
    assert running.exit_code() == 0
    assert LONG not in running.log()


def test_a_whole_process_that_makes_one(start):
    running = start(
        "async def agent(messages): return 'ok'", env={"SHIPWAY_ENV": "prod"}, settings=OPEN["settings"]
    )
    file = Path(contract.admin_token_file(running.ports["ADMIN"]))
    bearer = {"authorization": f"Bearer {file.read_text().strip()}"}
    assert running.admin.get("/config", headers=bearer).status_code == 200
    running.terminate()
    assert running.exit_code() == 0
    assert not file.exists()
