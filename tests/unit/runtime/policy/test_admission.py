"""The door: who gets in, what it costs, and what is said to the others."""

from __future__ import annotations

import asyncio
import math

import pytest
from tests.loops import on_a_loop

from shipway_runtime.contract import Kill, Limits, Model, Policy, Price
from shipway_runtime.conversations.budgets import Spent
from shipway_runtime.conversations.sql import Conversations
from shipway_runtime.conversations.sqlite import Sqlite
from shipway_runtime.conversations.store import StoreError
from shipway_runtime.dialogue import Usage
from shipway_runtime.policy import admission as gates
from shipway_runtime.policy.admission import Admission, DeniedError
from shipway_runtime.policy.asgi import Guarded
from shipway_runtime.policy.merge import meet
from shipway_runtime.telemetry.tally import Tally

DAY = 86400
MODEL = Model(
    "openai",
    "big",
    ("small",),
    max_tokens=100,
    prices={"big": Price(10.0, 20_000.0), "small": Price(1.0, 2.0)},
)


class Turn:
    """What the admission looks at when a turn is over."""

    def __init__(self, *usages: Usage, status: str = "ok", model: Model | None = MODEL) -> None:
        self.status, self.tally, self.context = status, Tally(), self
        self.model = model
        for usage in usages:
            self.tally.use(usage)


def admission_of(policy: Policy | None) -> Admission:
    return Admission(lambda: policy and meet(policy))


async def denied(admission: Admission, tenant: str | None = None, model: Model | None = MODEL) -> DeniedError:
    with pytest.raises(DeniedError) as error:
        await admission.enter(tenant, model)
    return error.value


async def run(admission: Admission, *usages: Usage, tenant: str | None = None, status: str = "ok") -> None:
    passage = await admission.enter(tenant, MODEL)
    passage.turn = Turn(*usages, status=status)
    await passage.leave()


@pytest.mark.parametrize(
    ("kill", "code"),
    [
        (Kill(all=True), "agent_disabled"),
        (Kill(tenants=("acme",)), "tenant_disabled"),
        (Kill(models=("big", "small")), "model_disabled"),
    ],
)
@on_a_loop
async def test_what_is_switched_off(kill, code):
    admission = admission_of(Policy(kill=kill))
    error = await denied(admission, "acme")
    assert (error.status, error.code, error.retry_s) == (503, code, 30.0)
    assert admission.denied == {error.rule: 1}


@on_a_loop
async def test_others_are_let_in():
    admission = admission_of(
        Policy(kill=Kill(tenants=("acme",), models=("big",), tools=("x",), servers=("y",)))
    )
    passage = await admission.enter(None, MODEL)
    assert passage.check(MODEL).name == "small"
    assert passage.check(None) is None


@on_a_loop
async def test_nobody_while_the_policy_is_not_known():
    error = await denied(admission_of(None))
    assert (error.status, error.code, error.rule) == (503, "policy_unknown", "unknown")


@on_a_loop
async def test_a_switch_that_comes_while_a_turn_waits():
    policies = [meet(Policy())]
    admission = Admission(lambda: policies[-1])
    passage = await admission.enter(None, MODEL)
    policies.append(meet(Policy(kill=Kill(all=True))))
    with pytest.raises(DeniedError):
        passage.check(MODEL)
    await passage.leave()
    assert admission.document()["tenants"][0]["running"] == 0


@on_a_loop
async def test_requests_are_counted_for_each_tenant():
    admission = admission_of(
        Policy(limits=Limits(requests=(2, 60)), tenants={"big": Limits(requests=(3, 60))})
    )
    for tenant, allowed in (("a", 2), ("big", 3), (None, 2)):
        for _ in range(allowed):
            await run(admission, tenant=tenant)
        error = await denied(admission, tenant)
        assert (error.status, error.code) == (429, "rate_limited")
        assert 0 < error.retry_s <= 30
        assert "in a minute" in str(error)


@on_a_loop
async def test_concurrency_under_load():
    admission = admission_of(Policy(limits=Limits(concurrency=10)))
    running = most = refused = 0
    codes = set()

    async def turn() -> None:
        nonlocal running, most, refused
        try:
            passage = await admission.enter(None, None)
        except DeniedError as error:
            codes.add(error.code)
            refused += 1
            return
        running += 1
        most = max(most, running)
        for _ in range(3):
            await asyncio.sleep(0)
        running -= 1
        await passage.leave()

    for _ in range(20):
        await asyncio.gather(*(turn() for _ in range(50)))
    assert most == 10
    assert refused == 20 * 40
    assert codes == {"too_many_turns"}


@on_a_loop
async def test_an_application_of_its_own_over_a_websocket():
    policies, reached, sent = [meet(Policy())], [], []

    async def app(scope, receive, send):
        reached.append(scope["type"])

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    guarded = Guarded(app, Admission(lambda: policies[-1]), None)
    for kind in ("lifespan", "websocket"):
        await guarded({"type": kind}, receive, send)
    policies.append(meet(Policy(kill=Kill(all=True))))
    await guarded({"type": "websocket"}, receive, send)
    assert reached == ["lifespan", "websocket"]
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": "this agent is switched off for now"}]


