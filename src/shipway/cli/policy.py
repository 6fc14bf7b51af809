"""`shipway policy show|set|clear`: what running agents may do, changed at once, on every replica.

Single replicas are restricted through their admin ports; with --env it is control's policy: policy_fleet.py.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shipway.cli import policy_fleet, tables
from shipway.cli import policy_words as words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from shipway.local.replicas import Answer, Replica


@click.group("policy")
def command() -> None:
    """See and restrict what running agents may do: kill switches, limits, and which fallback is used."""


def _where(function: Callable[..., None]) -> Callable[..., None]:
    """The options that say which replicas are meant."""
    for option in (
        click.option("-C", "--directory", type=click.Path(path_type=Path), default=".", help="The project."),
        click.option("--json", "as_json", is_flag=True, help="What each replica said, as a JSON list."),
        click.option(
            "--control",
            metavar="URL",
            help="With --env; default: SHIPWAY_CONTROL_URL, else the deployment in Docker.",
        ),
        click.option(
            "--env",
            metavar="E",
            help="All of an environment, through its control, with the token in SHIPWAY_CONTROL_TOKEN. What "
            "is set so is the policy itself: it has no end, and may also loosen.",
        ),
        click.option(
            "--url",
            "urls",
            multiple=True,
            metavar="URL",
            help="An admin port; can be given again. A host name with several addresses means each of them. "
            "Default: the stack that runs in this directory.",
        ),
    ):
        function = option(function)
    return function


def _why(function: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        "--reason",
        default="",
        metavar="TEXT",
        help="Why; default: what is changed. Goes to the log of each replica, and to control's audit trail.",
    )(function)


@command.command("show")
@_where
def show(urls: tuple[str, ...], env: str | None, control: str | None, as_json: bool, directory: Path) -> None:
    """Show what holds on each replica, where it comes from, and what tenants have in use."""
    from shipway.local import replicas

    if fleet := _fleet(env, control, urls, directory, as_json):
        policy_fleet.show(fleet)
    found, token = _find(urls, directory)
    _finish(replicas.show(found, token), as_json, _describe)


@command.command("set")
@click.option(
    "--kill",
    "kills",
    multiple=True,
    metavar="WHAT",
    help="all, tool:NAME, tool:SERVER/NAME, server:NAME, model:NAME or tenant:NAME.",
)
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="NAME=AMOUNT",
    help="requests=10/min, concurrency=5, tokens=100k/day or spend=5USD/day, for each tenant.",
)
@click.option("--tenant", metavar="NAME", help="The limits are for this tenant alone.")
@click.option("--model", metavar="NAME", help="Use this one of the declared fallbacks.")
@click.option("--for", "duration", metavar="TIME", help="At most 7d; default: 1h. Not with --env.")
@_why
@_where
def set_(
    kills: tuple[str, ...],
    limits: tuple[str, ...],
    tenant: str | None,
    model: str | None,
    duration: str | None,
    reason: str,
    urls: tuple[str, ...],
    env: str | None,
    control: str | None,
    as_json: bool,
    directory: Path,
) -> None:
    """Restrict what running agents may do; what is restricted already stays so.

    It can only restrict, it ends by itself, and it outlives a restart. New turns are refused at once; what
    runs finishes.
    """
    from shipway.local import replicas
    from shipway_runtime.contract import Restriction

    policy = words.policy(kills, limits, tenant, model)
    if fleet := _fleet(env, control, urls, directory, as_json):
        if duration:
            raise click.UsageError("--for: what --env sets has no end; `shipway policy clear` ends it")
        policy_fleet.join(fleet, policy, reason)
    restriction = Restriction(policy, words.seconds(duration or "1h"), _caller(), reason)
    found, token = _find(urls, directory)
    _finish(replicas.restrict(found, token, restriction), as_json, _summarise)


@command.command("clear")
@click.option(
    "--kill",
    "kills",
    multiple=True,
    metavar="WHAT",
    help="Switch this on again, and leave the rest of the restriction.",
)
@_why
@_where
def clear(
    kills: tuple[str, ...],
    reason: str,
    urls: tuple[str, ...],
    env: str | None,
    control: str | None,
    as_json: bool,
    directory: Path,
) -> None:
    """Take away what was restricted here, all of it or single kills; the policy itself stays.

    With --env: go back to what agent.toml says, or take single kills away.
    """
    from shipway.local import replicas
    from shipway_runtime.contract import Policy, Restriction

    killed = words.parse_kills(kills)
    if fleet := _fleet(env, control, urls, directory, as_json):
        policy_fleet.clear(fleet, killed, reason)
    why = Restriction(Policy(killed), by=_caller(), reason=reason)
    found, token = _find(urls, directory)
    _finish(replicas.clear(found, token, why), as_json, _summarise)


# -- What is meant -------------------------------------------------------------------------------------------


def _fleet(
    env: str | None, control: str | None, urls: Sequence[str], directory: Path, as_json: bool
) -> policy_fleet.Asked | None:
    """The environment that is meant, or None where it is single replicas. Raises UsageError."""
    if control and not env:
        raise click.UsageError("--control says which control --env is asked of; name the environment")
    if env and urls:
        raise click.UsageError("--env means every replica, and --url single ones; give one of them")
    return policy_fleet.Asked(env, directory, control, as_json) if env else None


def _find(urls: Sequence[str], directory: Path) -> tuple[list[Replica], str | None]:
    """The replicas, and the token for them. That of a process here is where the process has left it."""
    from urllib.parse import urlsplit

    from shipway.local import replicas, state
    from shipway.local.plan import ADMIN_TOKEN, STATE
    from shipway_runtime import contract

    found = replicas.find(urls or [state.require(directory).admin])
    token = os.environ.get(contract.env.ADMIN_TOKEN)
    if not token and not urls:
        port = urlsplit(found[0].url).port or 0
        places = (directory / STATE / ADMIN_TOKEN, Path(contract.admin_token_file(port)))
        token = next((place.read_text().strip() for place in places if place.exists()), None)
    return found, token


def _caller() -> str:
    """Who asks, for the log."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, in a container
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


