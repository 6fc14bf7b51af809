from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from shipway_runtime.api import app, openapi, schemas

DOCUMENT = openapi.document("agent", authenticated=True)
PUBLISHED = Path(__file__).parents[4] / "docs/reference/openapi.json"

AGENT = """
from shipway_runtime.dialogue import ToolCall, ToolResult

async def agent(messages):
    if messages[-1]["content"] == "fail":
        raise RuntimeError
    yield "a"
    yield ToolCall("1", "now", "{}")
    yield ToolResult("1", "no", error=True)
"""


@pytest.fixture(scope="module")
def running(start_shared):
    return start_shared(AGENT)


def fits(schema, document):
    whole = {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(whole).validate(document)


def test_the_published_document_is_this_one():
    assert json.loads(PUBLISHED.read_text()) == DOCUMENT, "make golden writes it"


def test_every_route_is_described_and_nothing_else():
    about = {"name": "x", "model": "x", "body_limit": 1, "authenticated": False}
    routes = app.build(None, None, **about, alive=None, ready=None).table
    described = {
        path: {method.upper() for method in found if method != "parameters"}
        for path, found in DOCUMENT["paths"].items()
    }
    assert described == {path: set(methods) for path, methods in routes.items()}


def test_every_schema_is_one():
    for schema in schemas.ALL.values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_an_agent_without_keys_asks_for_none():
    assert "security" not in openapi.document("agent", authenticated=False)
    assert DOCUMENT["paths"]["/ping"]["get"]["security"] == []


def test_what_comes_back_fits(running):
    assert running.api.get("/openapi.json").json()["info"]["title"] == "test"
    first = running.ask("hi", metadata={"a": "b"})
    fits("Response", first.json())
    place, identity = first.json()["conversation"]["id"], first.json()["id"]
    fits("Response", running.api.get(f"/v1/responses/{identity}").json())
    fits("Items", running.api.get(f"/v1/conversations/{place}/items").json())
    fits("Conversation", running.api.get(f"/v1/conversations/{place}").json())
    fits("Models", running.api.get("/v1/models").json())
    fits("Ping", running.api.get("/ping").json())
    fits("Invocation", running.api.post("/invocations", json="hi").json())
    for response in (running.ask("fail"), running.ask(7), running.api.get("/nope")):
        fits("Error", response.json())
    for line in running.ask("hi", stream=True).text.splitlines():
        if line.startswith("data: ") and "response" in (data := json.loads(line[6:])):
            fits("Response", data["response"])