@on_a_loop
async def test_tokens_are_reserved_and_settled():
    admission = admission_of(Policy(limits=Limits(tokens=(250, DAY))))
    first, second = await admission.enter(None, MODEL), await admission.enter(None, MODEL)
    assert (await denied(admission)).retry_s == 1.0  # soon: both may use less than they hold
    first.turn = second.turn = Turn(Usage(10, 20))
    await first.leave()
    await second.leave()
    await run(admission, Usage(100, 50))  # 210
    error = await denied(admission)
    assert (error.status, error.code) == (429, "token_budget_exhausted")
    assert 0 < error.retry_s <= DAY


@on_a_loop
async def test_spend_is_counted_by_the_price_of_the_model_that_was_asked():
    admission = admission_of(Policy(limits=Limits(spend_usd=(5.0, DAY))))
    await run(admission, Usage(0, 1_000_000, model="small"))  # 2 dollars
    await run(admission, Usage(0, 100))  # and 2 more: what is left is less than a turn may cost
    error = await denied(admission)
    assert error.code == "spend_budget_exhausted"
    assert "5" not in str(error)  # what an operator pays is no caller's business


@pytest.mark.parametrize(
    ("status", "answered", "counted"),
    [("ok", False, 100), ("cancelled", False, 100), ("error", False, 0), ("error", True, 100)],
)
@on_a_loop
async def test_a_turn_that_reports_no_usage_counts_as_all_it_held(status, answered, counted, caplog):
    admission = admission_of(Policy(limits=Limits(tokens=(1000, DAY))))
    passage = await admission.enter(None, MODEL)
    passage.turn = Turn(status=status)
    passage.turn.tally.answered = answered
    await passage.leave()
    assert admission.document()["tenants"][0]["tokens"] == {str(DAY): {"used": counted, "reserved": 0}}
    assert ("ctx.used" in caplog.text) == bool(counted)


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (Usage(0, 0), 100),
        (Usage(-5, -7), 100),
        (Usage(10**15, 5), 100),
        (Usage(700, -1), 700),
        (Usage("12", None), 100),
        (Usage(math.nan, 1), 100),
    ],
)
@pytest.mark.parametrize("status", ["ok", "error"])
@on_a_loop
async def test_a_report_that_cannot_be_true_counts_as_what_was_held_at_least(usage, counted, status):
    admission = admission_of(Policy(limits=Limits(tokens=(1000, DAY), spend_usd=(100.0, DAY))))
    await run(admission, usage, status=status)
    tenant = admission.document()["tenants"][0]
    assert tenant["tokens"] == {str(DAY): {"used": counted, "reserved": 0}}
    assert tenant["spend"][str(DAY)]["used"] >= 2.0, "100 tokens of output at 20,000 USD a million"


@on_a_loop
async def test_sums_outlive_the_process(tmp_path):
    policy = Policy(limits=Limits(tokens=(100, DAY)))
    for left in (100, 0):
        store = Conversations(Sqlite(tmp_path))
        await store.open()
        admission = admission_of(policy)
        admission.keep_in(store)
        if left:
            await run(admission, Usage(60, 40), tenant="acme")
        else:
            assert (await denied(admission, "acme", None)).code == "token_budget_exhausted"
            await run(admission, Usage(1, 1), tenant="other")
        await store.close()


class Shared:
    """Budgets of a store that takes its time, and that other replicas use as well."""

    def __init__(self, tokens: int) -> None:
        self.tokens, self.asked, self.answer = tokens, 0, asyncio.Event()

    async def spent(self, tenant, windows, at):
        self.asked += 1
        await self.answer.wait()
        return {window: Spent(self.tokens) for window in windows}

    async def spend(self, tenant, windows, tokens, cost, at):
        self.tokens += tokens


@on_a_loop
async def test_nobody_slips_in_before_the_store_has_told():
    admission, store = admission_of(Policy(limits=Limits(tokens=(100, DAY)))), Shared(100)
    admission.keep_in(store)
    turns = [asyncio.create_task(denied(admission, "acme", None)) for _ in range(5)]
    await asyncio.sleep(0)
    store.answer.set()
    assert {error.code for error in await asyncio.gather(*turns)} == {"token_budget_exhausted"}
    assert store.asked == 1


@on_a_loop
async def test_what_other_replicas_use_is_heard_of(monkeypatch):
    monkeypatch.setattr(gates, "REFRESH_S", 0.0)
    admission, store = admission_of(Policy(limits=Limits(tokens=(100, DAY)))), Shared(0)
    store.answer.set()
    admission.keep_in(store)
    await run(admission, Usage(30, 10))
    assert store.tokens == 40
    store.tokens += 60
    assert (await denied(admission, None, None)).code == "token_budget_exhausted"


@on_a_loop
async def test_a_store_that_fails_leaves_each_process_to_count_by_itself(caplog):
    class Broken:
        async def spent(self, *_: object) -> None:
            raise StoreError("the database is gone")

        spend = spent

    admission = admission_of(Policy(limits=Limits(tokens=(100, DAY))))
    admission.keep_in(Broken())
    await run(admission, Usage(60, 40))
    assert (await denied(admission, None, None)).code == "token_budget_exhausted"
    assert caplog.text.count("this process counts by itself: the database is gone") == 1
