"""Revisions as stacks of `shipway up`: started, ended, one volume for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx2
import pytest
from tests.ports import free_port
from tests.routing import until

from shipway.deploy.processes.stacks import Stacks
from shipway.errors import RolloutError

pytestmark = pytest.mark.network

AGENT = """
async def agent(messages):
    yield f"{word}, turn {{sum(message['role'] == 'user' for message in messages)}}"
"""
SPEC = 'name = "test"\nentrypoint = "agent:agent"\n[api]\nauth = "none"\n[storage]\npath = "/data"\n'


@pytest.fixture
def stacks(project: Callable[[Mapping[str, str]], Path], tmp_path: Path) -> Iterator[Stacks]:
    projects = {}
    for revision in ("old", "new"):
        projects[revision] = tmp_path / revision
        made = project({"agent.toml": SPEC, "agent.py": AGENT.format(word=revision)})
        made.rename(projects[revision])
    made_stacks = Stacks(projects, tmp_path / "volume", {}, free_port())
    yield made_stacks
    made_stacks.close()


def ask(stacks: Stacks, revision: str, **body: object) -> tuple[str, str]:
    """What a revision says, and the id of that."""
    address = stacks.address(revision)
    assert address
    url = f"http://{address[0]}:{address[1]}"
    with httpx2.Client(base_url=url, trust_env=False, timeout=30) as http:
        answer = http.post("/v1/responses", json={"input": "hello", **body})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-shipway-revision"] == revision
    document = answer.json()
    return document["output"][0]["content"][0]["text"], document["id"]


def is_ready(stacks: Stacks, revision: str) -> bool:
    address = stacks.address(revision)
    assert address, f"{revision} has ended"
    try:
        url = f"http://{address[0]}:{address[1]}/readyz"
        return httpx2.get(url, trust_env=False).status_code == 200
    except httpx2.HTTPError:
        return False


def test_a_conversation_goes_on_with_the_revision_that_is_left(stacks: Stacks) -> None:
    for revision in ("old", "new"):
        stacks.run(revision)
        stacks.run(revision)  # once more is nothing
    until(lambda: is_ready(stacks, "old") and is_ready(stacks, "new"))
    said, response = ask(stacks, "old")
    assert said == "old, turn 1"
    stacks.end("old")
    stacks.end("old")
    with pytest.raises(RolloutError, match="still ends"):
        stacks.run("old")
    until(lambda: stacks.address("old") is None)
    assert ask(stacks, "new", previous_response_id=response)[0] == "new, turn 2"
    stacks.run("old")
    assert stacks.address("old")
