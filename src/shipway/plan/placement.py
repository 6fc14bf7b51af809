"""(StackPlan, release, RolloutPlan, Placement) -> Deployment: a stack on one machine with Docker.

In: a stack without a release, the release, how it is rolled out, and what the machine decides. Out: a frozen
value, all that the controller on the machine gets to know.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from shipway.plan import container
from shipway.plan.deployment import (
    AGENT,
    API_PORT,
    CERTIFICATES,
    CONTROL,
    CONTROL_DATA,
    DATA,
    POD,
    ROUTER,
    Container,
    Deployment,
    Mount,
    Published,
    Revision,
)
from shipway.plan.settings import delivered
from shipway.plan.stack import released
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipway.plan.control import Control
    from shipway.plan.rollout import RolloutPlan
    from shipway.plan.stack import Sidecar, StackPlan

LOOPBACK = "127.0.0.1"
EVERYWHERE = ""
"""Every address of the machine, of IPv4 and of IPv6: users come from outside."""


@dataclass(frozen=True, slots=True)
class Placement:
    """What the machine decides. `images` are the engine's own ids: role -> sha256:…; `router` among them. An
    image of others that has none is called what agent.toml calls it.

    `api` and `control` are ports of the machine; the first for everybody, the second on its loopback.
    """

    images: dict[str, str]
    api: int
    control: int
    address: str = EVERYWHERE
    tls: bool = False


def plan_deployment(
    stack: StackPlan, release: contract.Release, rollout: RolloutPlan, placement: Placement
) -> Deployment:
    """The deployment of a stack of an environment that is none of development."""
    if stack.control is None:
        raise ValueError(f"{stack.environment} has no control: development is not deployed")
    return Deployment(
        name=stack.name,
        environment=stack.environment,
        rollout=rollout,
        revision=_revision(released(_filed(stack), release), release, placement.images),
        router=_router(placement),
        control=_control(stack.control, stack, placement),
    )


def _filed(stack: StackPlan) -> StackPlan:
    """Secrets of the environment as files: those are renewed without a restart, and shown by no `inspect`."""
    config = delivered(stack.config, "file")
    sources: dict[str, Literal["env", "file", "broker"]] = {
        name: "file" if source == "env" else source for name, source in stack.agent.secrets.items()
    }
    return dataclasses.replace(stack, config=config, agent=dataclasses.replace(stack.agent, secrets=sources))


def _revision(stack: StackPlan, release: contract.Release, images: Mapping[str, str]) -> Revision:
    name = stack.revision or release.id
    data = (Mount(DATA, stack.storage.path),) if stack.storage else ()
    beside = [_server(server, images, data, joins=POD) for server in stack.sidecars]
    apart = [_server(server, images, data, alias=_alias(stack, server, name)) for server in stack.apart]
    pod = Container(
        POD,
        images["agent"],
        entrypoint=container.HOLD,
        mounts=data,  # it is the first: an empty volume becomes its owner's whose image has the path
        aliases=(f"{stack.name}-{name}",),
    )
    return Revision(name, release.id, (pod, *apart, *beside, _agent(stack, images, data, name)))


def _agent(stack: StackPlan, images: Mapping[str, str], data: tuple[Mount, ...], name: str) -> Container:
    env = stack.agent.env | {contract.env.CONFIG_JSON: contract.encode(stack.config)}
    env |= {
        contract.env.mcp_target(
            server.name
        ): f"http://{_alias(stack, server, name)}:{server.port}{server.path}"
        for server in stack.apart
    }
    secrets: dict[str, Literal["env", "file"]] = {
        secret: "file" for secret, source in stack.agent.secrets.items() if source == "file"
    }
    secrets |= {service.env_url: "env" for service in stack.services if service.env_url not in secrets}
    secrets |= {contract.env.CONTROL_TOKEN: "file", contract.env.ADMIN_TOKEN: "file"}
    return Container(
        AGENT,
        images["agent"],
        env=env,
        secrets=secrets,
        mounts=data,
        joins=POD,
        memory=stack.agent.resources.memory,
        grace_s=stack.agent.grace_s + container.ENDING_S,
    )


def _server(
    server: Sidecar,
    images: Mapping[str, str],
    data: tuple[Mount, ...],
    joins: str | None = None,
    alias: str | None = None,
) -> Container:
    """An image of ours is hardened as the agent is; what others built is left alone."""
    ours = server.program is not None
    name = f"mcp-{server.name}"
    return Container(
        name,
        images[name] if ours else images.get(name, server.image),
        entrypoint=(container.PYTHON, *server.command) if server.command else (),
        env=server.env,
        secrets={name: "env" for name, source in server.secrets.items() if source != "broker"},
        mounts=data if server.storage else (),
        joins=joins,
        aliases=(alias,) if alias else (),
        memory=server.resources.memory,
        hardened=ours,
    )


def _alias(stack: StackPlan, server: Sidecar, revision: str) -> str:
    return f"{stack.name}-mcp-{server.name}-{revision}"


def _router(placement: Placement) -> Container:
    certificates: dict[str, Literal["env", "file"]] = {CERTIFICATES: "file"} if placement.tls else {}
    return Container(
        ROUTER,
        placement.images[ROUTER],
        secrets=certificates,
        aliases=(ROUTER,),
        published=(Published(placement.address, placement.api, API_PORT),),
    )


def _control(control: Control, stack: StackPlan, placement: Placement) -> Container:
    secrets: dict[str, Literal["env", "file"]] = {contract.env.CONTROL_TOKENS: "file"}
    return Container(
        CONTROL,
        placement.images[CONTROL],
        secrets=secrets,
        mounts=(Mount(CONTROL_DATA, control.data),),
        aliases=(control.host,),
        published=(Published(LOOPBACK, placement.control, control.port),),
        memory=control.memory,
    )
