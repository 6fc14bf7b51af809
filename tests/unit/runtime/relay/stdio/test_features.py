"""What a server asks of its client, and what its clients want to hear: in both worlds, and across them."""

import asyncio
import contextlib
import json
import os
import signal

import pytest

pytestmark = pytest.mark.slow

FEATURES = {"sampling": {}}
SAID = {"role": "assistant", "content": {"type": "text", "text": "42"}, "model": "m"}


@contextlib.asynccontextmanager
async def events(client, method="GET", body=None, **headers):
    """A stream of events, as an iterator of their messages."""
    headers = {"accept": "application/json, text/event-stream"} | client.session | headers
    async with client.http.stream(method, client.url, json=body, headers=headers) as response:
        assert response.headers["content-type"] == "text/event-stream", await response.aread()

        async def messages():
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    yield json.loads(line[6:])

        yield messages()


async def open_session(client, features=FEATURES):
    params = {"protocolVersion": "2025-11-25", "capabilities": features, "clientInfo": {}}
    answer = await client.post("initialize", params)
    client.session = {
        "mcp-session-id": answer.headers["mcp-session-id"],
        "mcp-protocol-version": "2025-11-25",
    }
    return answer.json()["result"]


def ask(number=7, n=1):
    params = {"name": "ask", "arguments": {"n": n}}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


async def respond(client, question, result=SAID):
    body = {"jsonrpc": "2.0", "id": question["id"], "result": result}
    answer = await client.http.post(client.url, json=body, headers=client.session)
    assert answer.status_code == 202


@pytest.mark.parametrize("options", [(), ("--modern-only",)])
def test_a_legacy_client_is_asked_on_the_stream_of_its_call(harness, options):
    async def scenario():
        async with harness.running(harness.toy_server(*options)) as relay:
            client = relay.client()
            await open_session(client)
            async with events(client, "POST", ask()) as messages:
                question = await anext(messages)
                assert question["method"] == "sampling/createMessage"
                assert question["params"] == {"n": 1}
                await respond(client, question)
                answer = await anext(messages)
                assert answer["id"] == 7
                assert json.loads(answer["result"]["content"][0]["text"])["result"] == SAID

    asyncio.run(scenario())


