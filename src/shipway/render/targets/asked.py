"""What a stack asks for of its target: a function for each feature of the table.

In: a StackPlan. Out: the names of what asks; none, and the target is not asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.plan.container import ENDING_S
from shipway.plan.stack import DEVELOPMENT
from shipway.render.ecs import fargate
from shipway.render.identities import GOOGLE, IDENTITIES
from shipway_runtime import contract

if TYPE_CHECKING:
    from shipway.plan.stack import StackPlan

_LABEL = 63
"""Letters that a part of a host name may have, and a label of Kubernetes."""
_NOMAD_KILL_S = 30.0


def files(plan: StackPlan) -> tuple[str, ...]:
    return tuple(name for name, source in plan.agent.secrets.items() if source == "file")


def identities(plan: StackPlan) -> tuple[str, ...]:
    secrets = plan.config.settings.secrets.items()
    return tuple(name for name, secret in secrets if secret.broker and secret.broker.identity_token)


def identity_files(plan: StackPlan) -> tuple[str, ...]:
    return tuple(name for name in (*IDENTITIES, GOOGLE) if name in plan.agent.secrets)


def storage(plan: StackPlan) -> tuple[str, ...]:
    return (plan.storage.path,) if plan.storage else ()


def sidecars(plan: StackPlan) -> tuple[str, ...]:
    return tuple(server.name for server in plan.sidecars)


def optional(plan: StackPlan) -> tuple[str, ...]:
    return tuple(server.name for server in plan.sidecars if server.optional)


def unlimited(plan: StackPlan) -> tuple[str, ...]:
    servers = (*plan.sidecars, *plan.apart)
    return tuple(server.name for server in servers if server.resources.memory is None)


def commands(plan: StackPlan) -> tuple[str, ...]:
    """Sidecars that are a command of the user's own: nobody has an image of them."""
    servers = (*plan.sidecars, *plan.apart)
    return tuple(server.name for server in servers if server.program and server.program.kind == "command")


def replicas(plan: StackPlan) -> tuple[str, ...]:
    return (str(plan.agent.replicas),) if plan.agent.replicas > 1 else ()


def scratch(plan: StackPlan) -> tuple[str, ...]:
    """Storage of several replicas, whose conversations are in PostgreSQL."""
    return (plan.storage.path,) if plan.storage and plan.agent.replicas > 1 else ()


def foreign(plan: StackPlan) -> tuple[str, ...]:
    """MCP servers in images that others built."""
    return tuple(server.name for server in (*plan.sidecars, *plan.apart) if not server.program)


def foreign_optional(plan: StackPlan) -> tuple[str, ...]:
    return tuple(server.name for server in plan.sidecars if server.optional and not server.program)


def long_grace(plan: StackPlan) -> tuple[str, ...]:
    """A grace that is longer than the two minutes that Fargate gives."""
    return grace_above(plan, fargate.STOP_S)


def any_grace(plan: StackPlan) -> tuple[str, ...]:
    """A grace that is longer than what a client of Nomad gives, unless it is told to."""
    return grace_above(plan, _NOMAD_KILL_S)


def grace_above(plan: StackPlan, most_s: float) -> tuple[str, ...]:
    return (f"{plan.agent.grace_s:g} s",) if plan.agent.grace_s > most_s - ENDING_S else ()


def sqlite(plan: StackPlan) -> tuple[str, ...]:
    storage = plan.config.settings.storage
    return (storage.path,) if plan.storage and storage and not storage.url_secret else ()


def limits(plan: StackPlan) -> tuple[str, ...]:
    return ("[policy]",) if plan.config.settings.limits != contract.Limits() else ()


def control(plan: StackPlan) -> tuple[str, ...]:
    return (plan.control.host,) if plan.control else ()


def control_image(plan: StackPlan) -> tuple[str, ...]:
    """Of a control that the release does not name."""
    return (plan.control.image,) if plan.control and "@" not in plan.control.image else ()


def control_file(plan: StackPlan) -> tuple[str, ...]:
    """A control that is given no PostgreSQL."""
    return (plan.control.host,) if plan.control and not plan.control.database else ()


def long_hosts(plan: StackPlan) -> tuple[str, ...]:
    hosts = [f"{plan.name}-mcp-{server.name}" for server in plan.apart]
    hosts += [plan.control.host] if plan.control else []
    return tuple(host for host in hosts if len(host) > _LABEL)


def long_instance(plan: StackPlan) -> tuple[str, ...]:
    instance = f"{plan.name}-{plan.environment}"
    return (instance,) if len(instance) > _LABEL else ()


def replayed(plan: StackPlan) -> tuple[str, ...]:
    return (plan.environment,) if plan.replay else ()


def anybody(plan: StackPlan) -> tuple[str, ...]:
    """Nobody has said who may call, and without that the runtime refuses to start where users are."""
    asked = plan.environment != DEVELOPMENT and plan.config.settings.api.auth is None
    return (plan.environment,) if asked else ()


def always(plan: StackPlan) -> tuple[str, ...]:
    return (plan.name,)
