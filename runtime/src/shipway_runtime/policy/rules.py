"""What a policy may say in this deployment. Pure.

In: a policy, the deployment. Out: nothing, or PolicyError with everything that is wrong: a policy that cannot
be enforced as it stands is refused as a whole, so nobody relies on the rest of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..config import Deployment
    from ..contract import Limits, Model, Policy


SMALLEST_USD, LARGEST, LONGEST_S = 1e-6, 1e15, 366 * 86400


class PolicyError(Exception):
    """A policy that is not taken; the message is for whoever wrote it."""


def check(policy: Policy, deployment: Deployment, where: str) -> None:
    """Raises PolicyError for a policy that cannot be enforced here. `where` names it in the message."""
    problems = [*_limits(policy), *_prices(policy, deployment), *_model(policy, deployment)]
    if problems:
        raise PolicyError(f"{where}: {'; '.join(problems)}")


def check_names(policy: Policy, deployment: Deployment, where: str) -> None:
    """Raises PolicyError for an MCP server that is not here. For restrictions, which are meant for this very
    agent: the base may be one for a whole fleet."""
    known = [server.name for server in deployment.manifest.mcp]
    there = f"there is {', '.join(known)}" if known else "there is none"
    for name in policy.kill.servers:
        if name not in known:
            raise PolicyError(f"{where}: kill.servers: no MCP server {name!r} here; {there}")
    for tool in policy.kill.tools:
        server = tool.partition("/")[0]
        if "/" in tool and server not in known:
            raise PolicyError(f"{where}: kill.tools: {tool!r} names no MCP server of this agent; {there}")


def check_unmetered(policy: Policy, where: str, why: str) -> None:
    """Raises PolicyError for a budget, in an agent that does not say what it uses. `why` says why that is."""
    for limits in (policy.limits, *policy.tenants.values()):
        if limits.tokens or limits.spend_usd:
            raise PolicyError(f"{where}: no budget of tokens or spend can hold: {why}; limit requests")


def models(deployment: Deployment) -> list[Model]:
    """Every model that some tenant may get."""
    declared = [deployment.settings.model, *(tenant.model for tenant in deployment.tenants.values())]
    return [model for model in declared if model is not None]


def _limits(policy: Policy) -> Iterator[str]:
    named = {"limits": policy.limits} | {f"tenants.{name}": limits for name, limits in policy.tenants.items()}
    for place, limits in named.items():
        for name in ("requests", "tokens", "spend_usd"):
            rate = getattr(limits, name)
            if rate is None:
                continue
            amount, seconds = rate
            least = SMALLEST_USD if name == "spend_usd" else 1
            if not least <= amount <= LARGEST:
                yield (
                    f"{place}.{name}: expected an amount that lets something through, saw {_short(amount)}; "
                    "kill.all or kill.tenants refuse everybody"
                )
            if not 1 <= seconds <= LONGEST_S:
                yield f"{place}.{name}: expected a period of 1 s to 366 days, saw {_short(seconds)} s"
        if limits.concurrency is not None and limits.concurrency < 1:
            yield f"{place}.concurrency: expected at least 1, saw {_short(limits.concurrency)}"


def _short(number: float) -> str:
    """A number as it was written, whatever its length."""
    try:
        text = str(number)
    except ValueError:  # more digits than Python converts
        return "a number of thousands of digits"
    return text if len(text) <= 20 else f"{text[:17]}…"


def _prices(policy: Policy, deployment: Deployment) -> Iterator[str]:
    if not any(_spends(limits) for limits in (policy.limits, *policy.tenants.values())):
        return
    priced = models(deployment)
    if not priced:
        yield "spend_usd: agent.toml declares no [model], so nothing says what a turn costs"
    names = {name: model for model in priced for name in (model.name, *model.fallbacks)}
    if missing := sorted(name for name, model in names.items() if name not in model.prices):
        yield (
            f"spend_usd: {', '.join(missing)} has no price, so nobody could count it; "
            f"add [model.prices.{missing[0]}] to agent.toml"
        )


def _spends(limits: Limits) -> bool:
    return limits.spend_usd is not None


def _model(policy: Policy, deployment: Deployment) -> Iterator[str]:
    if policy.model is None:
        return
    allowed = sorted({name for model in models(deployment) for name in model.fallbacks})
    if policy.model not in allowed:
        there = ", ".join(allowed) or "none"
        yield f"model: {policy.model!r} is not among the declared fallbacks (model.fallbacks): {there}"
