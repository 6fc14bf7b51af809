"""Tokens from a broker: fetched, renewed, never used after their end. The clock is moved by hand."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import threading

import httpx2
import pytest

from shipway_runtime.contract import Broker, Secret
from shipway_runtime.secrets import broker, tokens
from shipway_runtime.secrets.declared import MOST, Secrets

BOUND_S = 20.0
KEY = "the-clients-own-secret"


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(broker, "LOOK_S", 0.005)
    monkeypatch.setattr(broker, "now", clock := Clock())
    return clock


def declared(server, **settings):
    settings = {"client_secret": "KEY"} | settings
    return {"CRM": Secret("broker", Broker(server.url, "id", **settings)), "KEY": Secret("env")}


def open_secrets(server, tmp_path, environ=None, **settings):
    return Secrets(declared(server, **settings), tmp_path, {"KEY": KEY} if environ is None else environ)


async def until(condition):
    async with asyncio.timeout(BOUND_S):
        while not (value := condition()):
            await asyncio.sleep(0.002)
    return value


@contextlib.asynccontextmanager
async def kept(secrets):
    keeping = asyncio.create_task(secrets.keep())
    try:
        yield
        assert not keeping.done()
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})


async def turns(count=20):
    """Let the task look at the clock some times."""
    for _ in range(count):
        await asyncio.sleep(0.003)


def test_before_the_first_token_the_secret_is_missing_and_then_it_is_there(token_server, tmp_path, caplog):
    caplog.set_level("INFO")
    secrets = open_secrets(token_server, tmp_path)
    assert secrets.value("CRM") is None
    assert secrets.problems() == [f"CRM: no token from {token_server.url} yet"]

    async def scenario():
        async with kept(secrets):
            await until(lambda: secrets.value("CRM") == "token-1")
        assert secrets.problems() == []

    asyncio.run(scenario())
    assert f"secret CRM: a token from {token_server.url}, good for 3600 s" in caplog.text
    assert "token-1" not in caplog.text


def test_a_token_is_renewed_early_and_there_is_always_one(token_server, tmp_path, clock):
    secrets = open_secrets(token_server, tmp_path)

    async def scenario():
        async with kept(secrets):
            await until(lambda: secrets.value("CRM"))
            for number in (1, 2, 3):
                clock.now += 3600 * 0.7
                await turns()
                assert secrets.value("CRM") == f"token-{number}", "too early"
                clock.now += 3600 * 0.15
                assert secrets.value("CRM") == f"token-{number}", "good while the next one is fetched"
                await until(lambda number=number: secrets.value("CRM") == f"token-{number + 1}")
        assert len(token_server.requests) == 4

    asyncio.run(scenario())


def test_a_token_outlives_a_broker_that_fails_and_is_never_used_after_its_end(
    token_server, tmp_path, clock, caplog
):
    token_server.answers = [token_server.numbered(100), token_server.fixed(503, b"")]
    secrets = open_secrets(token_server, tmp_path)

    async def scenario():
        async with kept(secrets):
            await until(lambda: secrets.value("CRM"))
            clock.now += 99
            await until(lambda: "HTTP 503" in caplog.text)
            assert secrets.value("CRM") == "token-1"
            assert secrets.problems() == [], "it is good, and readiness asks for no more"
            clock.now += 1
            assert secrets.value("CRM") is None
            assert secrets.problems() == [
                f"CRM: the token has expired; {token_server.url} refused: HTTP 503",
            ]
            await until(lambda: clock_on(clock) and len(token_server.requests) > 3)
            token_server.answers = [token_server.numbered(100)]
            await until(lambda: clock_on(clock, 1) and secrets.value("CRM"))
            assert secrets.problems() == []

    asyncio.run(scenario())
    assert caplog.text.count("HTTP 503; its last token is still in use") == 1


def clock_on(clock, seconds=100):
    clock.now += seconds
    return True


def test_the_time_a_token_took_to_come_counts(token_server, tmp_path, clock):
    def slow(*_):
        clock.now += 50
        return token_server.fixed(200, {"access_token": "slow", "expires_in": 60})()

    token_server.answers = [slow, token_server.fixed(503, b"")]
    secrets = open_secrets(token_server, tmp_path)

    async def scenario():
        async with kept(secrets):
            await until(lambda: secrets.value("CRM"))
            clock.now += 10
            assert secrets.value("CRM") is None

    asyncio.run(scenario())


def test_pauses_grow_to_a_limit_and_an_endpoint_may_ask_for_more(token_server, tmp_path, clock):
    pauses = broker._pauses()
    first, *_, last = (next(pauses) for _ in range(12))
    assert first <= broker.FIRST_PAUSE_S * 1.2
    assert broker.LONGEST_PAUSE_S * 0.8 <= last <= broker.LONGEST_PAUSE_S * 1.2
    token_server.answers = [token_server.fixed(429, b"", retry_after="30"), token_server.numbered(60)]
    secrets = open_secrets(token_server, tmp_path)

    async def scenario():
        async with kept(secrets):
            await until(lambda: "HTTP 429" in secrets.problems()[0])
            clock.now += 29
            await turns()
            assert len(token_server.requests) == 1
            clock.now += 1
            await until(lambda: secrets.value("CRM"))

    asyncio.run(scenario())


def test_what_fails_in_a_new_way_is_tried_again(token_server, tmp_path, clock, monkeypatch, caplog):
    secrets = open_secrets(token_server, tmp_path)
    monkeypatch.setattr(broker, "basic", None)

    async def scenario():
        async with kept(secrets):
            await until(lambda: "cannot ask" in secrets.problems()[0])
            monkeypatch.setattr(broker, "basic", tokens.basic)
            clock.now += 1
            await until(lambda: secrets.value("CRM"))

    asyncio.run(scenario())
    assert "TypeError" in caplog.text


def test_what_the_broker_is_shown_may_come_late(token_server, tmp_path, clock):
    names = declared(token_server) | {"KEY": Secret("file")}
    secrets = Secrets(names, tmp_path, {})

    async def scenario():
        async with kept(secrets):
            await until(lambda: secrets.problems()[0] == "CRM: needs the secret KEY, which is not there")
            (tmp_path / "KEY").write_text(KEY)
            clock.now += 1
            await until(lambda: secrets.value("CRM"))

    asyncio.run(scenario())
    assert len(token_server.requests) == 1


def test_an_identity_token_is_read_at_each_exchange(token_server, tmp_path, clock):
    path = tmp_path / "identity"
    settings = {"client_secret": None, "identity_token": str(path)}
    secrets = open_secrets(token_server, tmp_path, **settings)

    async def scenario():
        async with kept(secrets):
            await until(lambda: secrets.problems() == [f"CRM: no identity token in {path}"])
            path.write_text("identity-1\n")
            clock.now += 1
            await until(lambda: secrets.value("CRM"))
            path.write_text("identity-2\n")
            clock.now += 3300
            await until(lambda: secrets.value("CRM") == "token-2")

    asyncio.run(scenario())
    assert [form["subject_token"] for form, _ in token_server.requests] == ["identity-1", "identity-2"]
    assert secrets.redact("identity-1 identity-2 token-1 token-2") == " ".join(["[redacted]"] * 4)


def test_a_token_without_an_end_is_renewed_now_and_then(token_server, tmp_path, clock):
    token_server.answers = [token_server.numbered(None)]
    secrets = open_secrets(token_server, tmp_path)

    async def scenario():
        async with kept(secrets):
            await until(lambda: secrets.value("CRM"))
            token_server.answers = [token_server.fixed(503, b"")]
            clock.now += 10**9
            await until(lambda: len(token_server.requests) > 1)
            assert secrets.value("CRM") == "token-1"

    asyncio.run(scenario())


# -- A server refuses the token --------------------------------------------------------------------------


def test_many_that_were_refused_at_once_get_one_new_token(token_server, tmp_path, clock):
    secrets = open_secrets(token_server, tmp_path)

    async def scenario():
        async with kept(secrets):
            await until(lambda: secrets.value("CRM"))
            renewed = await asyncio.gather(*(secrets.renew("CRM", "token-1") for _ in range(20)))
            assert renewed == [True] * 20
            assert secrets.value("CRM") == "token-2"
            assert await secrets.renew("CRM", "token-1"), "somebody else has renewed it"
            assert len(token_server.requests) == 2
            assert not await secrets.renew("CRM", "token-2"), "a server that refuses everything"
            assert len(token_server.requests) == 2
            clock.now += broker.RENEWAL_PAUSE_S
            assert await secrets.renew("CRM", "token-2")

    asyncio.run(scenario())
    assert len(token_server.requests) == 3


def test_a_refused_token_stays_while_the_broker_has_no_other(token_server, tmp_path, clock):
    token_server.answers = [token_server.numbered(3600), token_server.fixed(503, b"")]
    secrets = open_secrets(token_server, tmp_path)

    async def scenario():
        async with kept(secrets):
            await until(lambda: secrets.value("CRM"))
            assert not await secrets.renew("CRM", "token-1")
            assert secrets.value("CRM") == "token-1", "one server cannot take it from the others"
            clock.now += 0.1
            assert not await secrets.renew("CRM", "token-1"), "the broker's own pace holds"
            assert len(token_server.requests) == 2

    asyncio.run(scenario())


def test_of_secrets_that_are_not_fetched_the_one_on_disk_counts(tmp_path):
    secrets = Secrets({"A": Secret("file")}, tmp_path, {})

    async def scenario():
        (tmp_path / "A").write_text("old-value")
        assert not await secrets.renew("A", "old-value")
        (tmp_path / "A").write_text("new-value!")
        assert await secrets.renew("A", "old-value")
        assert not await secrets.renew("B", "x")
        await secrets.keep()

    asyncio.run(scenario())


# -- Threads, logs, the environment ------------------------------------------------------------------------


def test_any_thread_reads_a_whole_token_while_it_is_replaced(token_server, tmp_path, clock):
    secrets = open_secrets(token_server, tmp_path)
    seen, stop = set(), threading.Event()

    def read():
        while not stop.is_set():
            seen.add(secrets.value("CRM"))
            secrets.redact("a line of the log, token-3 in it")

    async def scenario():
        async with kept(secrets):
            await until(lambda: secrets.value("CRM"))
            reader = threading.Thread(target=read)
            reader.start()
            try:
                for number in range(2, 8):
                    clock.now += 3200
                    await until(lambda number=number: secrets.value("CRM") == f"token-{number}")
            finally:
                stop.set()
                reader.join()

    asyncio.run(scenario())
    assert seen <= {f"token-{number}" for number in range(1, 8)}


def test_a_broker_that_repeats_what_it_was_shown_leaks_nothing(token_server, tmp_path, caplog):
    def parrot(form, headers):
        words = f"saw {form} and {headers}"
        return token_server.fixed(400, {"error": "invalid_grant", "error_description": words})()

    token_server.answers = [parrot]
    (tmp_path / "identity").write_text("header.claims.signature")
    settings = {"identity_token": str(tmp_path / "identity"), "client_secret": "KEY"}
    secrets = open_secrets(token_server, tmp_path, {"KEY": "p:ss w+rd"}, **settings)

    async def scenario():
        async with kept(secrets):
            await until(lambda: "invalid_grant" in secrets.problems()[0])

    asyncio.run(scenario())
    shown = json.dumps([secrets.problems(), caplog.text])
    assert "[redacted]" in shown
    for value in ("p:ss w+rd", "p%3Ass", "header.claims", broker.basic("id", "p:ss w+rd")):
        assert value not in shown


def test_tokens_of_long_ago_make_room_and_current_values_stay_redacted(token_server, tmp_path):
    secrets = open_secrets(token_server, tmp_path)
    for number in range(MOST + 10):
        secrets.learn(f"token-of-old-{number:04}")
    assert secrets.redact("token-of-old-0000") == "token-of-old-0000"
    assert secrets.redact(f"token-of-old-{MOST:04}") == "[redacted]"
    assert secrets.redact(f"x {KEY}") == "x [redacted]"


def test_no_token_is_put_into_the_environment(token_server, tmp_path):
    secrets = open_secrets(token_server, tmp_path)

    async def scenario():
        async with kept(secrets):
            await until(lambda: secrets.value("CRM"))
            assert secrets.environment({}) == {"KEY": KEY}

    asyncio.run(scenario())


def test_nothing_large_is_imported_before_the_first_exchange():
    code = "import sys, shipway_runtime.secrets.broker; print('httpx2' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "False"


# -- The whole process -------------------------------------------------------------------------------------

AGENT = """
import json, os

