"""The control thread: admin port, readiness checks and the relay, on an event loop of their own.

In: a deployment, bound sockets. Out: answers that do not depend on the agent. `start` returns once
everything is served, so the agent's import can rely on its MCP URLs; `close` stops the relay, then the admin
port, last of all. The thread then stays behind as a guard: whatever holds the interpreter open after that
(a task that ignores its cancellation, a thread, an atexit hook of a library) has LEAVE_S seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import os
import signal
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, NoReturn

from .admin import port as admin
from .admin import token as admin_token
from .api.auth import list_checks
from .contract import REVISION_HEADER, env
from .health import checks, standin
from .health.heart import Heart
from .health.readiness import Readiness
from .health.traffic import Traffic
from .live.reading import Reading
from .model.watching import Watch
from .policy.admission import Admission
from .policy.endpoint import Endpoint
from .policy.standing import Standing
from .reaper import Reaper
from .telemetry import log, outcomes
from .telemetry.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from prometheus_client import Metric

    from .admin.token import AdminToken
    from .api.auth import Auth
    from .config import Deployment
    from .drain import Drain
    from .health.faults import Fault
    from .health.readiness import Check
    from .health.standin import StandIn
    from .live.scoring import Scoring
    from .relay import Relay
    from .secrets.declared import Secrets
    from .telemetry.pushing import Pushing

WATCH_S = 0.5
RELAY_GRACE_S = 5.0
EARLY_S = 1.0  # for the import to give way to a signal; code of the user's may have caught it
MARGIN_S = 10.0  # beyond the grace: flushing, the application's shutdown, the relay
HEARD_S = 1.0  # for the main thread to take notice of a signal by itself
ENDING = {signal.SIGTERM, signal.SIGINT}
LEAVE_S = 5.0  # for the interpreter to end: threads, hooks, tasks that do not stop


class Control:
    """The control thread of one process. Create, start and close it on the main thread."""

    def __init__(
        self,
        deployment: Deployment,
        secrets: Secrets,
        drain: Drain,
        environ: Mapping[str, str],
        auth: Auth,
        stand_in: StandIn,
    ) -> None:
        self._deployment, self._secrets, self._drain, self._environ = deployment, secrets, drain, environ
        self._auth, self._stand_in = auth, stand_in
        self.heart = Heart(deployment.places.source)
        self.readiness = Readiness(deployment.check_interval_s, draining=lambda: drain.draining)
        self.traffic = Traffic()
        self.model = Watch(deployment.settings.model, os.environ, deployment.real)
        self.model.listen(self._learn)
        self.metrics = Metrics()
        self.metrics.add(self._vitals)
        self.metrics.add(self.model.collect)
        self.policy = Standing.open(deployment, secrets, environ)
        self.admission = Admission(lambda: self.policy.effective)
        self.metrics.add(self._policy)
        self.scoring: Scoring | None = None
        self.reading: Reading | None = None
        self._heard = socket.socketpair()
        for end in self._heard:
            end.setblocking(False)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._served, self._closed = threading.Event(), threading.Event()
        self._failure: Exception | None = None
        self._exit_code, self._guard_s = 1, LEAVE_S

    def start(self, admin_socket: socket.socket, relay_socket: socket.socket | None) -> None:
        """Serve, and return when everything listens. Raises what kept it from serving."""
        signal.set_wakeup_fd(self._heard[1].fileno(), warn_on_full_buffer=False)
        work = functools.partial(self._run, admin_socket, relay_socket)
        threading.Thread(target=work, name="shipway-control", daemon=True).start()
        self._served.wait()
        if self._failure:
            raise self._failure

    def watch(self, check: Check) -> None:
        """Let readiness depend on one more thing."""
        self.readiness.add(checks.redacted(check, self._secrets), self._loop)

    def close(self, exit_code: int) -> None:
        """Stop the relay, then the admin port. The process is about to exit with `exit_code`."""
        self._exit_code = exit_code
        if not self._closed.is_set():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._closed.wait(RELAY_GRACE_S + MARGIN_S)

    def _run(self, admin_socket: socket.socket, relay_socket: socket.socket | None) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve(admin_socket, relay_socket))
        except Exception as error:  # noqa: BLE001 - crosses over to the main thread
            if self._served.is_set():
                log.critical("the control thread failed, the process ends", exc_info=True)
            self._failure = error
        self._closed.set()
        self._served.set()
        time.sleep(min(self._guard_s, max(self._drain.left(MARGIN_S + RELAY_GRACE_S), 1.0)))
        leave(self._exit_code)

    async def _serve(self, admin_socket: socket.socket, relay_socket: socket.socket | None) -> None:
        token = admin_token.find(self._deployment, self._secrets, self._environ)
        port = await self._admin(token).serve(admin_socket)
        self._loop.add_reader(self._heard[0], self._hear)
        async with contextlib.AsyncExitStack() as stack:
            relay = await stack.enter_async_context(self._relay(relay_socket)) if relay_socket else None
            if url := self._environ.get(env.CONTROL_URL):
                pushing = await stack.enter_async_context(self._pushing("OUTCOMES", url))
                stack.callback(outcomes.carry(pushing.put))
                await stack.enter_async_context(self._reporting(url))
            if self._deployment.manifest.live:
                await self._live(stack, url)
            wanted = checks.list_checks(
                self._deployment, self._secrets, relay, self._environ, self.traffic, self.policy
            )
            wanted += list_checks(self._deployment.settings.api, self._auth, self._secrets)
            background = asyncio.create_task(self._look_after(wanted))
            self._served.set()
            stopped = asyncio.create_task(self._stop.wait())
            await asyncio.wait([stopped, background], return_when=asyncio.FIRST_COMPLETED)
            if background.done():
                await background  # it never ends by itself: raises what broke it
            background.cancel()
            stopped.cancel()
        port.close()
        token.close()

    def _admin(self, token: AdminToken) -> admin.Admin:
        policy = Endpoint(self.policy, self.admission)
        routes = admin.routes(self._deployment, self.heart, self.readiness, policy.show)
        changes = {("PUT", "/policy"): policy.put, ("DELETE", "/policy"): policy.delete}
        private = frozenset[str]() if self._deployment.development else admin.PRIVATE
        pages = {"/metrics": self.metrics.page}
        return admin.Admin(routes, pages, changes, token, private, self._deployment.revision)

    @contextlib.asynccontextmanager
    async def _pushing(self, freight: str, url: str) -> AsyncIterator[Pushing]:
        module = await asyncio.to_thread(importlib.import_module, "shipway_runtime.telemetry.pushing")
        what = getattr(module, freight)
        async with module.pushing(what, url, self._deployment, self._secrets, self._environ) as ours:
            self.metrics.add(ours.collect)
            yield ours

    async def _live(self, stack: contextlib.AsyncExitStack, url: str | None) -> None:
        """Score sampled turns, and let control read some of them, if there is one."""
        live = await asyncio.to_thread(importlib.import_module, "shipway_runtime.live.scoring")
        redact = self._secrets.redact
        if url:
            pushing = await stack.enter_async_context(self._pushing("TEXTS", url))
            self.reading = Reading(pushing.put, redact)
        scoring: Scoring = await stack.enter_async_context(live.scoring(redact, self.reading))
        self.metrics.add(scoring.collect)
        self.scoring = scoring

    @contextlib.asynccontextmanager
    async def _reporting(self, url: str) -> AsyncIterator[None]:
        module = await asyncio.to_thread(importlib.import_module, "shipway_runtime.telemetry.reporting")
        replica = module.Replica(
            self._deployment.revision, self.readiness, self._drain, lambda: self.policy.etag
        )
        async with module.reporting(url, replica, self._deployment, self._secrets, self._environ):
            yield

    @contextlib.asynccontextmanager
    async def _relay(self, sock: socket.socket) -> AsyncIterator[Relay]:
        # Imported in a thread: the admin port goes on answering during the import.
        uvicorn = await asyncio.to_thread(importlib.import_module, "uvicorn")
        module = await asyncio.to_thread(importlib.import_module, "shipway_runtime.relay")
        switches = importlib.import_module("shipway_runtime.relay.tools")
        servers = self._deployment.manifest.mcp
        relay: Relay = module.Relay(
            servers,
            secret=self._secrets.value,
            renew=self._secrets.renew,
            environ=self._environ,
            switches=switches.Switches(self.policy.kill, self._refused),
        )
        bounded = importlib.import_module("shipway_runtime.api.protocol").Bounded
        config = uvicorn.Config(
            relay.app,
            http=bounded,
            lifespan="off",
            log_config=None,
            access_log=False,
            headers=[(REVISION_HEADER, self._deployment.revision)],
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        self.metrics.add(relay.collect)
        await relay.start()
        yield relay
        await relay.close(RELAY_GRACE_S)
        server.should_exit = server.force_exit = True
        await serving

    def _vitals(self) -> Iterable[Metric]:
        from .telemetry.vitals import families

        return families(self._deployment, self.heart, self.readiness, self._secrets)

    def _policy(self) -> Iterable[Metric]:
        from .policy.families import families

        return families(self.policy, self.admission)

    def _learn(self, fault: Fault | None) -> None:
        """Of the model's exchanges: turns say the rest, and an application of its own has none."""
        if fault and fault.certain:
            self.traffic.failed(fault)

    def _refused(self, rule: str) -> None:
        self.policy.refused[rule] += 1

    async def _look_after(self, wanted: list[Check]) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.readiness.run(wanted))
            group.create_task(self._watch())
            group.create_task(self._beat())
            group.create_task(self._secrets.keep())
            group.create_task(self._auth.keep())
            group.create_task(self.policy.keep())

    def _hear(self) -> None:
        """A signal, as the system tells it beside the main thread, which may not come to its handler."""
        if ENDING & set(self._heard[0].recv(64)):
            self._loop.call_later(HEARD_S, self._drain.heard)

    async def _beat(self) -> None:
        while self._stand_in.standing:
            self._stand_in.beat()
            await asyncio.sleep(standin.BEAT_S)

    async def _watch(self) -> None:
        """Look after the main thread, and after orphans where this is process 1."""
        reaper = Reaper() if os.getpid() == 1 else None
        while True:
            await asyncio.sleep(WATCH_S)
            if reaper:
                reaper.look()
            if not self._drain.draining:
                self.heart.watch()
            elif self._drain.early:
                if self._drain.overdue(EARLY_S):
                    self._guard_s, self._exit_code = 0.0, 0
                    self._stop.set()
            elif self._drain.overdue(MARGIN_S):
                log.error("not done in time: the main thread is at %s; leaving", self.heart.line())
                self._guard_s = 0.0
                self._stop.set()


def leave(code: int) -> NoReturn:
    """End the process as it stands; what was printed and not yet written has a second to go."""
    last = threading.Thread(target=_flush, daemon=True)
    last.start()
    last.join(1.0)
    os._exit(code)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
