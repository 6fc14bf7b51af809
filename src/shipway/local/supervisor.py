"""The processes of a local stack, from the first start to the last end.

In: a LocalPlan, prepared. Out: an exit code: 130 after Ctrl-C, 0 after SIGTERM; StackError when a process
ends before it has ever started, the agent with a failing import above all. One that ends later is started
again, after a pause that grows. The first signal ends everything in order: the agent with its grace, then the
rest at once; the second one does not wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from shipway.errors import StackError
from shipway.local import probes, state
from shipway.local.ports import LOOPBACK
from shipway.local.process import Running
from shipway.local.state import ProcessState, Stack
from shipway.local.tree import started

if TYPE_CHECKING:
    from collections.abc import Callable

    from shipway.local.output import Output
    from shipway.local.plan import LocalPlan, Process
    from shipway.local.warden import Warden

_POLL_S = 0.1
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_STEADY_S = 10.0  # a process that ran this long starts with the first pause again

Status = Literal["ready", "unready"]


class StartFailedError(StackError):
    """A process ended before it had started once. `process` is its name; its own lines say why."""

    def __init__(self, process: str, message: str) -> None:
        super().__init__(message, f"what it said is above, and in .shipway/logs/{process}.log")
        self.process = process


class Supervisor:
    """Runs a plan once. `report` is told when the agent is ready, or was not within `wait_s` seconds."""

    def __init__(
        self,
        plan: LocalPlan,
        output: Output,
        warden: Warden,
        wait_s: float,
        report: Callable[[Status, list[str]], None],
    ) -> None:
        self._plan, self._output, self._warden = plan, output, warden
        self._wait_s, self._report = wait_s, report
        self._began = time.time()
        self._kept = {process.name: _Kept(process, self._write) for process in plan.processes}
        self._stop, self._hurry = asyncio.Event(), asyncio.Event()
        self._code = 0
        self._failure: StartFailedError | None = None

    async def run(self) -> int:
        """Start everything, and keep it until a signal."""
        loop = asyncio.get_running_loop()
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGHUP, 0)):
            loop.add_signal_handler(number, self._signalled, code)
        self._write()
        async with probes.connect() as client:
            tasks = [asyncio.create_task(self._keep(kept, client)) for kept in self._kept.values()]
            tasks.append(asyncio.create_task(self._announce(client)))
            crashed = await self._stopped_or_broken(tasks)
            await _cancel(tasks)
            await self._end()
        if crashed:
            raise crashed
        if self._failure:
            raise self._failure
        return self._code

    def _signalled(self, code: int) -> None:
        if self._stop.is_set():
            self._output.say("not waiting any longer")
            self._hurry.set()
        else:
            self._code = code
            self._output.say("stopping" + (" (Ctrl-C again: at once)" if code else ""))
            self._stop.set()

    async def _stopped_or_broken(self, tasks: list[asyncio.Task[None]]) -> BaseException | None:
        """Wait for a reason to stop; a mistake of this program is one, and must not leave processes."""
        stop = asyncio.create_task(self._stop.wait())
        waiting = {*tasks, stop}
        while not stop.done():
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if error := task.exception():
                    await _cancel([stop])
                    return error
        return None

    # -- One process ---------------------------------------------------------------------------------------

    async def _keep(self, kept: _Kept, client: probes.Client) -> None:
        """Start the process when what it needs runs, and again whenever it ends."""
        for name in kept.plan.after:
            await self._kept[name].once_up.wait()
        pause = _FIRST_PAUSE_S
        while True:
            await self._wait_for(kept.plan.inside)
            began = time.monotonic()
            end = await self._run_once(kept, client)
            if not kept.once_up.is_set():
                self._fail(kept.plan, end)
                return
            pause = _FIRST_PAUSE_S if time.monotonic() - began > _STEADY_S else pause
            self._output.say(f"{kept.plan.name} {end}; starting it again in {pause:g} s")
            kept.become("restarting", pid=None, restarts=kept.state.restarts + 1, last_end=end)
            await self._end_inside(kept.plan.name)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    async def _run_once(self, kept: _Kept, client: probes.Client) -> str:
        """From start to end; how it ended, in words."""
        name = kept.plan.name
        try:
            kept.running = await Running.start(kept.plan, lambda line: self._output.line(name, line))
        except OSError as error:
            return f"cannot be started: {kept.plan.argv[0]}: {error.strerror}"
        self._warden.watch(kept.running.pid)
        kept.become("starting", pid=kept.running.pid)
        probing = asyncio.create_task(self._wait_until_up(kept, client))
        try:
            return await kept.running.exited()
        finally:
            await _cancel([probing])

    async def _wait_until_up(self, kept: _Kept, client: probes.Client) -> None:
        while await probes.ask(kept.plan.probe, client):  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(_POLL_S)
        kept.become("running")
        if kept.once_up.is_set():
            self._output.say(f"{kept.plan.name} runs again")
        kept.once_up.set()

    async def _end_inside(self, network: str) -> None:
        """A container keeps the network that it has joined, and nobody reaches it there any more."""
        inside = [k.running for k in self._kept.values() if k.plan.inside == network and k.running]
        await asyncio.gather(*(running.end(_set()) for running in inside))

    async def _wait_for(self, network: str | None) -> None:
        while network and self._kept[network].state.state != "running":  # noqa: ASYNC110 - it is restarted
            await asyncio.sleep(_POLL_S)

    def _fail(self, plan: Process, end: str) -> None:
        """Starting again would end the same way: whoever called `up` has to change something."""
        if self._failure is None and not self._stop.is_set():
            what = "before it was imported" if plan.role == "agent" else "before it had started"
            cannot = end.startswith("cannot")
            self._failure = StartFailedError(plan.name, f"{plan.name} {end}{'' if cannot else f' {what}'}")
        self._stop.set()

    # -- The stack -----------------------------------------------------------------------------------------

    async def _announce(self, client: probes.Client) -> None:
        """Say when the agent is ready; if that takes too long, say once what is not, and go on."""
        began, told = time.monotonic(), False
        while True:
            document = await probes.readiness(self._admin, client)
            if document and document["status"] in ("ready", "degraded"):
                degraded = [f"degraded: {line}" for line in probes.unready(document)]
                self._tell(
                    "ready", [f"ready in {time.monotonic() - began:.1f} s", *degraded, *self._addresses()]
                )
                return
            if not told and time.monotonic() - began > self._wait_s:
                told = True
                reasons = [f"  {line}" for line in probes.unready(document)]
                self._tell("unready", [f"not ready after {self._wait_s:g} s:", *reasons])
            await asyncio.sleep(_POLL_S)

    def _tell(self, status: Status, lines: list[str]) -> None:
        for line in lines:
            self._output.say(line)
        self._report(status, lines)

    def _addresses(self) -> list[str]:
        shown = [("API", self._api), ("admin", self._admin)]
        shown += [(p.name, p.address) for p in self._plan.processes if p.role != "agent" and p.address]
        width = max(len(name) for name, _ in shown)
        known = self._plan.replayed or self._plan.recorded
        model = [state.model(self._plan.replayed, self._plan.recorded)] if known else []
        addresses = [f"  {name:<{width}}  {address}" for name, address in shown]
        return [*addresses, *model, 'try: shipway ask "…"']

    async def _end(self) -> None:
        """The agent first, so that its turns can still use the rest; then everything at once."""
        agents = [kept for kept in self._kept.values() if kept.plan.role == "agent"]
        others = [kept for kept in self._kept.values() if kept.plan.role != "agent"]
        for group in (agents, others):
            await asyncio.gather(*(kept.end(self._hurry) for kept in group))

    @property
    def _api(self) -> str:
        return f"http://{LOOPBACK}:{self._plan.ports.api}"

    @property
    def _admin(self) -> str:
        return f"http://{LOOPBACK}:{self._plan.ports.admin}"

    def _write(self) -> None:
        stack = Stack(
            name=self._plan.name,
            pid=os.getpid(),
            started=started(os.getpid()) or "",
            since=self._began,
            api=self._api,
            admin=self._admin,
            grace_s=max(process.grace_s for process in self._plan.processes),
            processes=tuple(kept.state for kept in self._kept.values()),
            replayed=self._plan.replayed,
            recorded=self._plan.recorded,
            engine="docker" if self._plan.containers else "processes",
        )
        state.write(Path(self._plan.root), stack)


class _Kept:
    """A process and what is known of it; tells `changed` about every change."""

    def __init__(self, plan: Process, changed: Callable[[], None]) -> None:
        self.plan = plan
        self.state = ProcessState(plan.name, "waiting", time.time(), plan.address)
        self.running: Running | None = None
        self.once_up = asyncio.Event()
        self._changed = changed

    def become(self, name: state.Name, **changes: object) -> None:
        self.state = replace(self.state, state=name, since=time.time(), **changes)  # type: ignore[arg-type]
        self._changed()

    async def end(self, hurry: asyncio.Event) -> None:
        if self.running is not None:
            if self.state.state == "starting" and self.plan.removal:
                hurry = _set()  # a container that is only being made hears no signal
            self.become("stopping")
            await self.running.end(hurry)
        self.become("stopped", pid=None)


def _set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


async def _cancel(tasks: list[asyncio.Task[None]] | list[asyncio.Task[Literal[True]]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task
