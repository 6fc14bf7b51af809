"""Who may do what: every path with every role, from the server's own table; and what hostile requests get."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.controlling import DEPLOYMENT, TOKENS, ControlProcess
from tests.snapshots import snapshot
from tests.unit.control.conftest import AT, outcome

from shipway.control.app import PATHS, Line

ROLES = [*TOKENS, None]
FILLED = {"{id}": "1", "{canary}": "r-2", "{conversation}": "c-1"}
BODIES = [line for line in PATHS if line.method in ("POST", "PUT")]


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlProcess]:
    process = ControlProcess(tmp_path_factory.mktemp("control"))
    yield process
    process.close()


@pytest.fixture(scope="module")
def clients(control: ControlProcess) -> Iterator[dict[str | None, httpx2.Client]]:
    opened = {role: control.client(role) for role in ROLES}
    yield opened
    for client in opened.values():
        client.close()


def path_of(line: Line) -> str:
    path = line.path
    for name, value in FILLED.items():
        path = path.replace(name, value)
    return path


def named(line: Line) -> str:
    return f"{line.method} {line.path}"


@pytest.mark.parametrize("role", ROLES, ids=str)
@pytest.mark.parametrize("line", PATHS, ids=named)
def test_every_path_with_every_role(clients, line: Line, role: str | None):
    answer = clients[role].request(line.method, path_of(line), params=DEPLOYMENT, content=b"")
    if line.roles and role is None:
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
    elif line.roles and role not in line.roles:
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
        assert f"takes {' or '.join(line.roles)}" in answer.json()["error"]["message"]
    else:
        assert answer.status_code not in (401, 403)
        assert answer.status_code < 500 or line.path == "/readyz"  # which is asked early here


def test_the_table_says_what_the_design_says():
    said = {named(line): line.roles for line in PATHS}
    assert [path for path, roles in said.items() if not roles] == [
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
    ]
    assert {path for path, roles in said.items() if "report" in roles and path.startswith("GET")} == {
        *("GET /v1/policy", "GET /v1/evals", "GET /v1/evals/{id}")
    }
    assert all(roles == ("operate",) for path, roles in said.items() if path.split()[0] in ("PUT", "DELETE"))
    assert all(roles == ("operate",) for path, roles in said.items() if path.endswith("/v1/rollout/orders"))
    posted = {path: roles for path, roles in said.items() if path.startswith("POST")}
    assert posted.pop("POST /v1/rollout/orders")
    assert set(posted.values()) == {("report",)}


NEAR = [TOKENS["read"][:-1], TOKENS["read"] + "x", "wrong", "é" * 20]


@pytest.mark.parametrize(
    "shown", ["Bearer", *(f"Bearer {token}" for token in NEAR), f"Basic {TOKENS['read']}"]
)
def test_a_token_that_is_none(clients, shown):
    answer = clients[None].get("/v1/deployments", headers={"authorization": shown.encode()})
    assert answer.status_code == 401


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    ["conversation", "turn", "revision", "tenant", "started", "finished", "first_seen", "status", "latency_s",
     "policy", "reason", "release", "replica", "ready", "checks", "stable", "share", "metrics", "alpha",
     "results", "source", "deleted", "messages", "answer", "judges", "since", "phase", "steps", "canary",
     "what"]
)  # fmt: skip
VALID: dict[str, dict[str, Any]] = {
    "/v1/outcomes": outcome(),
    "/v1/replicas": {"replica": "a", "revision": "r", "started": AT, "ready": True},
    "/v1/evals": {"revision": "r-2", "source": "s", "results": [{"id": "a", "score": 1.0}]},
    "/v1/releases": {"revision": "r-2", "release": {}},
    "/v1/turns": {"conversation": "c", "tenant": None, "deleted": AT},
    "/v1/policy": {"policy": {"kill": {"all": False}}, "reason": "a test"},
    "/v1/rollout": dataclasses.asdict(snapshot()),
    "/v1/rollout/orders": {"what": "pause", "reason": "a test"},
    "/v1/gates/{canary}": {"stable": "r-1", "share": 0.1, "metrics": {"errors": {}}, "alpha": 0.05},
}
DOCUMENTS = (
    JSON.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(KEYS, JSON, max_size=6).map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=200)
    | st.sampled_from(
        [b"[" * 100_000, b'{"a":' * 50_000, b"1" * 10_000, b"\xff\xfe", b'{"turn": 1e999}', b"NaN"]
    )
)


@pytest.mark.parametrize("line", BODIES, ids=named)
@given(data=st.data())
@settings(max_examples=40)
def test_hostile_bodies_get_one_message(clients, control, line: Line, data: st.DataObject):
    """What is no JSON, what is another document, and one that is right but for a key or two."""
    almost = st.dictionaries(st.sampled_from([*VALID[line.path]]), JSON, min_size=1, max_size=2)
    wrong = almost.map(lambda keys: json.dumps(VALID[line.path] | keys).encode())
    body = data.draw(DOCUMENTS | wrong)
    role = line.roles[0]
    answer = clients[role].request(
        line.method, path_of(line), params=DEPLOYMENT, content=body, headers={"if-match": "*"}
    )
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        error = answer.json()["error"]
        assert set(error) == {"code", "message"}
        assert len(error["message"]) < 1000
        assert "\n" not in error["message"]
    assert "Traceback" not in control.log()


@pytest.mark.parametrize("line", [line for line in PATHS if line.roles], ids=named)
@given(
    query=st.dictionaries(
        st.sampled_from(["name", "environment", "limit", "before", "canary", "as", "enough", "revision"]),
        st.text(max_size=20) | st.integers().map(str) | st.floats().map(str),
    )
)
@settings(max_examples=10)
def test_hostile_queries_get_one_message(clients, control, line: Line, query: dict[str, str]):
    answer = clients[line.roles[-1]].request(line.method, path_of(line), params=query, content=b"{}")
    assert answer.status_code < 500, answer.text
    assert "Traceback" not in control.log()


@pytest.mark.parametrize("line", BODIES, ids=named)
def test_a_body_has_a_limit(clients, line: Line):
    answer = clients[line.roles[0]].request(
        line.method, path_of(line), params=DEPLOYMENT, content=b" " * (line.limit + 1)
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_paths_and_methods_that_there_are_not(clients):
    assert clients["read"].get("/v1/nothing").json()["error"]["code"] == "not_found"
    assert clients["read"].request("PATCH", "/v1/policy").json()["error"]["code"] == "bad_method"
