"""Base and restriction -> what holds. Pure.

In: two policies. Out: `Effective`: kills are united, and limits of both hold side by side, so no restriction
can loosen anything. Of two limits only one is kept where it implies the other: 10/min and 60/min are 10/min,
but 10/min and 1000/day are both, since neither is the smaller one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from ..contract import Kill, Limits, Policy

if TYPE_CHECKING:
    from typing import Any

Rate = tuple[float, int]
"""An amount in so many seconds."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one tenant may do: every rate of a kind holds. Without any it is unlimited."""

    requests: tuple[Rate, ...] = ()
    concurrency: int | None = None
    tokens: tuple[Rate, ...] = ()
    spend: tuple[Rate, ...] = ()


@dataclass(frozen=True, slots=True)
class Effective:
    """The policy that holds. `bounds` are those of every tenant that is not named in `tenants`."""

    kill: Kill = field(default_factory=Kill)
    bounds: Bounds = field(default_factory=Bounds)
    tenants: Mapping[str, Bounds] = field(default_factory=dict)
    model: str | None = None

    def of(self, tenant: str | None) -> Bounds:
        """The bounds of one tenant."""
        return self.bounds if tenant is None else self.tenants.get(tenant, self.bounds)


def meet(base: Policy, restriction: Policy | None = None) -> Effective:
    """What holds under both. A restriction's model comes before the base's."""
    both = (base, restriction or Policy())
    named = sorted({name for policy in both for name in policy.tenants})
    return Effective(
        kill=_unite([policy.kill for policy in both]),
        bounds=_bounds([policy.limits for policy in both]),
        tenants={name: _bounds([limits_of(policy, name) for policy in both]) for name in named},
        model=both[1].model or base.model,
    )


def limits_of(policy: Policy, tenant: str) -> Limits:
    """A tenant's limits in one policy: what it does not say of its own is as for everybody."""
    own, shared = policy.tenants.get(tenant, Limits()), policy.limits
    return Limits(
        requests=_first(own.requests, shared.requests),
        concurrency=_first(own.concurrency, shared.concurrency),
        tokens=_first(own.tokens, shared.tokens),
        spend_usd=_first(own.spend_usd, shared.spend_usd),
    )


def _first(own: T | None, shared: T | None) -> T | None:
    return shared if own is None else own


def _unite(kills: list[Kill]) -> Kill:
    return Kill(
        all=any(kill.all for kill in kills),
        tenants=_union(kill.tenants for kill in kills),
        tools=_union(kill.tools for kill in kills),
        servers=_union(kill.servers for kill in kills),
        models=_union(kill.models for kill in kills),
    )


def _union(names: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted({name for some in names for name in some}))


def _bounds(limits: list[Limits]) -> Bounds:
    concurrency = [limit.concurrency for limit in limits if limit.concurrency is not None]
    return Bounds(
        requests=_least(limit.requests for limit in limits),
        concurrency=min(concurrency, default=None),
        tokens=_least(limit.tokens for limit in limits),
        spend=_least(limit.spend_usd for limit in limits),
    )


def _least(rates: Iterable[Rate | None]) -> tuple[Rate, ...]:
    """The rates that no other one implies."""
    given = {rate for rate in rates if rate is not None}
    return tuple(sorted(r for r in given if not any(implies(o, r) for o in given if o != r)))


def implies(one: Rate, other: Rate) -> bool:
    """Whether who keeps to the first keeps to the second: no more at once, and no more in the long run.

    Where neither period divides the other, windows overlap, and nothing is implied.
    """
    no_more = one[0] <= other[0] and one[0] * other[1] <= other[0] * one[1]
    return no_more and (one[1] % other[1] == 0 or other[1] % one[1] == 0)


def public(effective: Effective) -> dict[str, Any]:
    """As a document, for GET /policy."""
    return {
        "kill": {name: getattr(effective.kill, name) for name in Kill.__slots__},
        "limits": _document(effective.bounds),
        "tenants": {name: _document(bounds) for name, bounds in effective.tenants.items()},
        "model": effective.model,
    }


def _document(bounds: Bounds) -> dict[str, Any]:
    return {name: getattr(bounds, name) for name in Bounds.__slots__}
