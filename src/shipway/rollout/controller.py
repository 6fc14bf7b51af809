"""The loop that rolls out: remember, do, look, and again.

In: a store, a world (what can be seen and done), a clock. Out: whether there is more to do.
Intent is written down before it is done, each action can be done again, and all of them are done again on
every look: it can be killed at any point and started anew, and the rollout goes on as if it had not been.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from shipway.errors import RolloutError
from shipway.rollout import machine
from shipway.rollout.state import Told

if TYPE_CHECKING:
    from collections.abc import Callable

    from shipway.rollout.state import Action, Asked, Notice, Seen, State
    from shipway.rollout.store import Rollout, Store


class World(Protocol):
    """What a rollout is about: containers or processes, a router, gates."""

    def look(self, state: State, now: float) -> Seen:
        """How things are. Raises RolloutError where that cannot be known."""

    def do(self, action: Action) -> None:
        """Make it so; again, if it is so already. Raises RolloutError where it cannot be done now."""

    def tell(self, notices: tuple[Notice, ...]) -> None:
        """Tell people. Raises RolloutError where nobody hears it; the same notices come again then."""

    def asked(self) -> tuple[Asked, ...]:
        """What people have asked for since the last time."""


class Controller:
    """One deployment's rollouts; `tick` is one round."""

    def __init__(self, store: Store, world: World, clock: Callable[[], float]) -> None:
        self._store, self._world, self._clock = store, world, clock
        self.trouble: str = ""
        """What the last round could not do; it is tried again with the next one."""

    def tick(self) -> bool:
        """One round; whether there is more to do after it."""
        self.trouble = ""
        rollout = self._store.last()
        if rollout is None:
            return False
        self._do(machine.actions(rollout.plan, rollout.state))
        if not rollout.state.ended:
            rollout = self._go_on(rollout)
        rollout = self._tell(rollout)
        return not rollout.state.ended or bool(rollout.state.notices)

    def _go_on(self, rollout: Rollout) -> Rollout:
        for asked in self._world.asked():
            rollout = self._take(rollout, asked)
        try:
            seen = self._world.look(rollout.state, self._clock())
        except RolloutError as error:
            self.trouble = str(error)
            return rollout
        return self._take(rollout, seen)

    def _take(self, rollout: Rollout, event: Asked | Seen) -> Rollout:
        try:
            state, actions = machine.step(rollout.plan, rollout.state, event)
        except RolloutError as error:  # somebody asked for what cannot be
            self.trouble = str(error)
            return rollout
        after = self._store.save(rollout, state, event)
        if state.phase != rollout.state.phase or state.step != rollout.state.step:
            self._do(actions)
        return after

    def _do(self, actions: tuple[Action, ...]) -> None:
        """In their order; what comes after one that failed waits, as it may depend on it."""
        try:
            for action in actions:
                self._world.do(action)
        except RolloutError as error:
            self.trouble = str(error)

    def _tell(self, rollout: Rollout) -> Rollout:
        """A rollout waits for nobody who cannot be reached."""
        notices = rollout.state.notices
        if not notices:
            return rollout
        try:
            self._world.tell(notices)
        except RolloutError as error:
            self.trouble = self.trouble or str(error)
            return rollout
        told = Told(notices[-1].number)
        state, _ = machine.step(rollout.plan, rollout.state, told)
        return self._store.save(rollout, state, told)
