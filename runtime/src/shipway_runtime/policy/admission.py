"""Admission: whether a turn may begin, with which model, and what it has used when it ends.

In: the policy of the moment, a tenant, the model as configured. Out: a `Passage` for a turn that is let in;
DeniedError for one that is not. What runs already is left alone. Lives on the main loop; the control thread
reads its counters.

Sums of tokens and dollars live in a store where there is one; while it does not answer, this process counts
by itself.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from ..conversations.store import StoreError
from ..telemetry import log
from ..turn import TurnError
from .accounts import Accounts, Amount, lengths
from .merge import Bounds
from .models import choose
from .prices import MILLION, cost_of, price_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..contract import Model
    from ..conversations.budgets import Budgets
    from ..turn import Turn
    from .accounts import Account, Hold, Refusal
    from .merge import Effective

KILL_RETRY_S = 30.0  # nobody knows when a switch goes back
UNKNOWN_RETRY_S = 1.0
REFRESH_S = 1.0  # other replicas' use is known within this time
SHOWN = 100  # tenants in GET /policy

CODES = {
    "requests": "rate_limited",
    "concurrency": "too_many_turns",
    "tokens": "token_budget_exhausted",
    "spend": "spend_budget_exhausted",
}
PERIODS = {1: "second", 60: "minute", 3600: "hour", 86400: "day"}
_NONE = Bounds()


class DeniedError(TurnError):
    """The policy does not let a turn begin. `rule` is the part of the policy that says so."""

    def __init__(self, rule: str, status: int, code: str, message: str, retry_s: float) -> None:
        super().__init__(message)
        self.rule, self.status, self.code, self.retry_s = rule, status, code, retry_s


class Admission:
    """Lets turns in. `policy` gives what holds now, None while that is not known."""

    def __init__(self, policy: Callable[[], Effective | None]) -> None:
        self._policy = policy
        self._accounts = Accounts()
        self._budgets: Budgets | None = None
        self._alone = False
        self._mute = False
        self.denied: Counter[str] = Counter()

    def keep_in(self, budgets: Budgets | None) -> None:
        """Where sums of tokens and dollars outlive this process."""
        self._budgets = budgets

    async def enter(self, tenant: str | None, model: Model | None) -> Passage:
        """Let a turn in; its `Passage` is to be left at its end. Raises DeniedError."""
        try:
            chosen, account = self.check(tenant, model), self._accounts.of(tenant)
            if await self._refresh(account, tenant):
                chosen = self.check(tenant, model)
            return self._admit(account, tenant, chosen)
        except DeniedError as error:
            self.denied[error.rule] += 1
            raise

    def check(self, tenant: str | None, model: Model | None) -> Model | None:
        """The model of a turn that begins now. Raises DeniedError for what is switched off."""
        policy = self._policy()
        if policy is None:
            message = "this instance does not know its policy yet; try again"
            raise DeniedError("unknown", 503, "policy_unknown", message, UNKNOWN_RETRY_S)
        if policy.kill.all:
            raise _killed("kill.all", "agent_disabled", "this agent is switched off")
        if tenant is not None and tenant in policy.kill.tenants:
            raise _killed("kill.tenants", "tenant_disabled", "this agent is switched off for this tenant")
        if model is None:
            return None
        if chosen := choose(model, policy):
            return chosen
        raise _killed("kill.models", "model_disabled", "the model of this agent is switched off")

    def _admit(self, account: Account, tenant: str | None, model: Model | None) -> Passage:
        policy = self._policy()
        assert policy  # `check` has just seen it
        bounds, need = policy.of(tenant), _need(model)
        if refusal := account.look(bounds, need, time.monotonic(), time.time()):
            raise _refused(refusal)
        return Passage(self, account, tenant, need, account.take(bounds, need))

    async def _refresh(self, account: Account, tenant: str | None) -> bool:
        """Ask the store what was used up, by others as well; whether that took time.

        The first turns of a tenant wait for the answer; later ones go by the last one while it is under way.
        """
        policy = self._policy()
        bounds = policy.of(tenant) if policy else _NONE
        windows = lengths(bounds)
        if not (self._budgets and windows) or not account.stale(REFRESH_S):
            return False
        known = account.loaded
        async with account.loading:
            if account.loaded == known:  # nobody asked while this waited
                at = time.time()
                try:
                    account.know(bounds, await self._budgets.spent(tenant, windows, at), at)
                    self._alone = False
                except StoreError as error:
                    self._fall_back(error)
                account.loaded = time.monotonic()
        return True

    async def settle(self, passage: Passage) -> None:
        """Count what a turn has used."""
        policy, at = self._policy(), time.time()
        bounds = policy.of(passage.tenant) if policy else _NONE
        used = self._used(passage)
        passage.account.settle(bounds, passage.held, used, at)
        if self._budgets and (windows := lengths(bounds)) and (used.tokens or used.cost):
            try:
                await self._budgets.spend(passage.tenant, windows, int(used.tokens), used.cost, at)
            except StoreError as error:
                self._fall_back(error)

    def _used(self, passage: Passage) -> Amount:
        """What a turn came to. Of one that says nothing of its usage, or what cannot be true, at least what
        was held counts: its model has answered, as far as anybody knows. Of one that failed, only if it was
        seen to answer."""
        turn = passage.turn
        if turn and turn.tally.usages:
            tally = turn.tally
            told = Amount(tally.input + tally.output, cost_of(tally, turn.context.model) or 0.0)
            return _larger(told, passage.need) if tally.doubtful else told
        if turn is None or (turn.status == "error" and not turn.tally.answered):
            return Amount()
        policy = self._policy()
        if policy and lengths(policy.of(passage.tenant)) and not self._mute:
            self._mute = True
            log.warning(
                "a turn has reported no usage, so its budget counts what it may have used at most: "
                "call ctx.used(response.usage) after each request to a model"
            )
        return passage.need

    def _fall_back(self, error: StoreError) -> None:
        if not self._alone:
            log.error("budgets cannot be read or kept, this process counts by itself: %s", error)
        self._alone = True

    def allows_tool(self, name: str) -> bool:
        """Whether a tool of the agent's own may be called now; one that may not is counted as refused."""
        policy = self._policy()
        if policy is None or policy.kill.rule(name) is None:
            return True
        self.denied["kill.tools"] += 1
        return False

    def document(self) -> dict[str, Any]:
        """What tenants have in use, for GET /policy; from any thread."""
        return {"known": len(self._accounts), "tenants": self._accounts.documents(SHOWN)}


