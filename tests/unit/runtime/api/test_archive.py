"""Responses by their id, and conversations, without the SDK (tests/engines has it)."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

AGENT = """
import asyncio

async def agent(messages, ctx):
    said = messages[-1]["content"]
    if said == "messages":
        return repr([m["content"] for m in messages])
    if said == "fail":
        raise RuntimeError
    if said == "slow":
        await asyncio.sleep(60)
    return said
"""


@pytest.fixture(scope="module")
def running(start_shared):
    return start_shared(AGENT)


def get(running, path, **query):
    return running.api.get(f"/v1{path}", params=query)


def text(item):
    return item["content"][0]["text"]


def test_a_response_is_read_as_it_was_given(running):
    given = running.ask("hi", metadata={"a": "b"}, instructions="be brief").json()
    assert get(running, f"/responses/{given['id']}").json() == given


def test_a_failed_response_says_so(running):
    running.ask("fail", conversation="failing")
    document = get(running, "/responses/resp_failing_1").json()
    assert (document["status"], document["error"]["code"], document["output"]) == (
        "failed",
        "server_error",
        [],
    )
    assert get(running, "/conversations/failing/items").json()["data"] == []


def test_an_invocation_is_a_response_too(running):
    headers = {"x-conversation-id": "invoked"}
    running.api.post("/invocations", json={"prompt": "hi"}, headers=headers)
    assert text(get(running, "/responses/resp_invoked_1").json()["output"][0]) == "hi"


@pytest.mark.parametrize("identity", ["resp_nobody_1", "resp_failing_99", "nonsense", "resp_x_1%00"])
def test_an_unknown_response_is_a_404(running, identity):
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")):
        response = running.api.request(method, f"/v1/responses/{identity}{path}")
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "response_not_found"


def test_what_is_not_stored_is_not_there(running):
    given = running.ask("hi", store=False).json()
    assert get(running, f"/responses/{given['id']}").status_code == 404


def test_a_deleted_response_is_not_seen_by_later_turns(running):
    for said in ("one", "two"):
        running.ask(said, conversation="deleting")
    deleted = running.api.delete("/v1/responses/resp_deleting_1").json()
    assert deleted == {"id": "resp_deleting_1", "object": "response", "deleted": True}
    assert running.ask("messages", conversation="deleting").json()["id"] == "resp_deleting_3"
    assert (
        text(get(running, "/responses/resp_deleting_3").json()["output"][0]) == "['two', 'two', 'messages']"
    )


def test_a_turn_that_runs_is_cancelled(running):
    with running.api.stream(
        "POST", "/v1/responses", json={"input": "slow", "stream": True, "conversation": "cancelling"}
    ) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "event: response.created"
        assert get(running, "/responses/resp_cancelling_1").json()["status"] == "in_progress"
        cancelled = running.api.post("/v1/responses/resp_cancelling_1/cancel").json()
        assert cancelled["status"] == "cancelled"
        last = [line for line in lines if line.startswith("data: ")][-1]
    assert json.loads(last[6:])["response"]["error"]["type"] == "response_cancelled"
    over = running.api.post("/v1/responses/resp_cancelling_1/cancel")
    assert (over.status_code, over.json()["error"]["code"]) == (409, "response_not_running")
    assert [o["status"] for o in running.outcomes() if o["conversation"] == "cancelling"] == ["cancelled"]


def test_whoever_waits_for_a_turn_that_is_cancelled_is_told(running):
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(running.ask, "slow", conversation="waited-for")
        path = "/v1/responses/resp_waited-for_1"
        running.wait_for(lambda: running.api.get(path).status_code == 200, "turn")
        assert running.api.post(f"{path}/cancel").json()["status"] == "cancelled"
        response = waiting.result()
    assert (response.status_code, response.json()["error"]["code"]) == (409, "response_cancelled")
    assert response.headers["x-should-retry"] == "false"


def test_a_conversation_page_by_page(running):
    messages = [{"role": "user", "content": str(number)} for number in range(7)]
    made = running.api.post("/v1/conversations", json={"items": messages, "metadata": {"a": "b"}}).json()
    assert (made["object"], made["metadata"]) == ("conversation", {"a": "b"})
    path = f"/conversations/{made['id']}/items"
    for order, expected in (("asc", "0123456"), ("desc", "6543210")):
        found, after = "", {}
        for _ in range(4):
            page = get(running, path, limit=2, order=order, **after).json()
            found += "".join(text(item) for item in page["data"])
            after = {"after": page["last_id"]}
        assert (found, page["has_more"]) == (expected, False)
    assert get(running, path, limit=7).json()["has_more"] is False
    assert get(running, path, limit=6).json()["has_more"] is True


@pytest.mark.parametrize(
    ("query", "status", "param"),
    [
        ({"limit": "0"}, 400, "limit"),
        ({"limit": "101"}, 400, "limit"),
        ({"limit": "²"}, 400, "limit"),
        ({"order": "up"}, 400, "order"),
        ({"after": "msg_other_1_0"}, 404, "after"),
        ({"after": "msg_paged_99_0"}, 404, "after"),
        ({"after": "x"}, 404, "after"),
    ],
)
def test_a_page_that_there_is_not(running, query, status, param):
    running.ask("hi", conversation="paged")
    for path in ("/conversations/paged/items", "/responses/resp_paged_1/input_items"):
        response = get(running, path, **query)
        assert (response.status_code, response.json()["error"]["param"]) == (status, param)


def test_an_item_that_was_added_can_be_taken_away(running):
    place = running.api.post("/v1/conversations").json()["id"]
    items = [{"role": "user", "content": "one"}, {"type": "reasoning", "summary": []}]
    path = f"/v1/conversations/{place}/items"
    added = running.api.post(path, json={"items": items}).json()
    (item,) = added["data"]
    assert running.api.get(f"{path}/{item['id']}").json() == item
    assert running.api.delete(f"{path}/{item['id']}").json()["id"] == place
    assert running.api.get(f"{path}/{item['id']}").status_code == 404
    running.ask("hi", conversation=place)
    (newest, _) = running.api.get(path).json()["data"]
    refused = running.api.delete(f"{path}/{newest['id']}")
    assert refused.json()["error"]["code"] == "item_of_response"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "items"),
        ({"items": []}, "items"),
        ({"items": {}}, "items"),
        ({"items": [{"role": "user", "content": "x"}] * 21}, "items"),
        ({"items": [{"role": "nobody", "content": "x"}]}, "items[0].role"),
        ([], "body"),
    ],
)
def test_items_that_cannot_be_added(running, body, param):
    place = running.api.post("/v1/conversations", json={}).json()["id"]
    response = running.api.post(f"/v1/conversations/{place}/items", json=body)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


def test_a_conversation_that_there_is_not(running):
    for method, path, body in (
        ("GET", "", None),
        ("DELETE", "", None),
        ("POST", "", {"metadata": {}}),
        ("GET", "/items", None),
        ("POST", "/items", {"items": [{"role": "user", "content": "x"}]}),
    ):
        for name in ("nobody", "no%20body"):
            response = running.api.request(method, f"/v1/conversations/{name}{path}", json=body)
            assert response.status_code == 404
            assert response.json()["error"]["code"] == "conversation_not_found"


def test_a_deleted_conversation_is_gone_with_its_responses(running):
    identity = running.ask("hi", conversation="gone").json()["id"]
    assert running.api.delete("/v1/conversations/gone").json() == {
        "id": "gone",
        "object": "conversation.deleted",
        "deleted": True,
    }
    assert get(running, "/conversations/gone").status_code == 404
    assert get(running, f"/responses/{identity}").status_code == 404


def test_items_that_a_request_only_names(running):
    first = running.ask("one").json()
    named = {"type": "item_reference", "id": first["output"][0]["id"]}
    asked = {"role": "user", "content": "messages"}
    assert text(running.ask([named, asked]).json()["output"][0]) == "['one', 'messages']"
    unknown = running.ask([{"type": "item_reference", "id": "rs_123"}, asked])
    assert (unknown.status_code, unknown.json()["error"]["param"]) == (404, "input[0]")


def test_the_model_is_the_agent(running):
    (model,) = get(running, "/models").json()["data"]
    assert (model["id"], model["object"], model["owned_by"]) == ("test", "model", "test")
    assert get(running, "/models/test").json() == model
    assert get(running, "/models/gpt-5").json()["error"]["code"] == "model_not_found"


def test_the_log_has_no_traceback_but_the_agents_own(running):
    assert running.log().count("Traceback") == running.log().count("the agent failed")