# -- What came of it -----------------------------------------------------------------------------------------


def _finish(answers: Sequence[Answer], as_json: bool, say: Callable[[Sequence[Answer]], None]) -> None:
    """Print what each replica said; exits with 1 when one did not do it."""
    if as_json:
        click.echo(json.dumps([asdict(answer) for answer in answers], indent=2))
    else:
        say(answers)
    missed = sum(answer.error is not None for answer in answers)
    if missed:
        click.echo(f"{missed} of {len(answers)} replicas failed", err=True)
    sys.exit(1 if missed else 0)


def _summarise(answers: Sequence[Answer]) -> None:
    tables.show([("REPLICA", "RESULT"), *((answer.replica, _result(answer)) for answer in answers)])


def _result(answer: Answer) -> str:
    if answer.policy is None:
        return answer.error or ""
    restriction = answer.policy["restriction"]
    if restriction is None:
        return "no restriction"
    kept = "" if answer.policy.get("kept", True) else ", or until it restarts: it has no place to keep it"
    return f"{words.say(restriction['policy'])}; until {words.clock(restriction['until'])}{kept}"


def _describe(answers: Sequence[Answer]) -> None:
    for answer in answers:
        click.echo(answer.replica if answer.policy else f"{answer.replica}: {answer.error}")
        if answer.policy:
            _describe_one(answer.policy)


def _describe_one(policy: dict[str, Any]) -> None:
    tables.show([("POLICY", "SAYS", ""), *_policies(policy)])
    if used := policy["usage"]["tenants"]:
        click.echo()
        tables.show([("TENANT", "RUNNING", "REQUESTS", "TOKENS", "SPEND"), *map(_used, used)])


def _policies(policy: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    base, restriction, effective = policy["base"], policy["restriction"], policy["effective"]
    if base:
        yield "base", words.say(base["policy"]), f"from {base['where']}"
    if restriction:
        by = ": ".join(filter(None, (restriction["by"], restriction["reason"])))
        until = f"until {words.clock(restriction['until'])}"
        yield "restriction", words.say(restriction["policy"]), f"{until}, {by}"
    yield "in force", words.say(effective) if effective else "no turn is let in", policy["problem"] or ""


def _used(tenant: dict[str, Any]) -> tuple[str, ...]:
    requests = {length: round(used) for length, used in tenant["requests"].items()}
    budgets = [{s: window["used"] for s, window in tenant[name].items()} for name in ("tokens", "spend")]
    columns = (_windows(used) for used in (requests, *budgets))
    return tenant["tenant"] or "(everybody)", str(tenant["running"]), *columns


def _windows(used: dict[str, float]) -> str:
    """What was used in each window: `12/min, 3400/day`."""
    spans = {length: words.PERIODS.get(int(length), f"{length} s") for length in used}
    return ", ".join(f"{amount:g}/{spans[length]}" for length, amount in used.items()) or "-"