async def agent(messages, ctx):
    return json.dumps({"token": ctx.secret("CRM")[::-1], "environ": sorted(os.environ)})
"""


def test_a_process_starts_without_its_token_and_is_ready_with_it(start, token_server, tmp_path):
    token_server.answers = [token_server.fixed(400, {"error": "invalid_client", "error_description": KEY})]
    settings = {
        "secrets": {
            "CRM": {
                "source": "broker",
                "broker": {"token_url": token_server.url, "client_id": "id", "client_secret": "KEY"},
            },
            "KEY": {"source": "env"},
        }
    }
    crm = {
        "name": "crm",
        "shape": "service",
        "url": "http://127.0.0.1:9/mcp",
        "auth": "CRM",
        "optional": True,
    }
    running = start(AGENT, ready=False, env={"KEY": KEY}, settings=settings, mcp=[crm])

    def reason():
        if running.get_admin("/readyz") == 503:
            return running.admin.get("/readyz").json()["checks"].get("secrets", {}).get("last_error")
        return None

    running.wait_for(lambda: "refused: HTTP 400" in (reason() or ""), "reason")
    assert reason() == f"CRM: {token_server.url} refused: HTTP 400: invalid_client: [redacted]"
    relay = httpx2.post(
        f"http://127.0.0.1:{running.ports['RELAY']}/mcp/crm",
        json={"jsonrpc": "2.0", "id": 1, "method": "ping"},
        trust_env=False,
    )
    assert "needs the secret 'CRM', which is not there" in relay.text
    token_server.answers = [token_server.fixed(200, {"access_token": "canary-of-a-token", "expires_in": 60})]
    running.wait_ready()
    said = json.loads(running.ask().json()["output"][0]["content"][0]["text"])
    assert said["token"][::-1] == "canary-of-a-token"
    assert "CRM" not in said["environ"]
    shown = [running.admin.get(path).text for path in ("/readyz", "/config", "/revision", "/policy")]
    running.terminate()
    assert running.exit_code() == 0
    everything = "".join([*shown, running.log(), running.stdout.read_text()])
    assert "secret CRM: a token from" in everything
    for value in (KEY, "canary-of-a-token", broker.basic("id", KEY)):
        assert value not in everything
