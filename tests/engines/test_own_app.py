"""examples/06-own-app: an application that owns the API port, and what the runtime does around it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.engines.framework_agents.servers import ModelServer
from tests.installing import from_pypi
from tests.unit.runtime.conftest import Running

pytestmark = pytest.mark.network

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/06-own-app"
TOKEN = "a-token-that-nobody-guesses"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    place = tmp_path_factory.mktemp("own-app")
    requirements = str(EXAMPLE / "requirements.txt")
    python = from_pypi(place / "venv", str(ROOT / "runtime"), "-r", requirements) / "python"
    spec = tomllib.loads((EXAMPLE / "agent.toml").read_text())
    settings = {"model": spec["model"], "limits": {"concurrency": 50}}
    manifest = {"name": spec["name"], "entrypoint": spec["entrypoint"], "settings": settings}
    (place / "shipway.json").write_text(json.dumps(manifest))
    model = ModelServer(EXAMPLE / "replays")
    env = {
        "OPENAI_BASE_URL": model.url,
        "OPENAI_API_KEY": "sk-none",
        "SHIPWAY_SOURCE": str(EXAMPLE),
        "SHIPWAY_PROMPTS": str(EXAMPLE / "prompts"),
        "SHIPWAY_ADMIN_TOKEN": TOKEN,
    }
    running = Running(place, env, python)
    running.wait_ready()
    yield running
    running.close()
    model.close()


def chat(running: Running, message: str) -> httpx2.Response:
    return running.api.post("/chat", json={"message": message})


def test_it_answers_on_a_path_of_its_own(running: Running) -> None:
    answer = chat(running, "What is the capital of France?")
    assert (answer.status_code, answer.text) == (200, "Paris is the capital of France.")
    assert answer.headers["x-shipway-revision"] == "unreleased"
    assert running.api.post("/v1/responses", json={"input": "hi"}).status_code == 404


def test_the_policy_stands_in_front_of_it(running: Running) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    kill = {"policy": {"kill": {"all": True}}, "for_s": 60}
    assert running.admin.put("/policy", json=kill, headers=headers).status_code == 200
    refused = chat(running, "hi")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "agent_disabled")
    assert running.admin.delete("/policy", headers=headers).status_code == 200
    assert chat(running, "hi").status_code == 200


def test_its_lifespan_ends_in_order(running: Running) -> None:
    running.terminate()
    assert running.exit_code() == 0, running.log()
    assert "Traceback" not in running.log()
