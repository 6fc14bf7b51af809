"""What services are shown: bearer tokens and headers from secrets, and to whom they never go."""

import asyncio
import contextlib
import json

import pytest

from shipway_runtime.contract import Broker, McpServer, Secret
from shipway_runtime.secrets.declared import Secrets

KEY = "the-clients-own-secret"


class Guarded:
    """An MCP server that takes one bearer token, and answers 401 to everything else."""

    def __init__(self, token=None):
        self.token = token
        self.seen = []  # headers of each request
        self.location = None

    async def __call__(self, scope, receive, send):
        body = b""
        while (part := await receive()).get("more_body") or part.get("body"):
            body += part["body"]
            if not part.get("more_body"):
                break
        headers = {k.decode(): v.decode() for k, v in scope["headers"]}
        self.seen.append(headers)
        status, more = (307, [(b"location", self.location)]) if self.location else (200, [])
        if self.token and headers.get("authorization") != f"Bearer {self.token}":
            status = 401
        answer = {"jsonrpc": "2.0", "id": json.loads(body)["id"], "result": {}} if status == 200 else {}
        start = {"type": "http.response.start", "status": status}
        await send(start | {"headers": [(b"content-type", b"application/json"), *more]})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    @property
    def shown(self):
        return [headers.get("authorization") for headers in self.seen]


@contextlib.asynccontextmanager
async def in_front_of(harness, guarded, *, secrets, **settings):
    """A relay in front of a service, with secrets that are kept current."""
    async with harness.serving(guarded) as url:
        server = McpServer("crm", "service", url=f"{url}/mcp", **settings)
        keeping = asyncio.create_task(secrets.keep())
        try:
            async with harness.running(server, secrets=secrets) as relay:
                yield relay.client("crm")
        finally:
            keeping.cancel()
            await asyncio.wait({keeping})


@pytest.fixture
def brokered(token_server, tmp_path):
    broker = Broker(token_server.url, "id", client_secret="KEY")
    return Secrets({"CRM": Secret("broker", broker), "KEY": Secret("env")}, tmp_path, {"KEY": KEY})


def test_a_refused_token_is_renewed_once_for_everybody_and_the_call_goes_on(harness, brokered, token_server):
    async def scenario():
        guarded = Guarded("token-2")
        async with in_front_of(harness, guarded, secrets=brokered, auth="CRM", concurrency=20) as client:
            await harness.until(lambda: brokered.value("CRM"))
            answers = await asyncio.gather(*(client.post("ping") for _ in range(10)))
            assert [answer.json()["result"] for answer in answers] == [{}] * 10
            assert set(guarded.shown) == {"Bearer token-1", "Bearer token-2"}
            assert guarded.shown.count("Bearer token-2") == 10
            assert len(token_server.requests) == 2

    asyncio.run(scenario())


def test_a_server_that_refuses_every_token_is_asked_twice_and_the_broker_once_more(
    harness, brokered, token_server
):
    async def scenario():
        guarded = Guarded("never")
        async with in_front_of(harness, guarded, secrets=brokered, auth="CRM") as client:
            await harness.until(lambda: brokered.value("CRM"))
            for _ in range(3):
                error = (await client.post("ping")).json()["error"]["message"]
                assert error.endswith("saw HTTP 401; check the secret 'CRM'")
            assert guarded.shown == [f"Bearer token-{number}" for number in (1, 2, 2, 2)]
            assert len(token_server.requests) == 2

    asyncio.run(scenario())


def test_while_there_is_no_token_nothing_is_sent(harness, brokered, token_server):
    token_server.answers = [token_server.fixed(503, b"")]

    async def scenario():
        guarded = Guarded("token-2")
        async with in_front_of(harness, guarded, secrets=brokered, auth="CRM") as client:
            error = (await client.post("ping")).json()["error"]["message"]
            assert error == "MCP server 'crm' needs the secret 'CRM', which is not there"
            assert guarded.seen == []

    asyncio.run(scenario())


def test_a_file_that_was_replaced_since_is_tried_before_the_call_fails(harness, tmp_path):
    (tmp_path / "CRM").write_text("old")
    secrets = Secrets({"CRM": Secret("file")}, tmp_path, {})

    async def scenario():
        guarded = Guarded("new-token")
        guarded_call = guarded.__call__

        async def replaced_meanwhile(scope, receive, send):
            (tmp_path / "CRM").write_text("new-token")
            await guarded_call(scope, receive, send)

        async with in_front_of(harness, replaced_meanwhile, secrets=secrets, auth="CRM") as client:
            assert (await client.post("ping")).json()["result"] == {}
        assert guarded.shown == ["Bearer old", "Bearer new-token"]

    asyncio.run(scenario())


def test_headers_from_secrets_are_sent_and_rotate(harness, tmp_path):
    (tmp_path / "API").write_text("first-key")
    secrets = Secrets({"API": Secret("file"), "BASIC": Secret("env")}, tmp_path, {"BASIC": "Basic eDp5"})

    async def scenario():
        guarded = Guarded()
        headers = {"X-Api-Key": "API", "Authorization": "BASIC"}
        async with in_front_of(harness, guarded, secrets=secrets, headers=headers) as client:
            await client.post("ping", x_api_key="the agent's own", authorization="the agent's own")
            (tmp_path / "API").write_text("second-key!")
            await client.post("ping")
            (tmp_path / "API").write_text("spans\nlines")
            error = (await client.post("ping")).json()["error"]["message"]
            assert (
                error
                == "MCP server 'crm' needs the secret 'API', which holds characters that no header can carry"
            )
        assert [seen["x-api-key"] for seen in guarded.seen] == ["first-key", "second-key!"]
        assert guarded.shown == ["Basic eDp5"] * 2

    asyncio.run(scenario())


def test_credentials_go_to_their_own_server_and_never_along_a_redirect(harness, tmp_path):
    secrets = Secrets(
        {"CRM": Secret("env"), "API": Secret("env")}, tmp_path, {"CRM": "token-of-crm", "API": "key-of-crm"}
    )

    async def scenario():
        crm, other = Guarded(), Guarded()
        async with harness.serving(crm) as crm_url, harness.serving(other) as other_url:
            crm.location = f"{other_url}/mcp".encode()
            servers = (
                McpServer("crm", "service", url=f"{crm_url}/mcp", auth="CRM", headers={"x-api-key": "API"}),
                McpServer("other", "service", url=f"{other_url}/mcp"),
            )
            async with harness.running(*servers, secrets=secrets) as relay:
                assert "redirects are not followed" in (await relay.client("crm").post("ping")).text
                assert other.seen == []
                await relay.relay.probe("crm")
                assert other.seen == []
                await relay.client("other").post("ping")
                await relay.relay.probe("other")
        assert set(crm.shown) == {"Bearer token-of-crm"}
        assert "of-crm" not in json.dumps(other.seen)

    asyncio.run(scenario())
