from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from shipway_runtime import config, contract
from shipway_runtime.errors import StartError


@pytest.fixture
def environ(tmp_path):
    (tmp_path / "shipway.json").write_text(json.dumps({"name": "a", "entrypoint": "a:b"}))
    return {"SHIPWAY_MANIFEST": str(tmp_path / "shipway.json"), "SHIPWAY_ENV": "development"}


def rendered(**settings):
    return json.dumps({"environment": "prod", "settings": settings})


def test_defaults_are_the_images(environ):
    deployment = config.read(environ)
    assert deployment.places.host == "0.0.0.0"
    assert (deployment.places.api_port, deployment.places.admin_port) == (8080, 8081)
    assert deployment.revision == "unreleased"
    assert deployment.places.storage is None


def test_a_config_replaces_the_settings_as_a_whole(environ, tmp_path):
    manifest = {"name": "a", "entrypoint": "a:b", "settings": {"config": {"x": 1}, "storage": {"path": "/d"}}}
    Path(environ["SHIPWAY_MANIFEST"]).write_text(json.dumps(manifest))
    assert config.read(environ).places.storage == Path("/d")
    del environ["SHIPWAY_ENV"]
    (tmp_path / "config.json").write_text(rendered(health={"grace_s": 5}))
    deployment = config.read(environ | {"SHIPWAY_CONFIG": str(tmp_path / "config.json")})
    assert deployment.environment == "prod"
    assert deployment.settings.health.grace_s == 5.0
    assert deployment.settings.config == {}
    assert deployment.places.storage is None


def test_the_storage_variable_wins(environ):
    given = {"SHIPWAY_STORAGE": "/x", "SHIPWAY_CONFIG_JSON": rendered(storage={"path": "/d"})}
    assert config.read(environ | given | {"SHIPWAY_ENV": "prod"}).places.storage == Path("/x")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"SHIPWAY_MANIFEST": "/nonexistent.json"}, "/nonexistent.json: no manifest there"),
        ({"SHIPWAY_CONFIG": "/nonexistent.json"}, "/nonexistent.json: the config cannot be read"),
        ({"SHIPWAY_API_PORT": "many"}, 'SHIPWAY_API_PORT: expected a number of at least 0, saw "many"'),
        ({"SHIPWAY_DRAIN_DELAY": "-1"}, 'SHIPWAY_DRAIN_DELAY: expected a number of at least 0, saw "-1"'),
        (
            {"SHIPWAY_CONFIG_JSON": rendered()},
            'SHIPWAY_ENV is "development", but the config was rendered for',
        ),
    ],
)
def test_what_cannot_be_read_is_named(environ, given, message):
    with pytest.raises(StartError, match=message):
        config.read(environ | given)


def test_without_an_environment_the_strict_rules_hold(environ):
    del environ["SHIPWAY_ENV"]
    deployment = config.read(environ)
    assert deployment.environment == "production"
    with pytest.raises(StartError, match=r"api\.auth is not set"):
        config.refuse_unsafe(deployment)


def deployed(environ, **changes):
    deployment = config.read(environ)
    return dataclasses.replace(
        deployment, settings=dataclasses.replace(deployment.settings, **changes), environment="prod"
    )


OPEN = contract.Api(auth="none")


def test_nothing_to_refuse(environ):
    config.refuse_unsafe(deployed(environ, api=OPEN))
    config.refuse_unsafe(config.read(environ))


def test_the_agents_environment_keeps_what_is_set(environ):
    deployment = config.read(environ | {"SHIPWAY_RELAY_PORT": "9"})
    manifest = dataclasses.replace(deployment.manifest, mcp=(contract.McpServer("big-git", "inside"),))
    settings = contract.Settings(model=contract.Model("anthropic", "m", max_tokens=7))
    deployment = dataclasses.replace(deployment, manifest=manifest, settings=settings)
    assert config.agent_environment(deployment, {"SHIPWAY_MODEL": "mine"}) == {
        "SHIPWAY_MCP_BIG_GIT_URL": "http://127.0.0.1:9/mcp/big-git",
        "SHIPWAY_MAX_TOKENS": "7",
    }


def test_every_sdk_is_led_to_a_provider_that_is_an_address(environ):
    gateway = "https://gateway.internal/v1"
    settings = contract.Settings(model=contract.Model(gateway, "m"))
    deployment = dataclasses.replace(config.read(environ), settings=settings)
    assert config.agent_environment(deployment, {"OPENAI_BASE_URL": "http://elsewhere"}) == {
        "SHIPWAY_MODEL": "m",
        "ANTHROPIC_BASE_URL": gateway,
        "GOOGLE_GEMINI_BASE_URL": gateway,
    }


