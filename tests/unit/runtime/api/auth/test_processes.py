"""Whole processes: each way to know who calls, over the API's own endpoints and in front of others' apps."""

from __future__ import annotations

import json

import pytest
from tests.issuer import IssuerServer, jwk, sign

from shipway_runtime.keys import line

AGENT = """
import json

async def agent(messages, ctx):
    model = ctx.model and ctx.model.name
    return json.dumps({"tenant": ctx.tenant, "turn": ctx.turn, "model": model, "config": dict(ctx.config)})
"""

APP = """
import json

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(headers.get("x-shipway-tenant")).encode()})
"""


def rendered(api, **more):
    config = {"environment": "prod", "settings": {"api": api, **more.pop("settings", {})}, **more}
    return {"SHIPWAY_ENV": "prod", "SHIPWAY_CONFIG_JSON": json.dumps(config)}


def said(response):
    assert response.status_code == 200, response.text
    return json.loads(response.json()["output"][0]["content"][0]["text"])


def ask(running, key=None, **headers):
    headers |= {"authorization": f"Bearer {key}"} if key else {}
    return running.api.post("/v1/responses", json={"input": "hi"}, headers=headers)


def write_keys(path, *lines):
    """As a rotation does it: a new file in the place of the old one."""
    new = path.with_name("new")
    new.write_text("\n".join(lines))
    new.replace(path)


@pytest.fixture
def keyed(tmp_path):
    (tmp_path / "secrets").mkdir()
    write_keys(
        tmp_path / "secrets" / "API_KEYS", line("acme", "key-of-acme"), line("globex", "key-of-globex")
    )
    settings = {"secrets": {"API_KEYS": {"source": "file"}}}
    return rendered({"auth": "keys", "keys": "API_KEYS"}, settings=settings) | {
        "SHIPWAY_SECRETS": str(tmp_path / "secrets")
    }


def test_keys(start, keyed, tmp_path):
    running = start(AGENT, env=keyed)
    assert said(ask(running, "key-of-acme"))["tenant"] == "acme"
    assert said(ask(running, "key-of-globex", **{"x-shipway-tenant": "acme"}))["tenant"] == "globex"
    refused = ask(running, "hunter2-hunter2")
    assert refused.status_code == 401
    assert refused.json()["error"]["code"] == "invalid_api_key"
    assert refused.headers["x-shipway-revision"].startswith("unreleased-")
    assert running.api.post("/invocations", json={"prompt": "hi"}).status_code == 401
    assert [running.api.get(path).status_code for path in ("/ping", "/healthz", "/readyz")] == [200] * 3
    assert running.admin.get("/readyz").json()["checks"]["auth"]["state"] == "up"
    assert 'shipway_auth_refused_total{code="invalid_api_key"} 1.0' in running.admin.get("/metrics").text

    conversation = ask(running, "key-of-acme").json()["conversation"]["id"]
    for key, turn in (("key-of-acme", 2), ("key-of-globex", 1)):
        headers = {"authorization": f"Bearer {key}"}
        body = {"input": "hi", "conversation": conversation}
        assert said(running.api.post("/v1/responses", json=body, headers=headers))["turn"] == turn

    write_keys(tmp_path / "secrets" / "API_KEYS", line("acme", "key-of-acme"), line("acme", "key-new"))
    running.wait_for(lambda: ask(running, "key-new").status_code == 200, "the new key")
    assert ask(running, "key-of-globex").status_code == 401
    assert ask(running, "key-of-acme").status_code == 200
    assert "hunter2" not in running.log()
    assert "key-of" not in running.log()