class Passage:
    """A turn that was let in."""

    __slots__ = ("_admission", "account", "held", "need", "tenant", "turn")

    def __init__(
        self, admission: Admission, account: Account, tenant: str | None, need: Amount, held: Hold
    ) -> None:
        self._admission, self.account, self.tenant, self.need, self.held = (
            admission,
            account,
            tenant,
            need,
            held,
        )
        self.turn: Turn | None = None
        """What it was used for, once that has begun."""

    def check(self, model: Model | None) -> Model | None:
        """After a wait: the model of the turn that begins now. Raises DeniedError."""
        try:
            return self._admission.check(self.tenant, model)
        except DeniedError as error:
            self._admission.denied[error.rule] += 1
            raise

    async def leave(self) -> None:
        """The turn is over."""
        await self._admission.settle(self)


def _need(model: Model | None) -> Amount:
    """The most that one answer of the model takes, as far as agent.toml says so."""
    if model is None or model.max_tokens is None:
        return Amount()
    price = price_of(model, model.name)
    return Amount(model.max_tokens, model.max_tokens * price.output / MILLION if price else 0.0)


def _larger(one: Amount, other: Amount) -> Amount:
    return Amount(max(one.tokens, other.tokens), max(one.cost, other.cost))


def _killed(rule: str, code: str, message: str) -> DeniedError:
    return DeniedError(rule, 503, code, f"{message} for now", KILL_RETRY_S)


def _refused(refusal: Refusal) -> DeniedError:
    amount, seconds = refusal.rate
    period = PERIODS.get(int(seconds), f"{seconds:g} s")
    message = {
        "requests": f"more requests than {amount:g} in a {period}",
        "concurrency": f"{amount:g} turns run already",
        "tokens": f"the tokens of this {period} are used up",
        "spend": f"the budget of this {period} is used up",
    }[refusal.rule]
    code = CODES[refusal.rule]
    return DeniedError(f"limits.{refusal.rule}", 429, code, f"{message}; try again later", refusal.retry_s)