@pytest.mark.parametrize(
    ("provider", "environ", "url"),
    [
        ("anthropic", {}, "https://api.anthropic.com"),
        ("anthropic", {"ANTHROPIC_BASE_URL": "http://r:1"}, "http://r:1"),
        ("anthropic", {"OPENAI_BASE_URL": "http://r:1"}, "https://api.anthropic.com"),
        ("https://gateway", {}, "https://gateway"),
        ("https://gateway", {"OPENAI_BASE_URL": "http://r:1"}, "http://r:1"),
    ],
)
def test_the_base_url_in_effect(provider, environ, url):
    assert config.model_url(contract.Model(provider, "m"), environ) == url


# -- Provenance ----------------------------------------------------------------------------------------------


def test_what_the_environment_says_names_its_variable(environ):
    given = {"SHIPWAY_API_PORT": "9", "SHIPWAY_REVISION": "r1", "SHIPWAY_STORAGE": "/x"}
    found = config.read(environ | given).provenance
    assert found["places.api_port"] == "SHIPWAY_API_PORT"
    assert found["places.manifest"] == "SHIPWAY_MANIFEST"
    assert found["places.storage"] == "SHIPWAY_STORAGE"
    assert found["places.admin_port"] == found["drain_delay_s"] == "default"
    assert (found["revision"], found["environment"]) == ("SHIPWAY_REVISION", "SHIPWAY_ENV")


def test_a_document_that_does_not_say_itself_is_named(environ):
    manifest = {
        "name": "a",
        "entrypoint": "a:b",
        "settings": {
            "model": {"provider": "openai", "name": "m"},
            "api": {"auth": "none"},
            "storage": {"path": "/d"},
        },
    }
    path = Path(environ["SHIPWAY_MANIFEST"])
    path.write_text(json.dumps(manifest))
    deployment = config.read(environ | {"OPENAI_BASE_URL": "http://r"})
    found = deployment.provenance
    assert found["model.name"] == found["api.auth"] == found["storage.path"] == str(path)
    assert found["model.timeout_s"] == found["api.body_limit"] == found["limits.requests"] == "default"
    assert (found["model.url"], found["places.storage"]) == ("OPENAI_BASE_URL", "storage.path")
    assert "http://r" not in json.dumps(deployment.public())


def test_every_value_of_the_page_says_where_it_comes_from(environ):
    del environ["SHIPWAY_ENV"]
    public = config.read(environ | {"SHIPWAY_CONFIG_JSON": rendered(config={"a": 1})}).public()
    found = public["provenance"]
    assert found["config.a"] == found["environment"] == "SHIPWAY_CONFIG_JSON"
    shown = {"places": public["places"], **public["settings"]}
    for section, values in shown.items():
        for key in values if isinstance(values, dict) else ():
            assert any(f"{name}.".startswith(f"{section}.{key}.") for name in found), (section, key)
    assert {"environment", "revision", "check_interval_s", "drain_delay_s"} <= found.keys()


def test_tenants_of_a_document_that_does_not_say_itself(environ):
    given = json.loads(rendered()) | {"tenants": {"acme": {"config": {"tone": "long"}}}}
    del environ["SHIPWAY_ENV"]
    deployment = config.read(environ | {"SHIPWAY_CONFIG_JSON": json.dumps(given)})
    assert deployment.provenance["tenants.acme.config.tone"] == "SHIPWAY_CONFIG_JSON"


def test_a_rendered_config_says_it_itself(environ):
    given = json.loads(rendered(config={"a": 1}))
    given["provenance"] = {"config.a": "env.prod, agent.toml:7"}
    del environ["SHIPWAY_ENV"]
    found = config.read(environ | {"SHIPWAY_CONFIG_JSON": json.dumps(given)}).provenance
    assert found["config.a"] == "env.prod, agent.toml:7"
    assert "api.auth" not in found, "nothing is made up beside it"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[" * 100_000, b"null", b"", b'{"environment": 1}'])
@pytest.mark.parametrize("name", ["SHIPWAY_CONFIG", "SHIPWAY_MANIFEST"])
def test_a_document_that_is_none_is_named(environ, tmp_path, name, content):
    (tmp_path / "broken.json").write_bytes(content)
    with pytest.raises((StartError, contract.ContractError), match=r"broken\.json"):
        config.read(environ | {name: str(tmp_path / "broken.json")})
