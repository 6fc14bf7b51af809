"""Containers of a stack -> jobs, as values for HCL.

In: the agent with its sidecars, an MCP server apart, control, or what decides about canaries. Out: the body
of a job file.

    job NAME ─ group agent ─ network, of all its tasks: 127.0.0.1 means what it means in a pod
                 ├─ task mcp-NAME   before the agent and until after it; started again for ever
                 └─ task agent      its service has two checks: one for traffic and deployments, one for life
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

from shipway.plan import container
from shipway.render.hcl import Block, Reference
from shipway.render.nomad import canaries, templates
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shipway.plan.control import Control
    from shipway.plan.rollout import RolloutPlan
    from shipway.plan.stack import Sidecar, StackPlan

AGENT = "agent"
CONTROL = "control"
_MHZ_OF_A_CORE = 2000
_UNSAID_MHZ = 100
_UNSAID_MB = 128
_TMP = Block(
    {
        "type": "tmpfs",
        "target": "/tmp",  # noqa: S108 - the container's
        "tmpfs_options": Block({"size": 64 * 1024**2, "mode": 0o1777}),
    }
)
_HARDENED = {
    "readonly_rootfs": True,
    "cap_drop": ["all"],
    "security_opt": ["no-new-privileges"],
    "mount": _TMP,
}
_AGAIN = Block({"attempts": 5, "interval": "1m", "delay": "2s", "mode": "delay"})


def agent_job(plan: StackPlan, rollout: RolloutPlan | None = None) -> dict[str, Any]:
    """The job of the agent and its sidecars."""
    replicas = plan.agent.replicas
    spread = {"spread": Block({"attribute": Reference("${node.unique.id}")})}
    group = {
        "count": replicas,
        "shutdown_delay": "5s",  # whoever has the address by now still gets an answer
        "network": _network(api=plan.agent.ports["api"], admin=plan.agent.ports["admin"]),
        **({"volume": _volume(f"{plan.name}-data")} if plan.storage else {}),
        **(spread if replicas > 1 else {}),
        "update": _agent_update(plan, rollout),
        "task": [*(_sidecar(server, plan) for server in plan.sidecars), _agent(plan)],
    }
    return _job(plan.name, plan, AGENT, group)


def server_job(server: Sidecar, plan: StackPlan) -> dict[str, Any]:
    """The job of an MCP server apart."""
    name = server_name(server, plan)
    task = _server(server, plan)
    ours = server.program is not None
    check = {"check": [_check("ready", "mcp", "/readyz"), _alive("mcp")]} if ours else {}
    service = Block({"name": name, "provider": "nomad", "port": "mcp", **check})
    group = {
        "count": 1,
        "shutdown_delay": "5s",
        "network": _network(mcp=server.port),
        "update": _update(canaries=1),
        "task": Block({**task, "service": service}, f"mcp-{server.name}"),
    }
    return _job(name, plan, "mcp", group)


def control_job(control: Control, plan: StackPlan) -> dict[str, Any]:
    """The job of control; with a volume one runs at a time."""
    group = {
        "count": 1,
        "network": _network(control=control.port),
        **({} if control.database else {"volume": _volume(control.host)}),
        "update": _update(canaries=1 if control.database else 0),
        "task": _control(control),
    }
    return _job(control.host, plan, CONTROL, group)


def gate_job(plan: StackPlan, rollout: RolloutPlan, control: Control) -> dict[str, Any]:
    """The job that promotes or fails canaries. What it has said is said: it is not started again."""
    never = {"attempts": 0, "mode": "fail"}
    group = {
        "network": _network(),
        "restart": Block(never),
        "reschedule": Block({"attempts": 0, "unlimited": False}),
        "task": Block(canaries.gate_task(plan, rollout, control), canaries.GATE),
    }
    return _job(canaries.gate_name(plan), plan, canaries.GATE, group, kind="batch")


def server_name(server: Sidecar, plan: StackPlan) -> str:
    """Of the job and of the service, by which the agent finds it."""
    return f"{plan.name}-mcp-{server.name}"


def agent_variables(plan: StackPlan) -> dict[str, list[str]]:
    """Nomad variables that the agent's task reads, with their keys."""
    urls = (service.env_url for service in plan.services)
    return templates.variables(plan, _sources(plan), f"nomad/jobs/{plan.name}", urls)


