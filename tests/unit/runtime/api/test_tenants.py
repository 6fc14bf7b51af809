"""What one tenant has is not there for another, by whatever path it is asked for."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from shipway_runtime.adapters import adapt
from shipway_runtime.api import app
from shipway_runtime.api.callers import Caller, admit
from shipway_runtime.context import Context
from shipway_runtime.contract import Policy
from shipway_runtime.conversations.sql import Conversations
from shipway_runtime.conversations.sqlite import Sqlite
from shipway_runtime.drain import Drain
from shipway_runtime.policy.admission import Admission
from shipway_runtime.policy.merge import meet
from shipway_runtime.turns import Turns


async def agent(messages, ctx):
    return f"{ctx.tenant}: {len(messages)}"


def build(store):
    context = Context("", 0, None, None, {}, {}, None, Path("/"), {})
    admission = Admission(lambda: meet(Policy()))
    turns = Turns(adapt(agent, "x").agent, store, context, Drain(delay_s=0, grace_s=1), "r", admission)
    about = {"name": "x", "model": "m", "body_limit": 1000, "authenticated": True}
    return app.build(turns, store, **about, alive=None, ready=None)


async def call(api, tenant, method, path, body=None):
    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}
    scope["headers"] = [(b"content-length", b"1")] if body is not None else []
    admit(scope, Caller(tenant))
    sent = []

    async def receive():
        return {"type": "http.request", "body": json.dumps(body).encode()}

    async def send(message):
        sent.append(message)

    await api(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


def test_a_tenant_sees_its_own_and_nothing_else():
    async def scenario():
        store = Conversations(Sqlite(None), wait_s=1)
        await store.open()
        api = build(store)
        asked = {"input": "hi", "conversation": "same"}
        for tenant in ("a", "b", "a"):
            _, last = await call(api, tenant, "POST", "/v1/responses", asked)
        assert last["id"] == "resp_same_2"
        assert last["output"][0]["content"][0]["text"] == "a: 3", "b's turn is not in a's conversation"
        message = last["output"][0]["id"]
        for method, path, body in (
            ("GET", "/v1/responses/resp_same_2", None),
            ("DELETE", "/v1/responses/resp_same_2", None),
            ("POST", "/v1/responses/resp_same_2/cancel", None),
            ("GET", "/v1/responses/resp_same_2/input_items", None),
            ("GET", f"/v1/conversations/same/items/{message}", None),
            ("POST", "/v1/responses", {"input": "hi", "previous_response_id": "resp_same_2"}),
            ("POST", "/v1/responses", {"input": [{"type": "item_reference", "id": message}]}),
        ):
            assert (await call(api, "b", method, path, body))[0] == 404, path
        for path in ("", "/items"):
            assert (await call(api, "c", "GET", f"/v1/conversations/same{path}"))[0] == 404
        assert (await call(api, "b", "DELETE", "/v1/conversations/same"))[0] == 200
        assert (await call(api, "a", "GET", "/v1/responses/resp_same_2"))[0] == 200
        await store.close()

    asyncio.run(scenario())
