"""Inside servers: kept running, and every caller answered, whatever they do."""

import asyncio
import json
import logging
import os
import signal
import time

import pytest

from shipway_runtime.contract import ToolFilter

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.INFO, "shipway.relay")


def test_a_tool_answers(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            client = relay.client()
            result = await client.open()
            assert result["serverInfo"]["name"] == "toy"
            assert result["protocolVersion"] == "2025-06-18"
            assert await client.call("echo", text="grüße") == "grüße"
            state = relay.relay.states()["toy"]
            assert (state.state, state.protocol, state.restarts) == ("up", "2025-11-25", 0)
            assert await relay.relay.probe("toy") is None

    asyncio.run(scenario())


def test_clients_that_use_the_same_ids_get_their_own_answers(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            clients = [relay.client() for _ in range(8)]
            await asyncio.gather(*(client.open() for client in clients))
            texts = await asyncio.gather(*(c.call("echo", text=f"{n}") for n, c in enumerate(clients)))
            assert texts == [str(n) for n in range(8)]

    asyncio.run(scenario())


def test_a_server_that_bears_nothing_before_initialize_is_started_again_for_it(harness):
    async def scenario():
        async with harness.running(harness.toy_server("--strict")) as relay:
            client = relay.client()
            assert await client.call("echo", text="hello") == "hello"
            state = relay.relay.states()["toy"]
            assert (state.protocol, state.restarts, state.last_error) == ("2025-11-25", 0, None)
            os.kill(state.pid, signal.SIGKILL)
            await harness.until(lambda: relay.relay.states()["toy"].restarts == 1)
            assert await client.call("echo", text="hello") == "hello"
            assert relay.relay.states()["toy"].restarts == 1

    asyncio.run(scenario())


def test_a_server_that_is_killed_serves_the_next_call(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            client = relay.client()
            await client.open()
            before = int(await client.call("id"))
            os.kill(before, signal.SIGKILL)
            await harness.until(lambda: relay.relay.states()["toy"].restarts == 1)
            after = int(await client.call("id"))
            state = relay.relay.states()["toy"]
            assert after not in (before, 0)
            assert (state.restarts, state.pid) == (1, after)
            assert "SIGKILL" in state.last_error

    asyncio.run(scenario())


def test_a_server_that_dies_in_a_call_fails_that_call_at_once_and_says_why(harness):
    async def scenario():
        async with harness.running(harness.toy_server(timeout_s=15)) as relay:
            client = relay.client()
            await client.open()
            error = await client.failure("die")
            assert error["code"] == -32000
            assert "ended during the call" in error["message"]
            assert await client.call("echo", text="again") == "again"
            error = relay.relay.states()["toy"].last_error
            assert error == "exited with code 7; its last words: toy server: out of luck"

    asyncio.run(scenario())


def test_a_call_that_hangs_ends_with_its_timeout_and_the_server_is_told(harness):
    async def scenario():
        async with harness.running(
            harness.toy_server(timeout_s=0.5), harness.toy_server(name="other")
        ) as relay:
            client, other = relay.client(), relay.client("other")
            await relay.up()
            hanging = asyncio.create_task(client.failure("hang"))
            assert await other.call("echo", text="not concerned") == "not concerned"
            error = await hanging
            assert error == {"code": -32001, "message": "MCP server 'toy' did not answer within 0.5 s"}
            assert len(json.loads(await client.call("cancelled"))) == 1

    asyncio.run(scenario())


def test_no_more_calls_than_allowed_run_at_once_and_waiting_counts(harness):
    async def scenario():
        async with harness.running(harness.toy_server(concurrency=1, timeout_s=0.5)) as relay:
            client = relay.client()
            await relay.up()
            hanging = asyncio.create_task(client.failure("hang"))
            await asyncio.sleep(0.1)
            waiting = await client.post("tools/call", {"name": "echo", "arguments": {"text": "late"}})
            assert (await hanging)["code"] == -32001
            # The slot becomes free just before the waiting caller's own time is over: both ends are right.
            assert waiting.json().get("error", {}).get("code", -32001) == -32001

    asyncio.run(scenario())


def test_too_many_waiting_callers_are_turned_away(harness):
    async def scenario():
        async with harness.running(harness.toy_server(concurrency=1, timeout_s=0.5)) as relay:
            client = relay.client()
            await relay.up()
            calls = [asyncio.create_task(client.failure("hang")) for _ in range(20)]
            errors = [(await call)["message"] for call in calls]
            assert sum("is busy" in error for error in errors) == 3

    asyncio.run(scenario())


def test_garbage_on_stdout_is_logged_and_ignored(harness, caplog):
    async def scenario():
        async with harness.running(harness.toy_server("--garbage")) as relay:
            assert await relay.client().call("echo", text="fine") == "fine"

    asyncio.run(scenario())
    assert "not JSON-RPC on stdout, ignored: Welcome to the toy server!" in caplog.text


def test_a_flood_on_stderr_is_logged_in_part_and_holds_nothing_up(harness, caplog):
    async def scenario():
        async with harness.running(harness.toy_server(), harness.toy_server(name="other")) as relay:
            flood = asyncio.create_task(relay.client().call("flood", lines=200_000))
            assert await relay.client("other").call("echo", text="calm") == "calm"
            assert await flood == "flooded"

    asyncio.run(scenario())
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("[toy]")]
    assert any(line.startswith("[toy] xxx") and len(line) < 5000 for line in lines)
    assert len(lines) < 5000


def test_an_answer_above_the_limit_fails_its_call_alone(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            client = relay.client()
            error = await client.failure("huge", size=17 * 2**20)
            assert "too large" in error["message"]
            assert len(await client.call("huge", size=2**20)) == 2**20

    asyncio.run(scenario())


def test_a_server_that_refuses_at_boot_is_tried_until_it_works(harness, tmp_path):
    async def scenario():
        server = harness.toy_server("--refuse-first", 4, "--state", tmp_path / "starts")
        async with harness.running(server) as relay:
            await harness.until(lambda: relay.relay.states()["toy"].restarts >= 3)
            error = await relay.client().failure("echo", text="too early")
            assert "is down: exited with code 1; its last words: toy server: not today" in error["message"]
            assert "not today" in await relay.relay.probe("toy")
            await relay.up()
            assert await relay.client().call("echo", text="now") == "now"

    asyncio.run(scenario())


def test_a_call_waits_for_a_server_that_is_starting(harness, tmp_path):
    async def scenario():
        server = harness.toy_server("--refuse-first", 1, "--state", tmp_path / "starts")
        async with harness.running(server) as relay:
            assert await relay.client().call("echo", text="patience") == "patience"

    asyncio.run(scenario())


def test_a_command_that_does_not_exist_is_told_to_callers(harness):
    async def scenario():
        server = harness.toy_server()
        environ = {"SHIPWAY_MCP_TOY_COMMAND": '["/nowhere/server"]'}
        async with harness.running(server, environ=environ) as relay:
            await harness.until(lambda: relay.relay.states()["toy"].restarts >= 3)
            error = await relay.client().failure("echo", text="x")
            assert "cannot run '/nowhere/server': No such file or directory" in error["message"]

    asyncio.run(scenario())


def test_a_command_that_no_system_takes_is_told_to_callers(harness):
    async def scenario():
        environ = {"SHIPWAY_MCP_TOY_COMMAND": '["a\\u0000b"]'}
        async with harness.running(harness.toy_server(), environ=environ) as relay:
            await harness.until(lambda: relay.relay.states()["toy"].restarts >= 3)
            error = await relay.client().failure("echo", text="x")
            assert "cannot be started: embedded null byte" in error["message"]

    asyncio.run(scenario())


def test_a_server_that_closes_its_stdout_is_started_again(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            client = relay.client()
            before = int(await client.call("id"))
            assert "ended during the call" in (await client.failure("mute"))["message"]
            assert int(await client.call("id")) != before
            assert not harness.alive(before)

    asyncio.run(scenario())


def test_a_server_sees_its_own_environment_and_secrets_only(harness):
    async def scenario():
        environ = {
            "PATH": os.environ["PATH"],
            "HTTPS_PROXY": "http://proxy:3128",
            "OPENAI_API_KEY": "sk-agent",
        }
        secrets = {"TOKEN": "t0k3n", "OTHER": "not yours"}
        server = harness.toy_server(env={"TZ": "UTC"}, secrets=("TOKEN",))
        async with harness.running(server, environ=environ, secrets=secrets) as relay:
            seen = json.loads(await relay.client().call("env"))
            seen = {
                name: value for name, value in seen.items() if name != "LC_CTYPE"
            }  # the interpreter's own
            expected = {
                "TZ": "UTC",
                "TOKEN": "t0k3n",
                "HTTPS_PROXY": "http://proxy:3128",
                "PATH": os.environ["PATH"],
            }
            assert seen == expected

    asyncio.run(scenario())


def test_a_missing_secret_keeps_a_server_down_until_it_is_there(harness):
    async def scenario():
        secrets = {}
        async with harness.running(harness.toy_server(secrets=("TOKEN",)), secrets=secrets) as relay:
            await harness.until(lambda: relay.relay.states()["toy"].state == "down")
            assert await relay.relay.probe("toy") == "needs the secret 'TOKEN', which is not there"
            secrets["TOKEN"] = "here"
            await relay.up()

    asyncio.run(scenario())


def test_denied_tools_are_in_no_list_and_are_refused(harness):
    async def scenario():
        async with harness.running(harness.toy_server(tools=ToolFilter(deny=("die", "hang")))) as relay:
            client = relay.client()
            tools = (await client.post("tools/list")).json()["result"]["tools"]
            names = {tool["name"] for tool in tools}
            assert "echo" in names
            assert not names & {"die", "hang"}
            error = await client.failure("die")
            message = "tool 'die' of MCP server 'toy' is not allowed by mcp.toy.tools"
            assert error == {"code": -32602, "message": message}
            await client.tell("tools/call", {"name": "die"})  # nor as a notification
            assert await client.call("echo", text="alive") == "alive"
            assert relay.relay.states()["toy"].restarts == 0

    asyncio.run(scenario())


def test_what_a_server_asks_of_a_client_that_offers_nothing_is_refused(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            answer = await relay.client().call("ask")
            assert "-32601" in answer
            assert "did not say that it can be asked" in answer

    asyncio.run(scenario())


def test_closing_ends_stubborn_servers_in_parallel_and_what_they_started(harness):
    async def scenario():
        servers = [harness.toy_server("--ignore-eof", "--child", name=f"stubborn{n}") for n in range(3)]
        pids = []
        async with harness.running(*servers, grace=0.5) as relay:
            for server in servers:
                client = relay.client(server.name)
                pids += [int(await client.call("id")), int((await client.call("cancelled")).strip("[]"))]
            started = time.monotonic()
        assert not any(harness.alive(pid) for pid in pids)
        assert time.monotonic() - started < harness.BOUND

    asyncio.run(scenario())


def test_callers_hear_at_once_that_the_relay_is_closing(harness):
    async def scenario():
        async with harness.running(harness.toy_server()) as relay:
            client = relay.client()
            await relay.up()
            hanging = asyncio.create_task(client.failure("hang"))
            await harness.until(lambda: relay.relay.states()["toy"].pid)
            await asyncio.sleep(0.05)
            await relay.relay.close(5.0)
            assert "ended during the call" in (await hanging)["message"]
            assert "the relay is closing" in (await client.failure("id"))["message"]
            assert relay.relay.states()["toy"].pid is None

    asyncio.run(scenario())


def test_a_server_whose_children_hold_its_stdout_is_seen_to_end(harness):
    async def scenario():
        async with harness.running(harness.toy_server("--child")) as relay:
            client = relay.client()
            pid, child = int(await client.call("id")), int((await client.call("cancelled")).strip("[]"))
            os.kill(pid, signal.SIGKILL)
            await harness.until(lambda: relay.relay.states()["toy"].restarts == 1)
            assert int(await client.call("id")) != pid
            assert not harness.alive(child)

    asyncio.run(scenario())


def test_a_busy_server_is_not_reported_as_down(harness, monkeypatch):
    monkeypatch.setattr("shipway_runtime.relay.stdio.liveness._TIMEOUT", 0.2)

    async def scenario():
        async with harness.running(harness.toy_server(timeout_s=15)) as relay:
            client = relay.client()
            pid = int(await client.call("id"))
            call = asyncio.create_task(client.call("sleep", seconds=0.1))
            await asyncio.sleep(0.05)
            os.kill(pid, signal.SIGSTOP)
            try:
                assert await relay.relay.probe("toy") is None
            finally:
                os.kill(pid, signal.SIGCONT)
            assert await call == "slept"
            os.kill(pid, signal.SIGSTOP)
            try:
                assert await relay.relay.probe("toy") == "did not answer ping within 0.2 s"
            finally:
                os.kill(pid, signal.SIGCONT)

    asyncio.run(scenario())
