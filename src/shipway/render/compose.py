"""StackPlan -> compose.yaml, and the files that it mounts.

In: a stack; the project's directory, as seen from where the files will be. Out: the files.

    pod ── the network namespace, and the ports; all it does is to be there
     ├─ agent        127.0.0.1 means what it means in a pod of Kubernetes: the agent finds its sidecars
     ├─ mcp-NAME     and they the agent's relay; none of them waits for another, and each may be
     └─ replay       restarted by itself
    NAME-mcp-NAME    an MCP server apart from the agent, under its own name
    control          what the fleet shares, outside development
    db               a database, in development

What Compose 1.29 and 2 both read, and no more: docs/reference/compose.md says what follows from that.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from shipway.plan import container
from shipway.plan.stack import DEVELOPMENT
from shipway.render import compose_parts as parts
from shipway.render import yaml
from shipway.render.compose_parts import HARDENED, KEPT
from shipway.render.databases import Database, database
from shipway.render.emit import Rendered
from shipway.render.yaml import MERGE
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shipway.plan.control import Control
    from shipway.plan.stack import Replay, Service, Sidecar, StackPlan

POD = "pod"
CONTROL = "control"
CONTROL_URL, REPORT, OPERATE = "CONTROL_URL", "CONTROL_REPORT_TOKEN", "CONTROL_OPERATE_TOKEN"
"""In .env: where control is, what agents show there, and what people do. The shell comes before .env, and
who uses `shipway policy` has a SHIPWAY_CONTROL_TOKEN there that is not the agent's: hence other names."""
PROJECT = "../../.."
"""The project, from deploy/compose/ENVIRONMENT."""

_ETC = "/etc/shipway"
_LOOPBACK = "127.0.0.1"
_HEAD = """\
Written by shipway from agent.toml: the stack {name} in {environment}. It is written again; what is to stay
belongs into compose.override.yaml and .env, which are yours. Start it: docker compose up -d --wait
"""


def render(plan: StackPlan, project: str = PROJECT) -> Rendered:
    """compose.yaml and etc/config.json; and, as people's own, etc/policy.json and what is told to Compose."""
    config, databases = contract.encode(plan.config), _databases(plan)
    pod = _pod(plan)
    joined = {"agent": _agent(plan)}
    joined |= {f"mcp-{server.name}": _sidecar(server, plan) for server in plan.sidecars}
    if plan.replay:
        joined["replay"] = _replay(plan.replay, project)
    services: dict[str, Any] = {POD: pod} | {
        name: _labelled(service, pod) for name, service in joined.items()
    }
    services["agent"]["labels"]["shipway.config"] = _digest(config)
    services |= {_apart(server, plan): _server(server, plan) for server in plan.apart}
    services |= {CONTROL: _control(plan.control, plan)} if plan.control else {}
    services |= {name: {MERGE: KEPT} | found.service for name, found in databases.items()}
    document = {f"x-{shared.name}": shared for shared in parts.SHARED} | {"services": services}
    names = ["data"] if plan.storage else []
    names += [CONTROL] if plan.control and not plan.control.database else []
    names += [found.volume for found in databases.values() if found.volume]
    if names:
        document["volumes"] = {name: {} for name in names}
    head = _HEAD.format(name=plan.name, environment=plan.environment)
    return Rendered({"compose.yaml": yaml.write([document], head), "etc/config.json": config}, _once(plan))


def _once(plan: StackPlan) -> dict[str, str]:
    files = {"etc/policy.json": contract.encode(contract.Policy()), ".env": _environment_file(plan)}
    files[".gitignore"] = "/.env\n"
    if _files(plan):  # and so the directory is there: Docker would make one that is root's
        files["secrets/.gitignore"] = "*\n!.gitignore\n"
    urls = {service.env_url: database.url for service, database in _running(plan)}
    return files | {f"secrets/{name}": url for name in _files(plan) if (url := urls.get(name))}


# -- Services ------------------------------------------------------------------------------------------------


