"""A database of [services] under Docker Compose: one command brings it up, and conversations are in it."""

from __future__ import annotations

import contextlib
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import database_images
from tests.compose import Compose, second_version, shipway
from tests.conftest import _engine
from tests.ports import free_port

pytestmark = [pytest.mark.docker, pytest.mark.network, pytest.mark.long]

TOML = """\
name = "ledger"
entrypoint = "ledger:agent"
[api]
auth = "none"
[image]
repository = "{name}"
[secrets]
DATABASE_URL = "{source}"
[storage]
url = {{ secret = "DATABASE_URL" }}
[services.db]
image = "{image}"
env_url = "DATABASE_URL"
"""
AGENT = """\
async def agent(messages, ctx):
    return " ".join(m["content"] for m in messages if m["role"] == "user")
"""
TURNS = "SELECT turn, status FROM shipway_ledger.turn WHERE conversation = 'c' ORDER BY turn"
PSQL = ("exec", "-T", "db", "psql", "-U", "postgres", "-h", "127.0.0.1", "-Atc")


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The name of an image of this machine's PostgreSQL."""
    docker, name = _engine("docker"), f"shipway-test-{uuid.uuid4().hex[:8]}/postgres:17"
    database_images.import_postgres(docker, name, Path(_engine("postgres")))
    yield name
    subprocess.run((docker, "rmi", "--force", name), capture_output=True)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    return second_version(tmp_path_factory.mktemp("compose") / "venv")


@pytest.fixture(params=["env", "file"])
def stack(request: pytest.FixtureRequest, tmp_path: Path, program: str, postgres: str) -> Iterator[Compose]:
    """Rendered, and not up yet; nothing of it is left."""
    name = f"shipway-test-{uuid.uuid4().hex[:8]}"
    (tmp_path / "agent.toml").write_text(TOML.format(name=name, image=postgres, source=request.param))
    (tmp_path / "ledger.py").write_text(AGENT)
    shipway("build", "--load", cwd=tmp_path)
    shipway("render", "compose", cwd=tmp_path)
    compose = Compose(program, _engine("docker"), tmp_path / "deploy/compose/development")
    compose.take(free_port(), free_port())
    compose.hurry("agent")
    yield compose
    compose.down()
    assert compose.left() == []
    subprocess.run((compose.docker, "rmi", "--force", name), capture_output=True)


def answer(stack: Compose, question: str) -> str | None:
    """None while the agent has not found its database again."""
    with contextlib.suppress(AssertionError):
        return stack.ask(question, "c")
    return None


def test_conversations_are_in_it_and_survive_the_stack(stack: Compose) -> None:
    stack("up", "-d")
    stack.wait_until_ready()
    assert stack.check("storage") == "up"
    assert stack.ask("one", "c") == "one"
    assert stack(*PSQL, TURNS) == "1|ok"

    stack("exec", "--detach", "db", "sh", "-c", "kill -QUIT 1")  # as a crash: nothing is put in order
    stack.until(lambda: stack.inspect("db")["RestartCount"] == 1)
    stack.wait_until_ready()
    assert stack.until(lambda: answer(stack, "two")) == "one two"

    stack("down")
    stack("up", "-d")
    stack.wait_until_ready()
    assert stack.ask("three", "c") == "one two three"
