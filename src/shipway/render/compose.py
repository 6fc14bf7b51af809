"""StackPlan -> compose.yaml, and the files that it mounts.

In: a stack; the project's directory, as seen from where the files will be. Out: the files.

    pod ── the network namespace, and the ports; all it does is to be there
     ├─ agent        127.0.0.1 means what it means in a pod of Kubernetes: the agent finds its sidecars
     ├─ mcp-NAME     and they the agent's relay; none of them has to start before another, and each may
     └─ replay       be restarted by itself
    NAME-mcp-NAME    an MCP server apart from the agent, under its own name
    db               a database, in development

`etc/` is mounted as a directory: a file that is replaced by another is seen, as a single mounted file is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shipway.plan import container
from shipway.plan.stack import DEVELOPMENT
from shipway.render import yaml
from shipway.render.databases import Database, database
from shipway.render.emit import Rendered
from shipway.render.targets import STOP_MARGIN_S
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipway.plan.stack import Replay, Sidecar, StackPlan

POD = "pod"
PROJECT = "../../.."
"""The project, from deploy/compose/ENVIRONMENT."""

_ETC = "/etc/shipway"
_HARDENED = {
    "user": container.USER,
    "read_only": True,
    "tmpfs": ["/tmp"],  # noqa: S108 - the container's
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
}
_HEAD = """\
Written by shipway from agent.toml: the stack {name} in {environment}. It is written again; what is to stay
belongs into compose.override.yaml. Start it: docker compose up --wait
"""


def render(plan: StackPlan, project: str = PROJECT) -> Rendered:
    """compose.yaml, etc/config.json, and etc/policy.json, which is the operator's to change."""
    services: dict[str, Any] = {POD: _pod(plan), "agent": _agent(plan)}
    services |= {f"mcp-{server.name}": _sidecar(server, plan) for server in plan.sidecars}
    if plan.replay:
        services["replay"] = _replay(plan.replay, project)
    services |= {f"{plan.name}-mcp-{server.name}": _server(server, plan, {}, []) for server in plan.apart}
    databases = _databases(plan)
    services |= {name: found.service for name, found in databases.items()}
    document: dict[str, Any] = {"services": services}
    names = ["data"] if plan.storage else []
    names += [found.volume for found in databases.values() if found.volume]
    if names:
        document["volumes"] = {name: {} for name in names}
    if files := _files(plan):
        document["secrets"] = {name: {"file": f"./secrets/{name}"} for name in files}
    head = _HEAD.format(name=plan.name, environment=plan.environment)
    owned = {"compose.yaml": yaml.write([document], head), "etc/config.json": contract.encode(plan.config)}
    return Rendered(owned, {"etc/policy.json": contract.encode(contract.Policy())})


# -- Services ------------------------------------------------------------------------------------------------


def _pod(plan: StackPlan) -> dict[str, Any]:
    api, admin = plan.agent.ports["api"], plan.agent.ports["admin"]
    everywhere = "127.0.0.1:" if plan.environment == DEVELOPMENT else ""
    return {
        "image": plan.agent.image,
        "entrypoint": list(container.HOLD),
        "ports": [f"{everywhere}${{API_PORT:-{api}}}:{api}", f"127.0.0.1:${{ADMIN_PORT:-{admin}}}:{admin}"],
        "restart": "unless-stopped",
        **_HARDENED,
    }


def _agent(plan: StackPlan) -> dict[str, Any]:
    volumes = [f"./etc:{_ETC}:ro", *([f"data:{plan.storage.path}"] if plan.storage else [])]
    service = {
        "image": plan.agent.image,
        "network_mode": f"service:{POD}",
        "environment": plan.agent.env | _urls(plan) | _secrets(plan, plan.agent.secrets),
        "volumes": volumes,
        "secrets": _files(plan),
        "healthcheck": _healthcheck(plan.agent.ports["admin"], "/readyz"),
        "stop_grace_period": f"{plan.agent.grace_s + STOP_MARGIN_S:g}s",
        "restart": "unless-stopped",
        **_limits(plan.agent.resources.cpu, plan.agent.resources.memory),
        **_HARDENED,
    }
    return _without_empty(service)


def _sidecar(server: Sidecar, plan: StackPlan) -> dict[str, Any]:
    volumes = [f"data:{plan.storage.path}"] if plan.storage and server.storage else []
    return _server(server, plan, {"network_mode": f"service:{POD}"}, volumes)


def _server(
    server: Sidecar, plan: StackPlan, network: Mapping[str, Any], volumes: list[str]
) -> dict[str, Any]:
    """An image of ours is hardened as the agent is, and tells its health; what others built is left alone."""
    ours = server.program is not None
    service = {
        "image": server.image,
        "entrypoint": [container.PYTHON, *server.command] if server.command else [],
        **network,
        "environment": server.env | _secrets(plan, server.secrets),
        "volumes": volumes,
        "secrets": [name for name, source in server.secrets.items() if source == "file"],
        "healthcheck": _healthcheck(server.port, "/readyz") if ours else {},
        "restart": "unless-stopped",
        **_limits(server.resources.cpu, server.resources.memory),
        **(_HARDENED if ours else {}),
    }
    return _without_empty(service)


def _replay(replay: Replay, project: str) -> dict[str, Any]:
    return {
        "image": replay.image,
        "network_mode": f"service:{POD}",
        "volumes": [f"{project}/{replay.directory}:{replay.mount}:ro"],
        "healthcheck": _healthcheck(replay.port, "/healthz"),
        "restart": "unless-stopped",
        **_HARDENED,
    }


# -- Their parts ---------------------------------------------------------------------------------------------


def _healthcheck(port: int, path: str) -> dict[str, Any]:
    """Compose does nothing about a container that is not healthy: it says so, and `up --wait` waits."""
    return {
        "test": ["CMD", *container.probe(port, path)],
        "interval": "10s",
        "timeout": "6s",
        "retries": 3,
        "start_period": "60s",
    }


def _limits(cpu: int | None, memory: int | None) -> dict[str, Any]:
    """CPU is a share where others want it too, and no limit; memory is one."""
    shares = {} if cpu is None else {"cpu_shares": max(2, cpu * 1024 // 1000)}
    return shares | ({} if memory is None else {"mem_limit": memory})


def _secrets(plan: StackPlan, sources: Mapping[str, str]) -> dict[str, str | None]:
    """Those that come in the environment: from that of Compose, or .env beside compose.yaml."""
    given = plan.replay.placeholders if plan.replay else {}
    urls = _urls(plan)
    names = [name for name, source in sources.items() if source == "env" and name not in urls]
    return {name: given.get(name) for name in names}


def _files(plan: StackPlan) -> list[str]:
    return [name for name, source in plan.agent.secrets.items() if source == "file"]


def _databases(plan: StackPlan) -> dict[str, Database]:
    return {service.name: database(service) for service in plan.services} if _runs_databases(plan) else {}


def _runs_databases(plan: StackPlan) -> bool:
    return plan.environment == DEVELOPMENT


def _urls(plan: StackPlan) -> dict[str, str | None]:
    """Where the databases are; elsewhere than in development it is given."""
    found = _databases(plan)
    return {service.env_url: found[service.name].url if found else None for service in plan.services}


def _without_empty(service: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in service.items() if value not in ([], {}, "")}
