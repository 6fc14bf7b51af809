"""Policies as people type and read them: `--kill tool:git_reset --limit requests=10/min --for 1h`.

In: words of the command line. Out: values of the contract, and lines that say in the same words what a
replica's document holds. Errors: UsageError with the forms there are.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from shipway.spec import values
from shipway_runtime.contract import RESTRICTION_LIMIT_S, Kill, Limits, Policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

KINDS = {"tool": "tools", "server": "servers", "model": "models", "tenant": "tenants"}
PERIODS = {1: "s", 60: "min", 3600: "h", 86_400: "day"}

_LIMITS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "requests": ("requests", values.parse_rate),
    "concurrency": ("concurrency", int),
    "tokens": ("tokens", values.parse_rate),
    "spend": ("spend_usd", values.parse_spend),
}


def policy(kills: Sequence[str], limits: Sequence[str], tenant: str | None, model: str | None) -> Policy:
    """What `shipway policy set` asks for. With `tenant` the limits are its own."""
    if not (kills or limits or model):
        raise click.UsageError("nothing to set: give --kill, --limit or --model")
    if tenant and not limits:
        raise click.UsageError("--tenant says whose the --limit is; to switch one off: --kill tenant:NAME")
    given = parse_limits(limits)
    if tenant:
        return Policy(parse_kills(kills), tenants={tenant: given}, model=model)
    return Policy(parse_kills(kills), given, model=model)


def parse_kills(words: Sequence[str]) -> Kill:
    named: dict[str, tuple[str, ...]] = {}
    for word in words:
        kind, _, name = word.partition(":")
        if word == "all":
            continue
        if kind not in KINDS or not name:
            raise click.UsageError(
                f"--kill {word}: expected all, tool:NAME, tool:SERVER/NAME, server:NAME, model:NAME "
                "or tenant:NAME"
            )
        named[KINDS[kind]] = (*named.get(KINDS[kind], ()), name)
    return Kill(all="all" in words, **named)


def parse_limits(words: Sequence[str]) -> Limits:
    limits: dict[str, Any] = {}
    for word in words:
        name, _, amount = word.partition("=")
        try:
            key, parse = _LIMITS[name]
            limits[key] = parse(amount)
        except (KeyError, ValueError):
            raise click.UsageError(
                f"--limit {word}: expected requests=10/min, concurrency=5, tokens=100k/day or spend=5USD/day"
            ) from None
    return Limits(**limits)


def seconds(duration: str) -> float:
    """How long a restriction is to hold."""
    try:
        for_s = values.parse_duration(duration)
    except ValueError:
        for_s = 0.0
    if not 0 < for_s <= RESTRICTION_LIMIT_S:
        raise click.UsageError(f"--for {duration}: expected a time such as 30m, 4h or 2d, and at most 7d")
    return for_s


def say(policy: dict[str, Any]) -> str:
    """A policy in one line, in the words of `shipway policy set`."""
    return ", ".join(_parts(policy)) or "no limits"


def _parts(policy: dict[str, Any]) -> Iterator[str]:
    if policy["kill"]["all"]:
        yield "kill all"
    for kind, key in KINDS.items():
        yield from (f"kill {kind}:{name}" for name in policy["kill"][key])
    yield from _amounts(policy["limits"], "")
    for tenant, limits in policy["tenants"].items():
        yield from _amounts(limits, f"{tenant} ")
    if policy["model"]:
        yield f"model {policy['model']}"


def _amounts(limits: dict[str, Any], whose: str) -> Iterator[str]:
    for name, value in limits.items():
        kind = name.removesuffix("_usd")
        rates = value if isinstance(value, list) and value and isinstance(value[0], list) else [value]
        for rate in rates if value else ():
            yield f"{whose}{kind}={_amount(rate, 'USD' if kind == 'spend' else '')}"


def _amount(rate: Any, unit: str) -> str:
    if not isinstance(rate, list):
        return str(rate)
    amount, seconds = rate
    return f"{amount:g}{unit}/{PERIODS.get(seconds, f'{seconds} s')}"


def clock(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
