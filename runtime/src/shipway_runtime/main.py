"""The process: control thread first, then the agent, then the API.

In: the environment. Out: three ports served until SIGTERM, and an exit code: 0 after a drain, 1 when it
could not start or could not end in order. What each step does is in the module it is named after.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from . import config, contract, entrypoint, outlets, ports
from .api.auth import open_auth
from .contract import env
from .control import Control
from .drain import Drain, Leave, handle_signals
from .errors import StartError
from .hardening import harden
from .health import Check
from .heart import START_S
from .secrets import Secrets
from .standin import StandIn
from .telemetry import log, logs

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from .adapters.kinds import AsgiApp
    from .api.auth import Auth
    from .config import Deployment
    from .conversations.sql import Conversations
    from .conversations.store import Store
    from .dialogue import Agent
    from .turns import Turns


def main() -> int:
    """Run the agent that the environment describes; returns the exit code."""
    try:
        deployment = config.read(os.environ)
        secrets = Secrets(deployment.settings.secrets, deployment.places.secrets, os.environ)
        outlets.install(secrets.redact)
        logs.configure(plain=deployment.development, revision=deployment.revision, redact=secrets.redact)
        config.refuse_unsafe(deployment)
        if not deployment.development:
            harden()
        return run(deployment, secrets)
    except (StartError, contract.ContractError) as error:
        return refuse(error)
    except Leave:
        return 0


def refuse(error: Exception) -> int:
    """Say why it does not start; returns the exit code."""
    log.critical("%s", error, exc_info=getattr(error, "cause", None))
    return 1


def run(deployment: Deployment, secrets: Secrets) -> int:
    """Serve until the drain is over; returns the exit code. Raises StartError and Leave."""
    auth = open_auth(deployment.settings.api, secrets)
    drain = Drain(delay_s=deployment.drain_delay_s, grace_s=deployment.settings.health.grace_s)
    handle_signals(drain)
    api, admin, relay = bind(deployment)
    stand_in = StandIn(admin, start_s=START_S)
    stand_in.start()
    control = Control(deployment, secrets, drain, dict(os.environ), auth, stand_in)
    code, runner = 1, asyncio.Runner()
    try:
        control.start(admin, relay)
        prepare(deployment, secrets)
        target = entrypoint.load(deployment.manifest.entrypoint)
        stand_in.end()
        runner.run(serve(deployment, secrets, control, drain, target, auth, api))
        code = 0
    except StartError as error:
        refuse(error)
    except Leave:
        code = 0
    finally:
        stand_in.end()
        control.close(code)
        runner.close()  # last: it waits for tasks and threads that may never end, and control guards it
    return code


def bind(deployment: Deployment) -> tuple[socket, socket, socket | None]:
    """The sockets of API, admin port and relay; all of them before anything slow."""
    places = deployment.places
    api = ports.bind(places.host, places.api_port, purpose="the API", variable=env.API_PORT)
    admin = ports.bind(places.host, places.admin_port, purpose="the admin port", variable=env.ADMIN_PORT)
    if not deployment.manifest.mcp:
        return api, admin, None
    relay = ports.bind("127.0.0.1", places.relay_port, purpose="the relay", variable=env.RELAY_PORT)
    return api, admin, relay


def prepare(deployment: Deployment, secrets: Secrets) -> None:
    """Make the process the agent's: its variables, its secrets, its sources."""
    for ours in (env.ADMIN_TOKEN, env.CONTROL_TOKEN):  # not the agent's, nor what it starts
        os.environ.pop(ours, None)
    os.environ.update(secrets.environment(os.environ))
    os.environ.update(config.agent_environment(deployment, os.environ))
    sys.path.insert(0, str(deployment.places.source))