def _sources(plan: StackPlan) -> dict[str, str]:
    """How the agent's secrets arrive, and what it shows to control, which may change while it runs."""
    return {**plan.agent.secrets, **({contract.env.CONTROL_TOKEN: "file"} if plan.control else {})}


def server_variables(server: Sidecar, plan: StackPlan) -> dict[str, list[str]]:
    """Those of a server: a job may read below its own name alone, where no other policy says more."""
    job = server_name(server, plan) if server in plan.apart else plan.name
    return templates.variables(plan, server.secrets, f"nomad/jobs/{job}")


def control_variables(control: Control) -> dict[str, list[str]]:
    """Those of control, below its own name, the URL of its database among them."""
    database = [contract.env.CONTROL_DATABASE] if control.database else []
    return {f"nomad/jobs/{control.host}": [contract.env.CONTROL_TOKENS, *database]}


def control_variable(plan: StackPlan) -> str:
    """Whose key `url`, where there is one, says which control is the fleet's."""
    return f"nomad/jobs/{plan.name}/{AGENT}/{AGENT}"


def policy_variable(plan: StackPlan) -> str:
    """Whose key `policy` is the policy, changed while the agent runs."""
    return f"nomad/jobs/{plan.name}/{AGENT}"


def _job(
    name: str, plan: StackPlan, group: str, body: Mapping[str, Any], kind: str = "service"
) -> dict[str, Any]:
    built_for = "|".join(platform.removeprefix("linux/") for platform in plan.platforms)
    constraint = {
        "attribute": Reference("${attr.cpu.arch}"),
        "operator": "regexp",
        "value": f"^({built_for})$",
    }
    return {
        "job": Block(
            {"type": kind, "constraint": Block(constraint), "group": Block(body, group)},
            name,
        )
    }


def _network(**ports: int) -> Block:
    named = [Block({"to": port}, name) for name, port in ports.items()]
    return Block({"mode": "bridge", **({"port": named} if named else {})})


def _volume(source: str) -> Block:
    return Block({"type": "host", "source": source}, "data")


def _agent_update(plan: StackPlan, rollout: RolloutPlan | None) -> Block:
    """A canary waits for what control says where there is a rollout; else until it is healthy."""
    if rollout and canaries.is_decided(rollout):
        return _update(canaries.canaries(plan.agent.replicas, rollout.steps[0].weight), promote=False)
    return _update(canaries=0 if plan.storage else 1)


def _update(canaries: int, *, promote: bool = True) -> Block:
    """A new one runs and is ready before an old one goes; where they would share a volume, after it."""
    return Block(
        {
            "max_parallel": 1,
            "canary": canaries,
            "auto_promote": canaries > 0 and promote,
            "auto_revert": True,
            "health_check": "checks",
            "min_healthy_time": "10s",
            "healthy_deadline": "5m",
            "progress_deadline": "10m",
        }
    )


# -- Tasks ---------------------------------------------------------------------------------------------------