def test_nobody_reaches_what_is_another_tenants(start, keyed):
    running = start(AGENT, env=keyed)
    acme, globex = ({"authorization": f"Bearer key-of-{name}"} for name in ("acme", "globex"))
    answer = ask(running, "key-of-acme").json()
    response, conversation = answer["id"], answer["conversation"]["id"]
    places = [f"/v1/responses/{response}", f"/v1/responses/{response}/input_items"]
    places += [f"/v1/conversations/{conversation}", f"/v1/conversations/{conversation}/items"]
    for place in places:
        assert running.api.get(place).status_code == 401
        assert running.api.get(place, headers=globex).status_code == 404, place
        assert running.api.get(place, headers=acme).status_code == 200, place
    for verb, place in (("POST", f"{places[0]}/cancel"), ("DELETE", places[0]), ("DELETE", places[2])):
        assert running.api.request(verb, place, headers=globex).status_code == 404, place
    later = {"input": "hi", "previous_response_id": response}
    assert running.api.post("/v1/responses", json=later, headers=globex).status_code == 404
    assert running.api.post("/v1/responses", json=later, headers=acme).status_code == 200


def test_a_policy_knows_the_tenant_of_a_key(start, keyed, tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text('{"kill": {"tenants": ["globex"]}}')
    running = start(AGENT, env=keyed | {"SHIPWAY_POLICY": str(policy)})
    assert ask(running, "key-of-acme").status_code == 200
    killed = ask(running, "key-of-globex", **{"x-shipway-tenant": "acme"})
    assert killed.status_code == 503
    assert ask(running).status_code == 401, "who calls comes before what they may do"


def test_an_application_of_its_own_behind_keys(start, keyed):
    running = start(APP, env=keyed, entrypoint="agent:app")
    assert running.api.get("/anything").status_code == 401
    headers = {"x-api-key": "key-of-acme", "X-Shipway-Tenant": "globex", "x_shipway_tenant": "globex"}
    assert running.api.get("/anything", headers=headers).json() == "acme"
    assert running.api.get("/ping", headers={"x-shipway-tenant": "globex"}).json() is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("acme sha256:abc", "the secret API_KEYS, line 1: expected"),
        ("acme hunter2", "API_KEYS, line 1: expected"),
    ],
)
def test_keys_that_cannot_be_read_keep_it_from_starting(start, keyed, tmp_path, text, message):
    write_keys(tmp_path / "secrets" / "API_KEYS", text)
    running = start(AGENT, env=keyed, ready=False)
    assert running.exit_code() == 1
    assert message in running.log()
    assert text.split()[1] not in running.log()
    assert "Traceback" not in running.log()


@pytest.mark.parametrize(
    ("api", "message"),
    [
        ({"auth": "keys"}, "api.keys: expected the name of a secret"),
        ({"auth": "keys", "keys": "NOWHERE"}, "api.keys: expected the name of a secret, one of [secrets]"),
        ({"auth": "jwt"}, "api.jwks is not set"),
        ({"auth": "jwt", "jwks": "http://127.0.0.1:9/"}, "api.tenant_claim is not set"),
        ({"auth": "none", "trusted_proxies": ["x"]}, "api.trusted_proxies: expected a network"),
    ],
)
def test_what_is_half_configured_keeps_it_from_starting(start, api, message):
    running = start(AGENT, env=rendered(api), ready=False)
    assert running.exit_code() == 1
    assert message in running.log()
    assert "Traceback" not in running.log()


def test_tokens_of_an_issuer_that_comes_late(start):
    server = IssuerServer(jwk("RS256"), jwk("ES256"))
    server.status = 503
    api = {"auth": "jwt", "jwks": server.url, "audience": "support", "tenant_claim": "org"}
    try:
        running = start(AGENT, env=rendered(api), ready=False)
        running.wait_for(
            lambda: running.get_admin("/readyz") == 503 and "503" in shown(running), "a failing check"
        )
        running.wait_for(lambda: "API on port" in running.log(), "the API")
        early = ask(running, sign("RS256"))
        assert (early.status_code, early.headers["retry-after"]) == (503, "2")
        assert early.json()["error"]["code"] == "auth_unavailable"
        server.status = 200
        running.wait_ready()
        assert said(ask(running, sign("RS256")))["tenant"] == "acme"
        assert (
            said(ask(running, sign("ES256", org="globex"), **{"x-shipway-tenant": "acme"}))["tenant"]
            == "globex"
        )
        assert ask(running, sign(exp=1)).status_code == 401
        nameless = ask(running, sign(org=None))
        assert (nameless.status_code, nameless.json()["error"]["code"]) == (403, "missing_tenant")
        detail = running.admin.get("/readyz").json()["checks"]["auth"]["jwks"]
        assert (detail["keys"], detail["error"]) == (["RS256", "ES256"], None)
    finally:
        server.close()