def _pod(plan: StackPlan) -> dict[str, Any]:
    """It has the volume because it is first: an empty volume becomes its owner's whose image has the path."""
    api, admin = plan.agent.ports["api"], plan.agent.ports["admin"]
    where = f"{_LOOPBACK}:" if _is_development(plan) else ""
    hosts = [url.split("/")[2] for url in contract.PROVIDER_URLS.values()] if plan.replay else []
    return _without_empty(
        {
            MERGE: HARDENED,
            **_image(plan, plan.agent.image),
            "entrypoint": yaml.Line(container.HOLD),
            "ports": [f"{where}${{API_PORT:-{api}}}:{api}", f"{_LOOPBACK}:${{ADMIN_PORT:-{admin}}}:{admin}"],
            "extra_hosts": [f"{host}:{_LOOPBACK}" for host in hosts],
            "volumes": _data(plan),
        }
    )


def _labelled(service: Mapping[str, Any], pod: Mapping[str, Any]) -> dict[str, Any]:
    """What joins the pod's network is recreated with it: Compose 1.29 sees by nothing else that it must.

    And the agent, which reads config once, with its config: what is in a mounted file is nothing to Compose.
    """
    ports = " ".join(port.rpartition(":")[0] for port in pod["ports"])
    return {**service, "labels": {"shipway.pod": f"{_digest(yaml.write([pod], ''))} {ports}"}}


def _agent(plan: StackPlan) -> dict[str, Any]:
    secrets = ["./secrets:/run/secrets:ro"] if _files(plan) else []
    given: dict[str, str | None] = {} if _is_development(plan) else {contract.env.ADMIN_TOKEN: None}
    given |= _to_control(plan, plan.control) if plan.control else {}
    service = {
        MERGE: HARDENED,
        **_image(plan, plan.agent.image),
        "network_mode": f"service:{POD}",
        "depends_on": _needed(plan),
        "environment": parts.literal(plan.agent.env) | _values(plan, _own(plan)) | _urls(plan) | given,
        "volumes": [f"./etc:{_ETC}:ro", *secrets, *_data(plan)],
        "healthcheck": parts.healthcheck(plan.agent.ports["admin"], "/readyz"),
        "stop_grace_period": f"{plan.agent.grace_s + container.ENDING_S:g}s",
        **parts.limits(plan.agent.resources.memory),
    }
    return _without_empty(service)


def _needed(plan: StackPlan) -> list[str]:
    """All that the agent talks to: it is stopped after the agent, whose last turns still need it."""
    beside = [f"mcp-{server.name}" for server in plan.sidecars] + ["replay"] * bool(plan.replay)
    apart = [*(_apart(server, plan) for server in plan.apart), *([CONTROL] if plan.control else [])]
    return [*beside, *apart, *_databases(plan)]


def _sidecar(server: Sidecar, plan: StackPlan) -> dict[str, Any]:
    joined = {"network_mode": f"service:{POD}"}
    return _server(server, plan, joined, _data(plan) if server.storage else ())


def _server(
    server: Sidecar, plan: StackPlan, network: Mapping[str, Any] | None = None, volumes: Sequence[str] = ()
) -> dict[str, Any]:
    """An image of ours is hardened as the agent is, and tells its health; what others built is left alone."""
    ours = server.program is not None
    service = {
        MERGE: HARDENED if ours else KEPT,
        **(_image(plan, server.image) if ours else {"image": parts.literal(server.image)}),
        "entrypoint": yaml.Line(parts.literal([container.PYTHON, *server.command])) if server.command else [],
        **(network or {}),
        "environment": parts.literal(server.env) | _values(plan, _given(server)),
        "volumes": list(volumes),
        "healthcheck": parts.healthcheck(server.port, "/readyz") if ours else {},
        **parts.limits(server.resources.memory),
    }
    return _without_empty(service)


def _replay(replay: Replay, project: str) -> dict[str, Any]:
    return {
        MERGE: HARDENED,
        "image": replay.image,
        "pull_policy": "never",
        "command": yaml.Line(["--host", _LOOPBACK]),
        "network_mode": f"service:{POD}",
        "volumes": [f"{project}/{replay.directory}:{replay.mount}:ro"],
        "healthcheck": parts.healthcheck(replay.port, "/healthz"),
    }


