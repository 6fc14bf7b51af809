"""The process: control thread first, then the agent, then the API.

In: the environment. Out: three ports served until SIGTERM, and an exit code: 0 after a drain, 1 when it
could not start or could not end in order. What each step does is in the module it is named after.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

from . import config, contract, entrypoint, ports
from .api.auth import open_auth
from .contract import env
from .control import Control
from .drain import Drain, Leave, handle_signals
from .errors import StartError
from .hardening import harden
from .health.heart import START_S
from .health.standin import StandIn
from .model import clients
from .model.unreachable import refuse_providers
from .secrets.declared import Secrets
from .telemetry import log, logs, outlets

if TYPE_CHECKING:
    from collections.abc import Mapping
    from socket import socket

    from .config import Deployment


def main() -> int:
    """Run the agent that the environment describes; returns the exit code."""
    try:
        logs.configure(plain=_plain(), revision=os.environ.get(env.REVISION, ""), redact=str)
        deployment = config.read(os.environ)
        secrets = Secrets(deployment.settings.secrets, deployment.places.secrets, os.environ)
        outlets.install(secrets.redact)
        logs.configure(plain=deployment.development, revision=deployment.revision, redact=secrets.redact)
        if problem := config.check_revision(deployment, os.environ):
            log.warning("%s", problem)
        config.refuse_unsafe(deployment)
        if not deployment.development:
            harden()
        return run(deployment, secrets)
    except (StartError, contract.ContractError) as error:
        return refuse(error)
    except Leave:
        return 0


def _plain() -> bool:
    """Whether lines are for people, before anything was read: what cannot be read is said in one of them."""
    return os.environ.get(env.ENVIRONMENT) == config.DEVELOPMENT


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
    stand_in = StandIn(admin, start_s=START_S, revision=deployment.revision)
    stand_in.start()
    environ = os.environ | secrets.environment(os.environ)  # a gateway or a proxy may be a secret
    environ |= config.agent_environment(deployment, environ)
    control = Control(deployment, secrets, drain, environ, auth, stand_in)
    clients.install(control.model)
    code, runner = 1, asyncio.Runner()
    try:
        control.start(admin, relay)
        prepare(deployment, environ)
        from .serving import Process, serve

        target = entrypoint.load(deployment.manifest.entrypoint)
        stand_in.end()
        runner.run(serve(Process(deployment, secrets, drain, auth, control), target, api))
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


def prepare(deployment: Deployment, environ: Mapping[str, str]) -> None:
    """Make the process the agent's: its variables, with its secrets, and its sources."""
    os.environ.update(environ)
    for ours in (env.ADMIN_TOKEN, env.CONTROL_TOKEN):  # not the agent's, nor what it starts
        os.environ.pop(ours, None)
    sys.path.insert(0, str(deployment.places.source))
    if deployment.replay:
        refuse_providers(deployment.replay)
