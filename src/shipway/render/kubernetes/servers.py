"""The container of an MCP server, beside the agent or apart from it.

In: a server of the stack. Out: a container, and the volumes that it brings. An image of ours has the relay in
front, which tells its health; of what others built nothing is known but its port.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.plan import container
from shipway.render.kubernetes import pod, secrets, storage
from shipway_runtime import contract

if TYPE_CHECKING:
    from shipway.plan.stack import Sidecar, StackPlan
    from shipway.render.kubernetes.pod import Part

_AFTER_THE_AGENT = (
    container.PYTHON,
    "-IS",
    "-c",
    "import socket, time\n"
    f"while socket.socket().connect_ex(('127.0.0.1', {contract.ADMIN_PORT})) == 0:\n"
    "    time.sleep(0.5)\n",
)
"""Returns once the agent beside it has closed its admin port, the last thing it does."""


def sidecar(plan: StackPlan, server: Sidecar, *, plain: bool) -> Part:
    """A native sidecar starts before the agent and ends after it; a plain one has to wait for its end."""
    own = _container(plan, server, storage.mount(plan.storage) if server.storage else [])
    if plain:
        waits = {"preStop": {"exec": {"command": list(_AFTER_THE_AGENT)}}}
        return pod.without_empty(own | {"lifecycle": waits if ours(server) else {}} | _beside(server))
    return pod.without_empty(own | {"restartPolicy": "Always"} | _beside(server))


def apart(plan: StackPlan, server: Sidecar, *, pause: Part) -> Part:
    """In a pod of its own, reached through a Service."""
    checks = _apart_probes(server)
    ports = {"ports": [{"name": "mcp", "containerPort": server.port}]}
    lifecycle = {"lifecycle": {"preStop": pause} if pause else {}}
    return pod.without_empty(_container(plan, server, []) | ports | lifecycle | checks)


def ours(server: Sidecar) -> bool:
    """Whether shipway built its image."""
    return server.program is not None


def volumes(server: Sidecar) -> list[Part]:
    return [pod.tmp(f"mcp-{server.name}")[0]] if ours(server) else []


def _container(plan: StackPlan, server: Sidecar, mounts: list[Part]) -> Part:
    tmp = [pod.tmp(f"mcp-{server.name}")[1]] if ours(server) else []
    return {
        "name": f"mcp-{server.name}",
        "image": server.image,
        "imagePullPolicy": "IfNotPresent",
        "command": [container.PYTHON, *server.command] if server.command else [],
        "env": [
            *({"name": name, "value": value} for name, value in server.env.items()),
            *secrets.server_variables(plan, server.secrets),
        ],
        "resources": pod.resources(server.resources.cpu, server.resources.memory),
        "securityContext": pod.security(ours=ours(server)),
        "volumeMounts": [*mounts, *tmp],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _beside(server: Sidecar) -> Part:
    """Probes of a sidecar: commands, because it listens on loopback. /healthz never asks the server itself.

    A pod starts and is ready when its sidecars are. So an optional one is neither asked whether it has
    started nor whether it is ready: the agent's own readiness shows it as degraded.
    """
    if not ours(server):
        return {}
    lives, ready = pod.command(server.port, "/healthz"), pod.command(server.port, "/readyz")
    checks = {
        "startupProbe": pod.probe(lives, period=1, timeout=6, failures=60),
        "livenessProbe": pod.probe(lives, period=10, timeout=6, failures=3),
        "readinessProbe": pod.probe(ready, period=10, timeout=6, failures=3),
    }
    if server.optional:
        # Without a startup probe it needs the time to start before it is asked.
        return {"livenessProbe": checks["livenessProbe"] | {"initialDelaySeconds": 30}}
    return checks


def _apart_probes(server: Sidecar) -> Part:
    if not ours(server):
        accepts = {"tcpSocket": {"port": "mcp"}}
        return {"readinessProbe": pod.probe(accepts, period=5, timeout=3, failures=3)}
    lives, ready = pod.http("mcp", "/healthz"), pod.http("mcp", "/readyz")
    return {
        "startupProbe": pod.probe(lives, period=1, timeout=3, failures=60),
        "livenessProbe": pod.probe(lives, period=10, timeout=5, failures=3),
        "readinessProbe": pod.probe(ready, period=5, timeout=5, failures=3),
    }
