"""Values of secrets: where they lie, who may read them, and that they rotate whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shipway.plan.deployment import Container
from shipway.rollout.service.secrets import Secrets
from shipway_runtime import contract

AGENT = Container("agent", "a", secrets={"KEY": "file", "URL": "env"})
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="files are given to others by root alone")


def test_it_says_which_values_are_others_than_before(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path, "/machine")
    assert secrets.put({"KEY": "1", "URL": "u"}) == ()
    assert secrets.put({"KEY": "1", "URL": "u"}) == ()
    assert secrets.put({"KEY": "2", "URL": "u"}) == ("KEY",)
    assert secrets.put({"URL": "u"}) == ()
    assert secrets.read()["KEY"] == "2"  # a former revision may need it


def test_nobody_else_can_read_them(tmp_path: Path) -> None:
    Secrets(tmp_path, "/machine").put({"KEY": "1"})
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_tokens_are_made_once_and_are_three(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path, "/machine")
    values = secrets.read()
    again = Secrets(tmp_path, "/machine")
    assert again.read() == values
    lines = [line.split() for line in values[contract.env.CONTROL_TOKENS].splitlines()]
    assert [(role, name) for role, name, _ in lines] == [
        ("report", "agents"),
        ("operate", "controller"),
        ("operate", "people"),
    ]
    tokens = [token for _, _, token in lines]
    assert len({*tokens, values[contract.env.ADMIN_TOKEN]}) == 4
    assert (values[contract.env.CONTROL_TOKEN], again.own_token, again.peoples_token) == tuple(tokens)


@needs_root
def test_a_container_has_the_files_that_it_needs_and_no_others(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path, "/machine")
    secrets.put({"KEY": "1", "URL": "u", "OTHER": "o"})
    assert secrets.files("r1", AGENT) == {"/run/secrets": "/machine/secrets/r1/agent"}
    place = tmp_path / "secrets/r1/agent"
    assert [path.name for path in place.iterdir()] == ["KEY"]
    stat = (place / "KEY").stat()
    assert (stat.st_uid, stat.st_mode & 0o777) == (contract.UID, 0o400)
    secrets.put({"KEY": "2"})
    secrets.files("r1", AGENT)
    assert (place / "KEY").read_text() == "2"
    assert [path.name for path in place.iterdir()] == ["KEY"]
    secrets.forget("r1")
    assert not place.exists()


def test_a_container_without_secrets_has_no_directory(tmp_path: Path) -> None:
    assert Secrets(tmp_path, "/machine").files("r1", Container("pod", "a")) == {}
