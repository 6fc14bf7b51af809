"""A stack that uses everything, as Kubernetes gets it: for tests of what is rendered, and for its judges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from shipway.plan.stack import StackPlan, plan_stack, released
from shipway.render.emit import Rendered
from shipway.spec.load import load
from shipway_runtime import contract

SMALL = """\
name = "support"
entrypoint = "support:agent"
[env.prod.kubernetes]
namespace = "agents"
"""
LARGE = """\
name = "support"
entrypoint = "support:agent"
[image]
repository = "registry.example.com/support"
[model]
provider = "anthropic"
name = "claude-sonnet-5"
[secrets]
OPENAI_API_KEY = "env"
ANTHROPIC_IDENTITY_TOKEN_FILE = "env"
GOOGLE_APPLICATION_CREDENTIALS = "env"
DATABASE_URL = "env"
GITHUB_TOKEN = "file"
API_KEYS = "file"
CRM = { token_url = "https://login.example.com:8443/token", client_id = "a", identity_token = "/var/run/secrets/tokens/crm" }
ERP = { token_url = "https://login.example.com/token", client_id = "a", identity_token = "/var/tokens/erp/token" }
[mcp.git]
shape = "sidecar"
run = "pypi:mcp-server-git"
storage = true
secrets = ["GITHUB_TOKEN"]
resources = { cpu = "50m", memory = "128Mi" }
[mcp.web]
shape = "sidecar"
run = "npm:web-server"
optional = true
[mcp.maps]
shape = "sidecar"
run = "image:maps/server:1"
[mcp.crm]
shape = "service"
run = "pypi:crm-server"
secrets = ["OPENAI_API_KEY"]
timeout = "45s"
[mcp.search]
shape = "service"
run = "image:search/server:1"
url = "http://search:9000/mcp"
[mcp.other]
shape = "service"
url = "https://other.example.com:9443/mcp"
auth = "CRM"
[services.cache]
image = "redis:8"
env_url = "REDIS_URL"
[api]
auth = "keys"
keys = "API_KEYS"
[storage]
url = { secret = "DATABASE_URL" }
[health]
grace = "90s"
[env.prod.kubernetes]
namespace = "agents"
[env.prod.resources]
replicas = 3
[env.prod.secrets]
OPENAI_API_KEY = { kubernetes = "shared/openai" }
"""  # noqa: E501 - tables in one line


def stack(directory: Path, text: str = LARGE) -> StackPlan:
    """The stack of `prod`, released."""
    (directory / "agent.toml").write_text(text)
    plan = plan_stack(load(directory / "agent.toml", "prod"), "prod")
    named = [("agent", plan.agent.image)]
    named += [(f"mcp-{server.name}", server.image) for server in (*plan.sidecars, *plan.apart)]
    named += [("control", plan.control.image)] if plan.control else []
    images = {role: f"{name}@sha256:{'0' * 64}" for role, name in named}
    source = contract.Source(None, False)
    return released(plan, contract.Release("1", plan.name, source, images, None, None, "0123456789ab"))


def objects(rendered: Rendered) -> list[dict[str, Any]]:
    """Everything but what Kustomize alone reads."""
    texts = [text for name, text in rendered.owned.items() if name.endswith(".yaml")]
    found = [document for text in texts for document in yaml.safe_load_all(text)]
    return [document for document in found if "kustomize" not in document["apiVersion"]]


def find(rendered: Rendered, kind: str, name: str = "support") -> dict[str, Any]:
    (found,) = [o for o in objects(rendered) if o["kind"] == kind and o["metadata"]["name"] == name]
    return found


def pod(rendered: Rendered, name: str = "support") -> dict[str, Any]:
    spec: dict[str, Any] = find(rendered, "Deployment", name)["spec"]["template"]["spec"]
    return spec


def containers(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (*spec.get("initContainers", ()), *spec["containers"])


def container(rendered: Rendered, name: str, pod_name: str = "support") -> dict[str, Any]:
    (found,) = [c for c in containers(pod(rendered, pod_name)) if c["name"] == name]
    return found