def _agent(plan: StackPlan) -> Block:
    agent, sources, control = plan.agent, _sources(plan), plan.control
    files = [templates.FILES] if templates.in_files(sources) else []
    env = {name: value for name, value in agent.env.items() if name != contract.env.CONTROL_URL}
    body = {
        "driver": "docker",
        "user": container.USER,
        "kill_timeout": f"{ceil(agent.grace_s + container.ENDING_S)}s",
        "config": Block({"image": agent.image, "volumes": [templates.ETC, *files], **_HARDENED}),
        "env": Block(env | templates.paths(plan)),
        "template": [
            templates.config(plan),
            templates.policy(plan, policy_variable(plan)),
            *templates.secrets(sources, agent_variables(plan)),
            *(templates.address(server, server_name(server, plan)) for server in plan.apart),
            *([templates.control(control.host, control_variable(plan))] if control else []),
        ],
        "identity": templates.identities(plan),
        "volume_mount": _mounts(plan),
        "resources": _resources(agent.resources.cpu, agent.resources.memory),
        "service": Block(
            {
                "name": plan.name,
                "provider": "nomad",
                "port": "api",
                "check": [_check("ready", "admin", "/readyz"), _alive("admin")],
            }
        ),
    }
    return Block(_without_empty(body), AGENT)


def _control(control: Control) -> Block:
    kept = control_variables(control)
    (names,) = kept.values()
    mount = Block({"volume": "data", "destination": control.data})
    checks = [_check("ready", CONTROL, "/readyz"), _alive(CONTROL)]
    body = {
        "driver": "docker",
        "user": container.USER,
        "kill_timeout": "30s",
        "config": Block({"image": control.image, "volumes": [templates.FILES], **_HARDENED}),
        "template": list(templates.secrets(dict.fromkeys(names, "file"), kept)),
        "volume_mount": [] if control.database else [mount],
        "resources": _resources(control.cpu, control.memory),
        "service": Block({"name": control.host, "provider": "nomad", "port": CONTROL, "check": checks}),
    }
    return Block(_without_empty(body), CONTROL)


def _sidecar(server: Sidecar, plan: StackPlan) -> Block:
    body = _server(server, plan)
    mounts = _mounts(plan) if server.storage else []
    first = {"lifecycle": Block({"hook": "prestart", "sidecar": True}), "restart": _AGAIN}
    return Block(_without_empty({**first, **body, "volume_mount": mounts}), f"mcp-{server.name}")


def _server(server: Sidecar, plan: StackPlan) -> dict[str, Any]:
    """An image of ours is hardened as the agent is; what others built is left alone."""
    ours = server.program is not None
    files = [templates.FILES] if templates.in_files(server.secrets) else []
    config = {
        "image": server.image,
        "entrypoint": [container.PYTHON, *server.command] if server.command else [],
        "volumes": files,
        **(_HARDENED if ours else {}),
    }
    body = {
        "driver": "docker",
        "user": container.USER if ours else "",
        "kill_timeout": "15s",
        "config": Block(_without_empty(config)),
        "env": Block(server.env) if server.env else "",
        "template": list(templates.secrets(server.secrets, server_variables(server, plan))),
        "resources": _resources(server.resources.cpu, server.resources.memory),
    }
    return _without_empty(body)


# -- Their parts ---------------------------------------------------------------------------------------------


def _resources(cpu: int | None, memory: int | None) -> Block:
    """CPU is a share where others want it too; memory is a limit."""
    mhz = _UNSAID_MHZ if cpu is None else ceil(cpu * _MHZ_OF_A_CORE / 1000)
    mb = _UNSAID_MB if memory is None else ceil(memory / 1024**2)
    return Block({"cpu": max(1, mhz), "memory": max(10, mb)})


def _check(name: str, port: str, path: str) -> Block:
    return Block(
        {"name": name, "type": "http", "port": port, "path": path, "interval": "10s", "timeout": "5s"}
    )


def _alive(port: str) -> Block:
    """Of a task that does not live any more, three times in a row: it is started again."""
    restart = Block({"limit": 3, "grace": "90s"})
    return Block({**_check("alive", port, "/healthz").body, "check_restart": restart})


def _mounts(plan: StackPlan) -> Sequence[Block]:
    return [Block({"volume": "data", "destination": plan.storage.path})] if plan.storage else []


def _without_empty(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if value not in ([], {}, "")}
