"""A rollout's world on one machine: revisions that run, a router in front of them, a gate at control.

In: a runner of revisions, a router, a judge. Out: `controller.World`. Where things are remembered: in the
store, which slot of the router is whose and where conversations are pinned; in the router, its weights and
pins, which are said again each time.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import httpx2

from shipway.errors import RolloutError
from shipway.rollout.judge import TOO_LITTLE
from shipway.rollout.state import End, Evaluate, Judge, Run, Seen, Settle, Weigh
from shipway.rollout.traffic.split import Backend, Split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from shipway.rollout.judge import Judge as Gate
    from shipway.rollout.state import Action, Asked, Health, Notice, State, Suite
    from shipway.rollout.traffic.split import Slot, Traffic
    from shipway.rollout_snapshot import GateSeen

HEALTH_S = 3.0


class Runner(Protocol):
    """What starts and ends revisions: processes, containers."""

    def run(self, revision: str) -> None:
        """Start it, unless it runs. Raises RolloutError."""

    def end(self, revision: str) -> None:
        """End it, unless it has ended; its turns are finished first. Returns at once."""

    def address(self, revision: str) -> tuple[str, int] | None:
        """Where its API is; None while it does not run."""

    def settle(self, revision: str) -> None:
        """From now on this one is stable: after a restart of the machine, it is what runs."""

    def evaluate(self, canary: str, stable: str) -> Suite:
        """Run the paired suite, once for these two, and say how far it is."""


class Slots(Protocol):
    """Which of the router's places is whose, and who is pinned there; remembered over restarts."""

    def place(self, stable: str, canary: str) -> tuple[Slot, Slot]:
        """The places of these two: each keeps its own, and one that is new takes the one that is left."""

    def pins(self) -> dict[str, Slot]:
        """Where conversations were pinned when that was last kept."""

    def keep_pins(self, pins: Mapping[str, Slot], gone: Iterable[str]) -> None:
        """Remember these as well, and forget those that are gone."""


class OneMachine:
    """The world of a deployment's rollouts; `order` may be called from any thread."""

    def __init__(
        self,
        runner: Runner,
        traffic: Traffic,
        judge: Gate | None,
        notify: Callable[[tuple[Notice, ...]], None],
        slots: Slots,
        health_port: int | None = None,
    ) -> None:
        """`health_port` is where revisions answer /readyz, if not where their API is."""
        self.traffic = traffic
        self._runner, self._judge, self._notify, self._slots = runner, judge, notify, slots
        self._health_port = health_port
        self._pins = slots.pins()
        self.gate: GateSeen | None = None
        """What the gate said when it was last asked; None while it judges nothing, or control is away."""
        self._orders: list[Asked] = []
        self._lock = threading.Lock()
        self._client = httpx2.Client(timeout=HEALTH_S, trust_env=False)

    def close(self) -> None:
        self._client.close()

    def order(self, asked: Asked) -> None:
        """Take a person's word."""
        with self._lock:
            self._orders.append(asked)

    def asked(self) -> tuple[Asked, ...]:
        """See World."""
        with self._lock:
            orders, self._orders = tuple(self._orders), []
        return orders

    def tell(self, notices: tuple[Notice, ...]) -> None:
        """See World."""
        self._notify(notices)

    def do(self, action: Action) -> None:
        """See World."""
        match action:
            case Run(revision):
                self._runner.run(revision)
            case End(revision):
                self._runner.end(revision)
            case Settle(revision):
                self._runner.settle(revision)
            case Evaluate(canary, stable):
                self._runner.evaluate(canary, stable)
            case Judge(canary, stable, share, since):
                if self._judge:
                    self._judge.begin(canary, stable, share, since)
            case Weigh():
                self._weigh(action)

    def look(self, state: State, now: float) -> Seen:
        """See World."""
        evaluating = state.phase == "evaluating"
        seen = Seen(
            now=now,
            canary=self.health(state.canary),
            stable=self.health(state.stable),
            suite=self._runner.evaluate(state.canary, state.stable) if evaluating else None,
        )
        self.gate = None
        if self._judge is None or state.split_since is None:
            return seen
        try:
            gate = self.gate = self._judge.ask(state.canary)
        except RolloutError as error:  # nothing is known then, and no step goes on by that
            return replace(seen, too_little=True, words=str(error))
        little = gate.why == TOO_LITTLE
        return replace(seen, verdict=gate.verdict, too_little=little, pause=gate.pause, words=gate.words)

    def _weigh(self, weigh: Weigh) -> None:
        """A router that has forgotten its pins is told of them before anybody is sent anywhere."""
        pins = self.traffic.pins()
        if self._pins and not pins:
            self.traffic.pin(self._pins)
            pins = self._pins
        slots = self._slots.place(weigh.stable, weigh.canary)
        stable, canary = map(self._backend, (weigh.stable, weigh.canary), slots)
        if weigh.percent == 100 and canary:  # so that stable may have ended
            stable, canary, percent = canary, stable, 0
        else:
            percent = weigh.percent
        if stable:
            self.traffic.apply(Split(stable, canary, percent, weigh.stay))
        self._keep(pins if weigh.stay else self.traffic.pins())

    def _keep(self, pins: dict[str, Slot]) -> None:
        """After the router was told: a disk that is full keeps nobody from being served."""
        if pins != self._pins:
            new = {name: slot for name, slot in pins.items() if self._pins.get(name) != slot}
            self._slots.keep_pins(new, self._pins.keys() - pins.keys())
            self._pins = pins

    def _backend(self, revision: str, slot: Slot) -> Backend | None:
        address = self._runner.address(revision)
        return Backend(slot, *address) if address else None

    def health(self, revision: str) -> Health:
        """Whether it is there, and ready."""
        address = self._runner.address(revision)
        if address is None:
            return "absent"
        try:
            answer = self._client.get(f"http://{address[0]}:{self._health_port or address[1]}/readyz")
        except httpx2.HTTPError:
            return "unready"
        return "ready" if answer.status_code == 200 else "unready"
