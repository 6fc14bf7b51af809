"""The HTTP face of a stdio server, for legacy and modern clients."""

import asyncio
import json

import pytest

pytestmark = pytest.mark.slow


def test_a_legacy_session_from_beginning_to_end(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            client = relay.client()
            result = await client.open()
            assert result["instructions"] == "Hi."
            assert (await client.post("ping")).json()["result"] == {}
            assert (await relay.http.delete(client.url, headers=client.session)).status_code == 204
            gone = await client.post("ping")
            assert gone.status_code == 404
            assert gone.json()["error"] == {"code": -32600, "message": "Session not found"}
            assert gone.json()["id"] is not None

    asyncio.run(scenario())


def test_a_legacy_client_gets_the_version_it_asks_for(harness):
    cases = [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-11-25", "2025-11-25"),
        ("1999", "2025-11-25"),
    ]

    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            for asked, told in cases:
                answer = await relay.client().post(
                    "initialize", {"protocolVersion": asked, "capabilities": {}}
                )
                assert answer.json()["result"]["protocolVersion"] == told

    asyncio.run(scenario())


@pytest.mark.parametrize("options", [(), ("--modern-only",)])
def test_a_modern_client_needs_no_session(harness, options):
    async def scenario():
        async with harness.running(harness.toy_server(*options)) as relay:
            client = relay.client()
            discovered = (await client.modern("server/discover")).json()["result"]
            assert "2026-07-28" in discovered["supportedVersions"]
            assert discovered["capabilities"].keys() == {"tools", "resources", "logging"}
            assert discovered["resultType"] == "complete"
            listed = (await client.modern("tools/list")).json()["result"]
            assert listed["tools"]
            called = await client.modern("tools/call", {"name": "echo", "arguments": {"text": "hi"}})
            assert called.json()["result"]["content"][0]["text"] == "hi"
            assert "mcp-session-id" not in called.headers
            if not options:
                assert (listed["resultType"], listed["ttlMs"], listed["cacheScope"]) == (
                    "complete",
                    0,
                    "private",
                )
                assert called.json()["result"]["resultType"] == "complete"

    asyncio.run(scenario())


def test_a_legacy_client_of_a_modern_only_server(harness):
    async def scenario():
        async with harness.running(harness.toy_server("--modern-only")) as relay:
            client = relay.client()
            assert (await client.open())["serverInfo"]["name"] == "toy"
            assert (await client.post("ping")).json()["result"] == {}
            assert await client.call("echo", text="old friend") == "old friend"
            assert relay.relay.states()["toy"].protocol == "2026-07-28"
            assert await relay.relay.probe("toy") is None

    asyncio.run(scenario())


def test_headers_of_a_modern_request_must_say_what_the_body_says(harness):
    cases = [
        ({"mcp_method": "tools/list"}, -32020, 400),
        ({"mcp_name": "id"}, -32020, 400),
        ({"mcp_protocol_version": "2027-01-01"}, -32020, 400),
        ({"mcp_name": "=?base64?ZWNobw==?="}, None, 200),
        ({"mcp_name": "=?base64?%%%?="}, -32020, 400),
    ]

    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            for headers, code, status in cases:
                params = {"name": "echo", "arguments": {"text": "hi"}}
                answer = await relay.client().modern("tools/call", params, **headers)
                assert answer.status_code == status
                assert answer.json().get("error", {}).get("code") == code

    asyncio.run(scenario())


def test_modern_requests_that_are_refused(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            client = relay.client()
            bare = await client.post(
                "tools/list", {}, mcp_protocol_version="2026-07-28", mcp_method="tools/list"
            )
            assert (bare.status_code, bare.json()["error"]["code"]) == (400, -32602)
            meta = {"io.modelcontextprotocol/protocolVersion": "2027-01-01"}
            newer = await client.modern("tools/list", {"_meta": meta}, mcp_protocol_version="2027-01-01")
            assert newer.status_code == 400
            assert newer.json()["error"]["code"] == -32022
            assert "2026-07-28" in newer.json()["error"]["data"]["supported"]
            listen = await client.modern("subscriptions/listen", {})
            assert (listen.status_code, listen.json()["error"]["code"]) == (400, -32602)
            ping = await client.modern("ping")
            assert (ping.status_code, ping.json()["error"]["code"]) == (404, -32601)
            unknown = await client.modern("no/such/method")
            assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, -32601)

    asyncio.run(scenario())


def test_progress_reaches_the_caller_with_its_own_token(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            clients = [relay.client(), relay.client()]
            params = {"name": "slow", "_meta": {"progressToken": "mine"}}
            answers = await asyncio.gather(*(client.post("tools/call", params) for client in clients))
            for answer in answers:
                assert answer.headers["content-type"] == "text/event-stream"
                *progress, result = harness.events_of(answer.text)
                assert [message["params"] for message in progress] == [
                    {"progressToken": "mine", "progress": step} for step in (1, 2, 3)
                ]
                assert result["id"] == 1
                assert result["result"]["content"][0]["text"] == "done"

    asyncio.run(scenario())


def test_a_call_that_fails_before_any_progress_is_answered_in_one_piece(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            params = {"name": "die", "_meta": {"progressToken": 1}}
            answer = await relay.client().post("tools/call", params, number="x")
            error = answer.json()  # nothing came before, so it is no stream
            assert (error["id"], error["error"]["code"]) == ("x", -32000)

    asyncio.run(scenario())


def test_a_client_cancels_its_own_call_and_nobody_elses(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            one, two = relay.client(), relay.client()
            await one.open()
            await two.open()
            hanging = asyncio.create_task(one.post("tools/call", {"name": "hang"}, number="h"))
            slow = asyncio.create_task(two.post("tools/call", {"name": "slow"}, number="h"))
            await asyncio.sleep(0.05)
            assert (await one.tell("notifications/cancelled", {"requestId": "h"})).status_code == 202
            assert (await hanging).json()["error"]["code"] == -32800
            assert "result" in (await slow).json()
            assert len(json.loads(await one.call("cancelled"))) == 1

    asyncio.run(scenario())


def test_a_modern_client_cancels_by_hanging_up(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            for meta in ({}, {"progressToken": 1}):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await relay.client().modern("tools/call", {"name": "hang", "_meta": meta})
            async with asyncio.timeout(harness.BOUND):
                while len(json.loads(await relay.client().call("cancelled"))) < 2:
                    await asyncio.sleep(0.01)

    asyncio.run(scenario())


def test_notifications_of_the_server_reach_everybody_who_listens(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            clients = [relay.client(), relay.client()]
            for client in clients:
                await client.open()
            listening = [asyncio.create_task(first_event(client)) for client in clients]
            while not all(event.done() for event in listening):
                await relay.client().call("change")
                await asyncio.sleep(0.02)
            for event in listening:
                assert event.result()["method"] == "notifications/tools/list_changed"

    async def first_event(client):
        headers = harness.LEGACY | client.session
        async with client.http.stream("GET", client.url, headers=headers) as response:
            assert response.headers["content-type"] == "text/event-stream"
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    return json.loads(line[6:])
        raise AssertionError("the stream ended")

    asyncio.run(scenario())


def test_closing_the_relay_ends_open_streams(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            client = relay.client()
            await client.open()
            async with client.http.stream(
                "GET", client.url, headers=harness.LEGACY | client.session
            ) as response:
                lines = response.aiter_lines()
                assert await anext(lines) == ": ping"
                await relay.relay.close(5.0)
                assert [line async for line in lines if line] == []

    asyncio.run(scenario())


def test_a_body_that_is_no_message_is_refused(harness):
    cases = [
        (b"{", -32700),
        (b"[]", -32600),
        (b'{"jsonrpc": "1.0", "id": 1, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": [], "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": 3}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": []}', -32602),
        (b"[" * 100_000, -32700),
    ]

    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            for body, code in cases:
                answer = await relay.http.post(f"{relay.url}/mcp/toy", content=body)
                assert answer.status_code == 400
                assert answer.json()["error"]["code"] == code

    asyncio.run(scenario())


def test_what_the_path_does_not_offer(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            assert (await relay.http.get(f"{relay.url}/mcp/toy")).status_code == 405
            assert (await relay.http.put(f"{relay.url}/mcp/toy")).status_code == 405
            missing = await relay.http.post(f"{relay.url}/mcp/other", json={})
            assert (missing.status_code, missing.json()) == (
                404,
                {"error": "no such path; here are: /mcp/toy"},
            )
            too_large = await relay.http.post(f"{relay.url}/mcp/toy", content=b" " * (16 * 2**20 + 1))
            assert too_large.status_code == 413

    asyncio.run(scenario())


def test_only_callers_on_this_machine_are_served(harness):
    cases = [
        ({"host": "evil.example.com"}, 403),
        ({"host": "localhost:1"}, 200),
        ({"host": "[::1]:8082"}, 200),
        ({"origin": "https://evil.example.com"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:3000"}, 200),
    ]

    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            for headers, status in cases:
                assert (await relay.client().post("ping", **headers)).status_code == status

    asyncio.run(scenario())
