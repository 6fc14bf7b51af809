"""What differs between two policies, in words, for the log. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..contract import Kill, Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..contract import Policy

PERIODS = {1: "s", 60: "min", 3600: "h", 86400: "day"}


def describe(before: Policy, after: Policy) -> str:
    """`kill.tools +git_reset; limits.requests 60/min -> 10/min`; "nothing" where they are the same."""
    return "; ".join(_changes(before, after)) or "nothing"


def _changes(before: Policy, after: Policy) -> Iterator[str]:
    if before.kill.all != after.kill.all:
        yield f"kill.all {_word(before.kill.all)} -> {_word(after.kill.all)}"
    for name in Kill.__slots__[1:]:
        old, new = set(getattr(before.kill, name)), set(getattr(after.kill, name))
        moves = [f"+{item}" for item in sorted(new - old)] + [f"-{item}" for item in sorted(old - new)]
        if moves:
            yield f"kill.{name} {' '.join(moves)}"
    yield from _limits("limits", before.limits, after.limits)
    for tenant in sorted(before.tenants.keys() | after.tenants.keys()):
        old_limits, new_limits = (p.tenants.get(tenant, Limits()) for p in (before, after))
        yield from _limits(f"tenants.{tenant}", old_limits, new_limits)
    if before.model != after.model:
        yield f"model {before.model or 'as configured'} -> {after.model or 'as configured'}"


def _limits(place: str, before: Limits, after: Limits) -> Iterator[str]:
    for name in Limits.__slots__:
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            yield f"{place}.{name} {_amount(old)} -> {_amount(new)}"


def _amount(limit: object) -> str:
    if isinstance(limit, tuple):
        return f"{limit[0]:g}/{PERIODS.get(limit[1], f'{limit[1]} s')}"
    return "none" if limit is None else str(limit)


def _word(value: bool) -> str:
    return str(value).lower()
