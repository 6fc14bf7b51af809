"""The main loop: the agent, its turns, and the API in front of them.

In: a process whose control thread runs, the entry point, the API's socket. Out: `serve` returns when the
drain is over and everything is closed. Imported once the admin port answers: what it needs takes its time.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from . import config
from .adapters import OwnApp, adapt
from .api import app
from .api.auth import Auth
from .api.auth.guard import Guard
from .api.server import Server, configure
from .config import Deployment
from .context import Context, contexts_of
from .control import Control
from .conversations.sql import Conversations
from .drain import Drain
from .health.readiness import Check
from .health.watched import watch
from .live.sampling import Sampling
from .policy.asgi import Guarded
from .secrets.declared import Secrets
from .telemetry import log, outcomes, tracing
from .telemetry.counts import Counts
from .telemetry.requests import Requests
from .turns import Turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from socket import socket

    from .adapters import Conversational
    from .adapters.kinds import AsgiApp
    from .conversations.database import Database
    from .dialogue import Agent
    from .entrypoint import Entrypoint


@dataclass(frozen=True, slots=True)
class Process:
    """What there is of a process before its agent."""

    deployment: Deployment
    secrets: Secrets
    drain: Drain
    auth: Auth
    control: Control


async def serve(process: Process, target: Entrypoint, sock: socket) -> None:
    """The main loop's whole life. Raises StartError."""
    control, deployment = process.control, process.deployment
    beating = asyncio.create_task(control.heart.beat())
    async with contextlib.AsyncExitStack() as opened:  # by the agent's factory: it outlives the turns
        kind = adapt(await target.agent(opened), target.text)
        async with _application(process, kind) as (application, turns):
            guard = Guard(application, process.auth, deployment.manifest.name)
            requests = Requests(guard)
            control.metrics.add(guard.collect)
            control.metrics.add(requests.collect)
            started = functools.partial(_started, process)
            await Server(configure(requests, deployment.revision), process.drain, turns, started).serve(
                [sock]
            )
    beating.cancel()


def _started(process: Process) -> None:
    deployment = process.deployment
    process.drain.serving()
    process.control.readiness.agent_imported()
    log.info(
        "%s, revision %s, %s: API on port %d, admin on port %d",
        *(deployment.manifest.name, deployment.revision, deployment.environment),
        *(deployment.places.api_port, deployment.places.admin_port),
    )


@contextlib.asynccontextmanager
async def _application(
    process: Process, kind: Conversational | OwnApp
) -> AsyncIterator[tuple[AsgiApp, Turns | None]]:
    """The application of the API port, and the turns that it runs, if it is the runtime's own."""
    deployment, control = process.deployment, process.control
    if isinstance(kind, OwnApp):
        control.policy.refuse_budgets("the agent is an ASGI application, which reports no usage")
        control.traffic.what = "requests"  # it has no turns: what its model answers is all that is known
        control.model.listen(control.traffic.note)
        if control.scoring:
            log.warning("evals.live scores turns, and an ASGI application has none: nothing is scored")
        yield Guarded(kind.app, control.admission, deployment.settings.model), None
        return
    end_tracing = tracing.start(deployment, os.environ)  # the agent's own code came first
    store = _store(process)
    await store.open()
    try:
        control.watch(Check("storage", store.check))
        control.admission.keep_in(store)
        turns = _turns(process, kind.agent, store)
        yield _api(process, turns, store), turns
    finally:
        await store.close()
        end_tracing()


def _store(process: Process) -> Conversations:
    """Where this deployment keeps its conversations."""
    deployment, secrets, reading = process.deployment, process.secrets, process.control.reading
    api, storage = deployment.settings.api, deployment.settings.storage
    database: Database
    if storage and storage.url_secret:
        from .conversations.postgres import Postgres

        url = functools.partial(secrets.value, storage.url_secret)
        database = Postgres(url, deployment.manifest.name, learn=secrets.learn)
    else:
        from .conversations.sqlite import Sqlite

        database = Sqlite(deployment.places.storage)
    wait_s = 0.0 if api.when_busy == "refuse" else api.timeout_s
    return Conversations(database, wait_s=wait_s, deleted=reading.forget if reading else None)


def _turns(process: Process, agent: Agent, store: Conversations) -> Turns:
    deployment, control = process.deployment, process.control
    settings = deployment.settings
    if settings.model:
        host = urlsplit(config.model_url(settings.model, os.environ)).hostname or ""
        agent = watch(agent, control.traffic, host)
    context = _context(process)
    turns = Turns(
        agent,
        store,
        context,
        process.drain,
        deployment.revision,
        control.admission,
        settings.api.timeout_s,
        contexts_of(context, deployment.tenants),
        _sampling(process),
    )
    counts = Counts()
    outcomes.listen(counts.take)
    control.metrics.add(lambda: counts.collect(turns))
    return turns


def _sampling(process: Process) -> Sampling | None:
    """Which turns are scored; from here on they are."""
    live, scoring = process.deployment.manifest.live, process.control.scoring
    if live is None or scoring is None:
        return None
    process.control.watch(Check("evals.live", scoring.check, required=False))
    scoring.begin()
    return Sampling(live.sample)


def _context(process: Process) -> Context:
    """The template of every turn's context."""
    deployment = process.deployment
    return Context(
        conversation="",
        turn=0,
        tenant=None,
        model=deployment.settings.model,
        config=deployment.settings.config,
        mcp=deployment.mcp_urls(),
        storage=deployment.places.storage,
        prompts=deployment.places.prompts,
        allows_tool=process.control.admission.allows_tool,
        secrets=process.secrets,
    )


def _api(process: Process, turns: Turns, store: Conversations) -> AsgiApp:
    settings, name = process.deployment.settings, process.deployment.manifest.name
    return app.build(
        turns,
        store,
        name=name,
        model=settings.model.name if settings.model else name,
        body_limit=settings.api.body_limit,
        authenticated=settings.api.auth not in (None, "none"),
        alive=process.control.heart.document,
        ready=process.control.readiness.document,
    )