async def serve(
    deployment: Deployment,
    secrets: Secrets,
    control: Control,
    drain: Drain,
    target: entrypoint.Entrypoint,
    auth: Auth,
    sock: socket,
) -> None:
    """The main loop's whole life: heartbeat, agent, API."""
    from .adapters import OwnApp, adapt
    from .api.auth.guard import Guard
    from .api.server import Server, configure
    from .policy.asgi import Guarded
    from .telemetry import tracing
    from .telemetry.requests import Requests

    def started() -> None:
        drain.serving()
        control.readiness.agent_imported()
        log.info(
            "%s, revision %s, %s: API on port %d, admin on port %d",
            *(deployment.manifest.name, deployment.revision, deployment.environment),
            *(deployment.places.api_port, deployment.places.admin_port),
        )

    beating = asyncio.create_task(control.heart.beat())
    opened = contextlib.AsyncExitStack()
    kind = adapt(await target.agent(opened), target.text)
    turns: Turns | None = None
    store: Conversations | None = None
    app: AsgiApp
    end_tracing: Callable[[], None] | None = None
    if isinstance(kind, OwnApp):
        control.policy.refuse_budgets("the agent is an ASGI application, which reports no usage")
        app = Guarded(kind.app, control.gate, deployment.settings.model)
    else:
        end_tracing = tracing.start(deployment, os.environ)  # the agent's own code came first
        store = choose_store(deployment, secrets)
        await store.open()
        control.watch(Check("storage", store.check))
        control.gate.keep_in(store)
        turns, app = build_api(deployment, secrets, control, drain, kind.agent, store)
    guard = Guard(app, auth, deployment.manifest.name)
    requests = Requests(guard)
    control.metrics.add(guard.collect)
    control.metrics.add(requests.collect)
    async with opened:  # what the agent's factory has opened outlives its turns
        await Server(configure(requests, deployment.revision), drain, turns, started).serve([sock])
    if store:
        await store.close()
    if end_tracing:
        end_tracing()
    beating.cancel()


def choose_store(deployment: Deployment, secrets: Secrets) -> Conversations:
    """Where this deployment keeps its conversations. Raises StartError."""
    from .conversations.sql import Conversations

    api, storage = deployment.settings.api, deployment.settings.storage
    wait_s = 0.0 if api.when_busy == "refuse" else api.timeout_s
    if storage and storage.url_secret:
        from .conversations.postgres import Postgres

        url = functools.partial(secrets.value, storage.url_secret)
        return Conversations(Postgres(url, deployment.manifest.name, learn=secrets.learn), wait_s=wait_s)
    from .conversations.sqlite import Sqlite

    return Conversations(Sqlite(deployment.places.storage), wait_s=wait_s)


def build_api(
    deployment: Deployment, secrets: Secrets, control: Control, drain: Drain, agent: Agent, store: Store
) -> tuple[Turns, AsgiApp]:
    """The runtime's own API in front of an agent."""
    from .api import app
    from .context import Context, contexts_of
    from .telemetry import outcomes
    from .telemetry.counts import Counts
    from .turns import Turns
    from .watched import watch

    settings, places = deployment.settings, deployment.places
    context = Context(
        conversation="",
        turn=0,
        tenant=None,
        model=settings.model,
        config=settings.config,
        mcp=deployment.mcp_urls(),
        storage=places.storage,
        prompts=places.prompts,
        allows_tool=control.gate.allows_tool,
        secrets=secrets,
    )
    if settings.model:
        host = urlsplit(config.model_url(settings.model, os.environ)).hostname or ""
        agent = watch(agent, control.traffic, host)
    tenants = contexts_of(context, deployment.tenants)
    turns = Turns(
        agent, store, context, drain, deployment.revision, control.gate, settings.api.timeout_s, tenants
    )
    counts = Counts()
    outcomes.listen(counts.take)
    control.metrics.add(lambda: counts.collect(turns))
    return turns, app.build(
        turns,
        store,
        name=deployment.manifest.name,
        model=settings.model.name if settings.model else deployment.manifest.name,
        body_limit=settings.api.body_limit,
        authenticated=settings.api.auth not in (None, "none"),
        alive=control.heart.document,
        ready=control.readiness.document,
    )
