"""The layer in front of an application: what passes, what does not, and which tenant the application sees."""

from __future__ import annotations

import asyncio
import json

import pytest

from shipway_runtime.api.auth.guard import Guard
from shipway_runtime.api.auth.keys import KeyAuth
from shipway_runtime.api.auth.proxies import ProxyAuth
from shipway_runtime.api.callers import caller
from shipway_runtime.errors import StartError
from shipway_runtime.keys import line

KEYED = {"authorization": "Bearer one"}


def exchange(auth, headers=None, *, peer="10.1.2.3", **scope):
    """What the application behind the guard has seen, and what was sent."""
    seen, sent = [], []

    async def app(scope, receive, send):
        seen.append(scope)

    async def send(message):
        sent.append(message)

    given = {"type": "http", "method": "POST", "path": "/x", "client": (peer, 7)} | scope
    given["headers"] = [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    guard = Guard(app, auth, "support")
    asyncio.run(guard(given, None, send))
    assert len(seen) + sum(guard.refused.values()) == 1
    return (seen[0] if seen else None), sent


def keys():
    return KeyAuth("API_KEYS", lambda: line("acme", "one"))


def test_a_request_without_a_key():
    seen, (start, body) = exchange(keys())
    assert seen is None
    assert start["status"] == 401
    assert dict(start["headers"])[b"www-authenticate"] == b'Bearer realm="support"'
    error = json.loads(body["body"])["error"]
    assert error.pop("message").startswith("this agent has to know who calls; send an API key as `Auth")
    assert error == {
        "type": "authentication_error",
        "code": "missing_api_key",
        "param": None,
    }


def test_a_request_with_a_wrong_key():
    _, (start, body) = exchange(keys(), {"x-api-key": "hunter2"})
    challenge = dict(start["headers"])[b"www-authenticate"]
    expected = 'Bearer realm="support", error="invalid_token", error_description="the API key is not known"'
    assert challenge.decode() == expected
    assert b"hunter2" not in body["body"]


def test_a_request_with_a_key():
    seen, sent = exchange(keys(), KEYED)
    assert caller(seen).tenant == "acme"
    assert (b"x-shipway-tenant", b"acme") in seen["headers"]
    assert sent == []


FORGED = ["x-shipway-tenant", "X-Shipway-Tenant", "x_shipway_tenant", "x-shipway_tenant"]


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.parametrize(
    ("auth", "more", "scope", "tenant"),
    [
        (keys, KEYED, {}, "acme"),
        (keys, {}, {"method": "GET", "path": "/healthz"}, None),
        (lambda: ProxyAuth([]), {}, {}, None),
        (lambda: ProxyAuth(["192.168.0.0/16"]), {}, {}, None),
        (lambda: ProxyAuth([]), {}, {"type": "websocket"}, None),
    ],
)
def test_no_application_sees_a_tenant_that_was_not_checked(name, auth, more, scope, tenant):
    seen, _ = exchange(auth(), {name: "globex", "x-forwarded-for": "192.168.0.1"} | more, **scope)
    named = [value for key, value in seen["headers"] if b"tenant" in key.lower()]
    assert named == ([tenant.encode()] if tenant else [])
    assert caller(seen).tenant == tenant


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/readiness", "/ping"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_health_is_for_everybody(path, method):
    assert exchange(keys(), path=path, method=method)[0]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/ping"),
        ("GET", "/ping/"),
        ("GET", "//ping"),
        ("GET", "/ping/../v1/responses"),
        ("GET", "/Ping"),
        ("GET", "/openapi.json"),
        ("OPTIONS", "/v1/responses"),
        ("PRI", "*"),
    ],
)
def test_nothing_else_is(method, path):
    assert exchange(keys(), method=method, path=path)[0] is None


def test_a_preflight_has_no_credentials():
    asked = {"origin": "https://app", "access-control-request-method": "POST"}
    assert exchange(keys(), asked, method="OPTIONS")[0]
    assert exchange(keys(), asked, method="POST")[0] is None


def test_the_lifespan_passes():
    assert exchange(keys(), type="lifespan")[0]["type"] == "lifespan"


WEBSOCKET = {"type": "websocket", "method": None}


def test_a_websocket_without_a_key():
    assert exchange(keys(), **WEBSOCKET)[1] == [{"type": "websocket.close", "code": 1008}]
    start, body = exchange(keys(), **WEBSOCKET, extensions={"websocket.http.response": {}})[1]
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    assert body["type"] == "websocket.http.response.body"


def test_a_websocket_with_a_key():
    assert caller(exchange(keys(), KEYED, **WEBSOCKET)[0]).tenant == "acme"


# -- A proxy that is trusted ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trusted", "peer", "tenant"),
    [
        (["10.0.0.0/8"], "10.1.2.3", "acme"),
        (["10.1.2.3"], "10.1.2.3", "acme"),
        (["10.1.2.4", "10.1.2.3/24"], "10.1.2.9", "acme"),
        (["10.0.0.0/8"], "::ffff:10.1.2.3", "acme"),
        (["fd00::/8"], "fd00::7", "acme"),
        (["::1"], "::1", "acme"),
        (["10.0.0.0/8"], "11.0.0.1", None),
        (["10.0.0.0/8"], "127.0.0.1", None),
        (["10.0.0.0/8"], "fd00::10.1.2.3", None),
        (["10.0.0.0/8"], "testclient", None),
        ([], "127.0.0.1", None),
    ],
)
def test_the_header_counts_by_who_connects(trusted, peer, tenant):
    seen, _ = exchange(ProxyAuth(trusted), {"x-shipway-tenant": "acme"}, peer=peer)
    assert caller(seen).tenant == tenant


def test_a_connection_without_an_address():
    seen, _ = exchange(ProxyAuth(["10.0.0.0/8"]), {"x-shipway-tenant": "acme"}, client=None)
    assert caller(seen).tenant is None


def test_a_proxy_that_names_nobody():
    assert caller(exchange(ProxyAuth(["10.0.0.0/8"]))[0]).tenant is None


@pytest.mark.parametrize("name", ["", "a b", "a,b", "é", "a" * 129, "a/b"])
def test_a_name_that_no_tenant_can_have(name):
    seen, (start, _) = exchange(ProxyAuth(["10.0.0.0/8"]), {"x-shipway-tenant": name})
    assert seen is None
    assert start["status"] == 400


def test_a_proxy_that_only_appends_is_not_believed():
    """The client's header and the proxy's are both there: nobody knows which is whose."""

    async def run():
        headers = [(b"x-shipway-tenant", b"globex"), (b"x-shipway-tenant", b"acme")]
        await ProxyAuth(["10.0.0.0/8"]).caller({"client": ("10.0.0.1", 1), "headers": headers})

    with pytest.raises(Exception, match="has to be one tenant's name"):
        asyncio.run(run())


def test_a_network_that_is_none():
    with pytest.raises(StartError, match=r'api\.trusted_proxies: expected a network .*, saw "gateway"'):
        ProxyAuth(["gateway"])
    for everybody in ("0.0.0.0/0", "::/0"):
        with pytest.raises(StartError, match="is everybody, who could name any tenant"):
            ProxyAuth([everybody])
