"""A stack that uses what stacks can use, for tests of renderers."""

from __future__ import annotations

from pathlib import Path

from shipway.plan.stack import StackPlan, plan_stack
from shipway.spec.load import load

AGENT = """\
name = "desk"
entrypoint = "agent:agent"
[image]
repository = "registry.example.com/desk"
[model]
provider = "anthropic"
name = "claude-sonnet-5"
[secrets]
ANTHROPIC_API_KEY = "env"
GITHUB_TOKEN = "file"
DATABASE_URL = "env"
CRM_SECRET = "file"
CRM = { token_url = "https://login.example.com/token", client_id = "desk", client_secret = "CRM_SECRET" }
[mcp.time]
shape = "inside"
run = "pypi:mcp-server-time"
[mcp.git]
shape = "sidecar"
run = "pypi:mcp-server-git"
storage = true
secrets = ["GITHUB_TOKEN"]
resources = { cpu = "50m", memory = "100Mi" }
[mcp.search]
shape = "sidecar"
run = "image:registry.example.com/search:1"
optional = true
[mcp.crm]
shape = "service"
run = "pypi:mcp-crm"
auth = "CRM"
[services.cache]
image = "redis:8"
env_url = "REDIS_URL"
[storage]
path = "/data"
url = { secret = "DATABASE_URL" }
[api]
auth = "none"
[policy]
requests = "60/min"
[config]
greeting = "{{ hi }} ${x} %{y}"
[env.prod.secrets]
ANTHROPIC_API_KEY = { ecs = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a", nomad = "nomad/jobs" }
"""


def desk(directory: Path, *changes: tuple[str, str]) -> StackPlan:
    """The stack in prod, with texts of its agent.toml replaced; each has to be there."""
    text = AGENT
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    (directory / "agent.toml").write_text(text)
    return plan_stack(load(directory / "agent.toml", "prod"), "prod")