def _control(control: Control, plan: StackPlan) -> dict[str, Any]:
    """People reach its page from this machine alone, as they do the admin port."""
    report, operate = _required(plan, REPORT), _required(plan, OPERATE)
    tokens = f"report {plan.name} {report}\noperate operator {operate}"
    from_file = control.database in _files(plan)
    url = {contract.env.CONTROL_DATABASE: _required(plan, control.database or "")}
    file = f"./secrets/{control.database}:{contract.SECRETS}/{contract.env.CONTROL_DATABASE}:ro"
    service = {
        MERGE: HARDENED,
        "image": control.image,
        "environment": {contract.env.CONTROL_TOKENS: tokens}
        | (url if control.database and not from_file else {}),
        "ports": [f"{_LOOPBACK}:${{CONTROL_PORT:-{control.port}}}:{control.port}"],
        "volumes": [file] * from_file if control.database else [f"{CONTROL}:{control.data}"],
        "healthcheck": parts.healthcheck(control.port, "/readyz"),
        **parts.limits(control.memory),
    }
    return _without_empty(service)


def _to_control(plan: StackPlan, control: Control) -> dict[str, str | None]:
    """Where it is, unless .env says where the fleet's is, and what the agent shows there."""
    url = f"${{{CONTROL_URL}-http://{CONTROL}:{control.port}}}"
    return {contract.env.CONTROL_URL: url, contract.env.CONTROL_TOKEN: _required(plan, REPORT)}


# -- Their parts ---------------------------------------------------------------------------------------------


def _image(plan: StackPlan, reference: str) -> dict[str, Any]:
    """Without a release it is what this machine has built, and nobody else's image of that name."""
    return {"image": reference} | ({} if plan.revision else {"pull_policy": "never"})


def _data(plan: StackPlan) -> list[str]:
    return [f"data:{parts.literal(plan.storage.path)}"] if plan.storage else []


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _apart(server: Sidecar, plan: StackPlan) -> str:
    return f"{plan.name}-mcp-{server.name}"


def _values(plan: StackPlan, names: Iterable[str]) -> dict[str, str | None]:
    """Secrets that come in the environment: from that of Compose, or .env beside compose.yaml."""
    given = plan.replay.placeholders if plan.replay else {}
    return {name: given.get(name) or _required(plan, name) for name in names}


def _own(plan: StackPlan) -> list[str]:
    return [name for name, source in plan.agent.secrets.items() if source == "env"]


def _given(server: Sidecar) -> list[str]:
    """A server has all of its secrets in the environment, also those that are files for the agent."""
    return [name for name, source in server.secrets.items() if source != "broker"]


def _required(plan: StackPlan, name: str) -> str | None:
    """A value from outside. Without it nothing is deployed: what runs goes on, rather than end for one
    that is not ready. In development the runtime says what is missing."""
    return None if _is_development(plan) else f"${{{name}:?write {name} into .env}}"


def _files(plan: StackPlan) -> list[str]:
    return [name for name, source in plan.agent.secrets.items() if source == "file"]


def _running(plan: StackPlan) -> list[tuple[Service, Database]]:
    """Databases that come up with the stack."""
    return [(service, database(service)) for service in plan.services] if _is_development(plan) else []


def _databases(plan: StackPlan) -> dict[str, Database]:
    return {service.name: found for service, found in _running(plan)}


def _urls(plan: StackPlan) -> dict[str, str | None]:
    """Where the databases are; elsewhere than in development it is given."""
    found = _databases(plan)
    own = {service.env_url: found[service.name].url if found else None for service in plan.services}
    return {name: url or _required(plan, name) for name, url in own.items() if name not in _files(plan)}


def _environment_file(plan: StackPlan) -> str:
    """What Compose asks for, with a name for the project: its directory's is that of every other stack."""
    asked = _values(plan, _own(plan)) | _urls(plan)
    for server in (*plan.sidecars, *plan.apart):
        asked |= _values(plan, _given(server))
    missing = [name for name, value in asked.items() if value is None or value.startswith("${")]
    if not _is_development(plan):
        missing.append(contract.env.ADMIN_TOKEN)
    missing += [REPORT, OPERATE] if plan.control else []
    name = f"{plan.name}-{plan.environment}"
    return parts.environment_file(name, plan.agent.ports, missing, plan.control)


def _is_development(plan: StackPlan) -> bool:
    return plan.environment == DEVELOPMENT


def _without_empty(service: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in service.items() if value not in ([], {}, "")}