def test_a_client_that_takes_no_events_is_asked_on_its_stream(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            client = relay.client()
            await open_session(client)
            headers = client.session | {"accept": "application/json"}
            call = asyncio.create_task(client.http.post(client.url, json=ask(), headers=headers))
            async with events(client) as messages:
                await respond(client, await anext(messages))
                assert "42" in (await call).text

    asyncio.run(scenario())


def test_a_clients_refusal_is_the_servers_error(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            client = relay.client()
            await open_session(client)
            async with events(client, "POST", ask()) as messages:
                question = await anext(messages)
                body = {"jsonrpc": "2.0", "id": question["id"], "error": {"code": -1, "message": "no"}}
                await client.http.post(client.url, json=body, headers=client.session)
                text = (await anext(messages))["result"]["content"][0]["text"]
                assert json.loads(text)["error"] == {"code": -1, "message": "no"}

    asyncio.run(scenario())


def test_clients_that_can_be_asked_have_processes_of_their_own(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            alone, other, sharing, stranger = (relay.client() for _ in range(4))
            await open_session(alone)
            await open_session(other)
            await open_session(sharing, {})
            assert json.loads(await alone.call("wishes"))["client"] == FEATURES
            assert json.loads(await sharing.call("wishes"))["client"] == {}
            pids = [await client.call("id") for client in (alone, other, sharing, stranger)]
            assert len(set(pids)) == 3
            assert pids[2] == pids[3] == str(relay.relay.states()["toy"].pid)
            await alone.http.delete(alone.url, headers=alone.session)
            await harness.until(lambda: not harness.alive(int(pids[0])))
            assert harness.alive(int(pids[1]))
        assert not any(harness.alive(int(pid)) for pid in pids)

    asyncio.run(scenario())


def test_two_clients_at_once_are_asked_what_is_theirs(harness):
    async def converse(client, n):
        await open_session(client)
        async with events(client, "POST", ask(n=n)) as messages:
            question = await anext(messages)
            assert question["params"] == {"n": n}
            await respond(client, question, SAID | {"model": f"m{n}"})
            assert f"m{n}" in (await anext(messages))["result"]["content"][0]["text"]

    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            await asyncio.gather(*(converse(relay.client(), n) for n in range(4)))

    asyncio.run(scenario())


def test_a_process_of_ones_own_that_dies_is_started_again(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            client = relay.client()
            await open_session(client)
            dead = await client.call("id")
            os.kill(int(dead), signal.SIGKILL)
            while (again := await client.post("tools/call", {"name": "id"})).json().get("error"):
                pass  # it was on its way when the process ended
            assert again.json()["result"]["content"][0]["text"] != dead
            async with events(client, "POST", ask()) as messages:
                await respond(client, await anext(messages))
                assert "42" in json.dumps(await anext(messages))

    asyncio.run(scenario())


def test_idle_processes_give_way_and_come_back(harness):
    async def scenario():
        async with harness.running(harness.toy_server(concurrency=2)) as relay:
            clients = [relay.client() for _ in range(3)]
            pids = []
            for client in clients:
                await open_session(client)
                pids.append(int(await client.call("id")))
            await harness.until(lambda: not harness.alive(pids[0]))
            again = int(await clients[0].call("id"))
            assert again not in pids
            await harness.until(lambda: not harness.alive(pids[1]))
            assert int(await clients[2].call("id")) == pids[2]

    asyncio.run(scenario())


def test_nobody_gets_a_process_while_all_of_them_work(harness):
    async def scenario():
        async with harness.running(harness.toy_server(concurrency=1)) as relay:
            busy, late = relay.client(), relay.client()
            await open_session(busy)
            async with events(busy, "POST", ask()) as messages:
                question = await anext(messages)
                refused = await late.post("initialize", {"protocolVersion": "x", "capabilities": FEATURES})
                assert "is busy" in refused.json()["error"]["message"]
                await respond(busy, question)
                assert "42" in json.dumps(await anext(messages))

    asyncio.run(scenario())


def with_features(**params):
    meta = {"io.modelcontextprotocol/clientCapabilities": FEATURES}
    return {"name": "ask", "arguments": {"n": 3}, "_meta": meta, **params}


def test_a_modern_client_of_a_legacy_server_answers_with_its_next_request(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            client = relay.client()
            for _ in range(2):  # the second in the same process
                first = (await client.modern("tools/call", with_features())).json()["result"]
                assert first["resultType"] == "input_required"
                ((key, question),) = first["inputRequests"].items()
                assert question == {"method": "sampling/createMessage", "params": {"n": 3}}
                more = {"inputResponses": {key: SAID}, "requestState": first["requestState"]}
                second = (await client.modern("tools/call", with_features(**more))).json()["result"]
                assert second["resultType"] == "complete"
                assert json.loads(second["content"][0]["text"])["result"] == SAID
            again = await client.modern("tools/call", with_features(**more))
            assert (again.status_code, again.json()["error"]["code"]) == (400, -32602)

    asyncio.run(scenario())


def test_a_modern_client_that_brings_no_answer_is_asked_again(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            client = relay.client()
            first = (await client.modern("tools/call", with_features())).json()["result"]
            more = {"requestState": first["requestState"]}
            again = (await client.modern("tools/call", with_features(**more))).json()["result"]
            assert again["inputRequests"] == first["inputRequests"]
            assert again["requestState"] != first["requestState"]

    asyncio.run(scenario())


def test_a_modern_client_that_never_comes_back_holds_nothing(harness):
    async def scenario():
        async with harness.running(harness.toy_server(timeout_s=0.3, concurrency=1)) as relay:
            client = relay.client()
            first = (await client.modern("tools/call", with_features())).json()["result"]
            await asyncio.sleep(0.5)
            more = {"inputResponses": {}, "requestState": first["requestState"]}
            late = await client.modern("tools/call", with_features(**more))
            assert "not known (any more)" in late.json()["error"]["message"]
            first = (await client.modern("tools/call", with_features())).json()["result"]
            assert first["resultType"] == "input_required"

    asyncio.run(scenario())


def test_a_modern_server_asks_a_modern_client_itself(harness):
    async def scenario():
        async with harness.running(harness.toy_server("--modern-only")) as relay:
            client = relay.client()
            first = (await client.modern("tools/call", with_features())).json()["result"]
            assert (first["requestState"], list(first["inputRequests"])) == ("s", ["a"])
            more = {"inputResponses": {"a": SAID}, "requestState": "s"}
            second = (await client.modern("tools/call", with_features(**more))).json()["result"]
            assert json.loads(second["content"][0]["text"])["result"] == SAID

    asyncio.run(scenario())


# -- What clients want to hear -----------------------------------------------------------------------------


async def level(client, word):
    return (await client.post("logging/setLevel", {"level": word})).json()


def test_each_session_has_its_own_log_level(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            loud, quiet = relay.client(), relay.client()
            for client in (loud, quiet):
                await open_session(client, {})
            assert (await level(loud, "nonsense"))["error"]["code"] == -32602
            assert (await level(loud, "info"))["result"] == {}
            assert (await level(quiet, "error"))["result"] == {}
            assert json.loads(await loud.call("wishes"))["level"] == "info"
            heard = []
            for client in (loud, quiet):
                params = {"name": "log", "arguments": {"level": "info"}}
                answer = await client.post("tools/call", params)
                heard.append([m.get("method") for m in harness.events_of(answer.text)])
            assert heard == [["notifications/message", None], []]

    asyncio.run(scenario())


def test_a_modern_client_sees_of_the_log_what_it_asks_for(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            client = relay.client()
            params = {"name": "log", "arguments": {"level": "warning"}}
            silent = await client.modern("tools/call", params)
            assert silent.json()["result"]["content"]
            meta = {"io.modelcontextprotocol/logLevel": "warning"}
            answer = await client.modern("tools/call", params | {"_meta": meta})
            log, result = harness.events_of(answer.text)
            assert log["params"] == {"level": "warning", "data": "noted"}
            assert result["result"]["content"][0]["text"] == "logged"

    asyncio.run(scenario())


@pytest.mark.parametrize("options", [(), ("--modern-only",)])
def test_updates_reach_who_subscribed_also_after_a_restart(harness, options):
    async def scenario():
        async with harness.running(harness.toy_server(*options)) as relay:
            one, other = relay.client(), relay.client()
            for client in (one, other):
                await open_session(client, {})
            await level(one, "warning")
            subscribed = await one.post("resources/subscribe", {"uri": "toy://a"})
            assert subscribed.json()["result"] == {}
            async with events(one) as mine, events(other) as theirs:
                for _ in range(2):
                    # A modern subscription is a request that stays open: nobody says when it began.
                    await wished(harness, other, "toy://a")
                    await other.call("touch", uri="toy://a")
                    await other.call("change")
                    updated = await anext(mine)
                    assert updated["params"] == {"uri": "toy://a"}
                    assert (await anext(mine))["method"] == "notifications/tools/list_changed"
                    assert (await anext(theirs))["method"] == "notifications/tools/list_changed"
                    os.kill(relay.relay.states()["toy"].pid, signal.SIGKILL)
                    await harness.until(lambda: relay.relay.states()["toy"].state != "up")
                    await relay.up()
                if not options:
                    assert json.loads(await other.call("wishes"))["level"] == "warning"
            await one.post("resources/unsubscribe", {"uri": "toy://a"})
            await wished(harness, other)

    async def wished(harness, client, *uris):
        async with asyncio.timeout(harness.BOUND):
            while json.loads(await client.call("wishes"))["uris"] != list(uris):
                await asyncio.sleep(0.01)

    asyncio.run(scenario())


def test_a_modern_client_listens(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            client = relay.client()
            wanted = {
                "toolsListChanged": True,
                "promptsListChanged": True,
                "resourceSubscriptions": ["toy://a"],
            }
            meta = {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            }
            params = {"notifications": wanted, "_meta": meta}
            body = {"jsonrpc": "2.0", "id": "l", "method": "subscriptions/listen", "params": params}
            headers = {"mcp-protocol-version": "2026-07-28", "mcp-method": "subscriptions/listen"}
            async with events(client, "POST", body, **headers) as messages:
                ack = await anext(messages)
                assert ack["method"] == "notifications/subscriptions/acknowledged"
                assert ack["params"]["notifications"] == {
                    "toolsListChanged": True,
                    "resourceSubscriptions": ["toy://a"],
                }
                await client.call("touch", uri="toy://b")
                await client.call("touch", uri="toy://a")
                await client.call("change")
                subscription = {"io.modelcontextprotocol/subscriptionId": "l"}
                update = await anext(messages)
                assert update["params"] == {"uri": "toy://a", "_meta": subscription}
                change = await anext(messages)
                assert change == {
                    "jsonrpc": "2.0",
                    "method": "notifications/tools/list_changed",
                    "params": {"_meta": subscription},
                }
                closing = asyncio.create_task(relay.relay.close(1.0))
                assert (await anext(messages))["result"] == {"resultType": "complete", "_meta": subscription}
                await closing

    asyncio.run(scenario())


def test_a_batch_is_answered_in_one_piece(harness):
    async def scenario():
        async with harness.running(harness.toy_server(), harness.toy_server(name="other")) as relay:
            client = relay.client()
            echo = {"name": "echo", "arguments": {"text": "hi"}}
            batch = [
                {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": echo},
                {"jsonrpc": "2.0", "method": "notifications/initialized"},
                {"jsonrpc": "2.0", "id": 2, "method": "nothing"},
                {"jsonrpc": "2.0", "id": 3, "method": "initialize", "params": {}},
            ]
            answers = (await client.http.post(client.url, json=batch)).json()
            assert {answer["id"]: "result" in answer for answer in answers} == {1: True, 2: False, 3: False}
            only = await client.http.post(client.url, json=batch[1:2])
            assert (only.status_code, only.content) == (202, b"")
            modern = {"mcp-protocol-version": "2026-07-28"}
            assert (await client.http.post(client.url, json=batch, headers=modern)).status_code == 400

    asyncio.run(scenario())


# -- Servers that hang -------------------------------------------------------------------------------------


@pytest.fixture
def _impatient(monkeypatch):
    monkeypatch.setattr("shipway_runtime.relay.stdio.liveness._TIMEOUT", 0.3)


@pytest.mark.usefixtures("_impatient")
def test_a_server_that_hangs_is_ended_and_started_again(harness):
    async def scenario():
        async with harness.running(harness.toy_server(timeout_s=0.5)) as relay:
            client = relay.client()
            pid = int(await client.call("id"))
            os.kill(pid, signal.SIGSTOP)
            error = await client.failure("echo", text="?")
            assert error["code"] == -32001
            await harness.until(lambda: relay.relay.states()["toy"].restarts == 1)
            assert await client.call("echo", text="again") == "again"
            assert not harness.alive(pid)
            assert "hung: it said nothing for 0.5 s" in relay.relay.states()["toy"].last_error

    asyncio.run(scenario())


@pytest.mark.usefixtures("_impatient")
def test_a_server_that_hangs_without_calls_is_found_by_probes(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            client = relay.client()
            os.kill(int(await client.call("id")), signal.SIGSTOP)
            for _ in range(3):
                assert "did not answer ping" in await relay.relay.probe("toy")
            await harness.until(lambda: relay.relay.states()["toy"].restarts == 1)
            assert await client.call("echo", text="again") == "again"

    asyncio.run(scenario())


def test_a_slow_call_does_not_end_a_server_that_answers(harness):
    async def scenario():
        async with harness.running(harness.toy_server(timeout_s=0.3)) as relay:
            client = relay.client()
            pid = await client.call("id")
            assert (await client.failure("hang"))["code"] == -32001
            await asyncio.sleep(0.1)
            assert await client.call("id") == pid

    asyncio.run(scenario())
