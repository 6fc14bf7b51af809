"""What is there for all revisions of a deployment: its network, control, the router.

In: the newest deployment. Out: both run, as it says; the router's configuration lies where it reads it. Each
can be asked for again, and who was removed is back. Errors: RolloutError.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from typing import TYPE_CHECKING

from shipway.errors import RolloutError
from shipway.plan.deployment import API_PORT, CERTIFICATES, ROUTING_PATH, controller
from shipway.rollout.docker import parts
from shipway.rollout.docker.definition import Place, define
from shipway.rollout.service.secrets import SHARED
from shipway.rollout.traffic import haproxy_config
from shipway.rollout.traffic.haproxy import HAProxy
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shipway.plan.deployment import Container, Deployment
    from shipway.rollout.docker.containers import Containers, Found
    from shipway.rollout.service.secrets import Secrets

_ROUTER = "router"
_CONFIG, _SOCKET = "haproxy.cfg", "haproxy.sock"


class Site:
    """Of one deployment. `state` is the controller's directory, `source` where the machine has it."""

    def __init__(
        self, containers: Containers, project: str, secrets: Secrets, state: Path, source: str
    ) -> None:
        self._containers, self._project, self._secrets = containers, project, secrets
        self._state, self._source = state, source
        self.network = ""
        self._shown = ""

    @property
    def socket(self) -> str:
        """The router's, as the controller sees it."""
        return str(self._state / _ROUTER / _SOCKET)

    def ensure_network(self) -> str:
        """The network is there, and this controller is in it; returns its id."""
        engine = self._containers.engine
        self.network = parts.ensure_network(engine, self._project)
        parts.join_network(engine, self._project, controller(self._project))
        return self.network

    def ensure_control(self, deployment: Deployment) -> None:
        """Control runs."""
        parts.ensure_volumes(self._containers.engine, self._project, (deployment.control,))
        self._ensure(deployment.control, {})

    def ensure_router(self, deployment: Deployment) -> None:
        """The router runs with the configuration of this deployment, and shows the newest certificates."""
        digest = self._write_config(deployment.router)
        router = dataclasses.replace(deployment.router, env={**deployment.router.env, "CONFIG": digest})
        found = self._ensure(router, {ROUTING_PATH: f"{self._source}/{_ROUTER}"})
        if CERTIFICATES in router.secrets:
            self._show_certificates(found)

    def _ensure(self, container: Container, binds: Mapping[str, str]) -> Found:
        files = self._secrets.files(SHARED, container)
        place = Place(self._project, "", {**binds, **files})
        body = define(container, place, self._secrets.read())
        try:
            return self._containers.ensure(place.name(container.name), body, self.network)
        except RolloutError as error:
            raise RolloutError(f"{container.name} is not started: {error}", error.hint) from None

    def _write_config(self, router: Container) -> str:
        """Returns its digest: a router that was started with another one is replaced."""
        shown = f"{contract.SECRETS}/{CERTIFICATES}" if CERTIFICATES in router.secrets else None
        text = haproxy_config.config(
            haproxy_config.Place(
                host="*",
                port=API_PORT,
                socket=f"{ROUTING_PATH}/{_SOCKET}",
                certificates=shown,
                health_port=contract.ADMIN_PORT,
            )
        )
        directory = self._state / _ROUTER
        try:
            directory.mkdir(parents=True, exist_ok=True)
            os.chown(directory, contract.UID, contract.UID)  # it makes its socket there
            if not (directory / _CONFIG).exists() or (directory / _CONFIG).read_text() != text:
                (directory / _CONFIG).write_text(text)
        except OSError as error:
            raise RolloutError(f"the router's configuration is not written: {error.strerror}") from None
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _show_certificates(self, router: Found) -> None:
        """A router that runs takes new ones without a restart; one that has just started has read them."""
        pem = self._secrets.read().get(CERTIFICATES, "")
        state = f"{router.id} {router.started} {hashlib.sha256(pem.encode()).hexdigest()}"
        if pem and router.runs and state != self._shown:
            HAProxy(self.socket).show_certificates(f"{contract.SECRETS}/{CERTIFICATES}", pem)
            self._shown = state
