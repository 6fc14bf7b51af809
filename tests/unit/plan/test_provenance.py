"""Where each value of an environment comes from, its tenants' included."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shipway.plan.outline import outline
from shipway.plan.stack import StackPlan, plan_stack
from shipway.spec.load import load
from shipway_runtime import contract

SPEC = """\
name = "a"
entrypoint = "a:b"
[model]
provider = "anthropic"
name = "small"
timeout = "5s"
[config]
tone = "short"
lines = 3
[storage]
[secrets]
API_KEYS = "file"
[env.prod.api]
auth = "keys"
keys = "API_KEYS"
[env.prod.model]
max_tokens = 200
[tenants.acme.model]
name = "large"
[tenants.acme.config]
tone = "long"
lines = 3
[tenants.globex]
"""

NAMES = {"timeout_s": "timeout", "grace_s": "grace", "spend_usd": "spend", "url_secret": "url"}


@pytest.fixture
def stack(tmp_path: Path) -> StackPlan:
    (tmp_path / "agent.toml").write_text(SPEC)
    return plan_stack(load(tmp_path / "agent.toml", "prod"), "prod")


def leaves(value: Any, *path: str) -> Iterator[str]:
    """Every value of a document, as agent.toml names it; a secret is one value."""
    if isinstance(value, dict) and (len(path) < 2 or path[0] != "secrets"):
        for key, item in value.items():
            yield from leaves(item, *path, NAMES.get(key, key))
    elif len(path) > 1:
        yield ".".join(path)


def test_every_setting_says_where_it_comes_from(stack: StackPlan) -> None:
    settings = dataclasses.asdict(stack.config.settings)
    settings["policy"] = settings.pop("limits")
    shown = set(leaves(settings))
    assert {
        "model.timeout",
        "api.keys",
        "policy.spend",
        "storage.url",
        "health.grace",
        "config.tone",
    } <= shown
    assert shown <= set(stack.config.provenance)


def test_a_tenants_config_holds_what_differs(stack: StackPlan) -> None:
    model = contract.Model("anthropic", "large", max_tokens=200, timeout_s=5.0)
    assert stack.config.tenants == {
        "acme": contract.TenantSettings(model, {"tone": "long"}),
        "globex": contract.TenantSettings(),
    }


def test_what_differs_for_a_tenant_says_where_it_comes_from(stack: StackPlan) -> None:
    tenants = {name: dataclasses.asdict(tenant) for name, tenant in stack.config.tenants.items()}
    own = {"acme": tenants["acme"]}
    given = {key: v for key, v in stack.config.provenance.items() if key.startswith("tenants.")}
    assert set(leaves({"tenants": own})) == set(given)
    assert given["tenants.acme.model.name"] == "tenants.acme, agent.toml:19"
    assert given["tenants.acme.model.max_tokens"] == "env.prod, agent.toml:17"
    assert given["tenants.acme.model.provider"] == "agent.toml:4"
    assert given["tenants.acme.config.tone"] == "tenants.acme, agent.toml:21"


def test_the_outline_shows_tenants(stack: StackPlan) -> None:
    text = outline(stack, stack.config.provenance)
    assert "        name: large    # tenants.acme, agent.toml:19\n" in text
    assert "        tone: long    # tenants.acme, agent.toml:21\n" in text
    assert "      keys: API_KEYS    # env.prod, agent.toml:15\n" in text