def shown(running):
    return str(running.admin.get("/readyz").json()["checks"].get("auth", {}).get("last_error"))


def test_a_package_that_is_not_there_is_named(start, tmp_path):
    hide = tmp_path / "hide"
    hide.mkdir()
    (hide / "sitecustomize.py").write_text("import sys\nsys.modules['jwt'] = None\n")
    api = {"auth": "jwt", "jwks": "http://127.0.0.1:9/", "tenant_claim": "org"}
    running = start(AGENT, env=rendered(api) | {"PYTHONPATH": str(hide)}, ready=False)
    assert running.exit_code() == 1
    assert 'pip install "pyjwt[crypto]>=2.8"' in json.loads(running.log().splitlines()[-1])["message"]


def test_a_proxy_names_the_tenant_and_nobody_else_does(start):
    running = start(AGENT, env=rendered({"auth": "none", "trusted_proxies": ["127.0.0.0/8"]}))
    assert said(ask(running, **{"x-shipway-tenant": "acme"}))["tenant"] == "acme"
    assert said(ask(running))["tenant"] is None
    forwarded = {"x-shipway-tenant": "acme", "x-forwarded-for": "127.0.0.1"}
    running = start(AGENT, env=rendered({"auth": "none", "trusted_proxies": ["10.0.0.0/8"]}))
    assert said(ask(running, **forwarded))["tenant"] is None
    assert said(ask(running, **forwarded | {"x-forwarded-for": "10.0.0.1"}))["tenant"] is None, (
        "who a request comes from is who connected"
    )


def test_a_tenant_has_its_own_model_and_config(start):
    model = {"provider": "http://127.0.0.1:9", "name": "small"}
    settings = {
        "config": {"greeting": "short", "lines": 3},
        "model": model,
        "health": {"when_model_down": "degraded"},
    }
    own = {"acme": {"model": model | {"name": "large"}, "config": {"greeting": "long"}}}
    api = {"auth": "none", "trusted_proxies": ["127.0.0.1"]}
    running = start(AGENT, env=rendered(api, settings=settings, tenants=own))
    acme = ask(running, **{"x-shipway-tenant": "acme"})
    assert said(acme)["model"] == acme.json()["model"] == "large"
    assert said(acme)["config"] == {"greeting": "long", "lines": 3}
    for headers in ({"x-shipway-tenant": "globex"}, {}):
        other = ask(running, **headers)
        assert said(other)["model"] == other.json()["model"] == "small"
        assert said(other)["config"] == settings["config"]


def test_a_config_as_large_as_a_variable_can_be(start):
    """Linux takes 128 KiB of one variable: some 1,400 tenants with settings of their own."""
    own = {
        f"tenant-{i:04}": {"config": {"greeting": f"the greeting of tenant {i:04}, and some more"}}
        for i in range(1400)
    }
    env = rendered({"auth": "none", "trusted_proxies": ["127.0.0.1"]}, tenants=own)
    assert 120_000 < len(env["SHIPWAY_CONFIG_JSON"]) < 2**17 - len("SHIPWAY_CONFIG_JSON=") - 1
    running = start(AGENT, env=env)
    config = said(ask(running, **{"x-shipway-tenant": "tenant-1399"}))["config"]
    assert config == {"greeting": "the greeting of tenant 1399, and some more"}
