"""What `shipway up --record` tells the recorder: where the real APIs are, and what it may never store.

In: the stack, the machine, the values of secrets. Out: arguments of the replay's process, and the secrets for
its environment: they are in no argument, where every process of the machine could read them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shipway.local.ports import LOOPBACK
from shipway.plan.sdk_variables import BASE_URLS, PLACEHOLDER
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shipway.local.plan import Machine, Model
    from shipway.plan.stack import StackPlan


def arguments(
    stack: StackPlan, machine: Machine, model: Model, seen: Callable[[str], str] = str
) -> tuple[str, ...]:
    """The option that records, and the APIs that are not where their providers have them.

    `seen` says what a URL of this machine is called where the recorder runs.
    """
    if not model.startswith("--record"):
        return ()
    found = _upstreams(stack, machine)
    return (model, *(word for name, url in found.items() for word in ("--upstream", f"{name}={seen(url)}")))


def kept_out(values: Mapping[str, str]) -> dict[str, str]:
    """The secrets that have a value of their own, by name; also while replaying, so that requests match."""
    return {name: value for name, value in values.items() if value != PLACEHOLDER}


def _upstreams(stack: StackPlan, machine: Machine) -> dict[str, str]:
    """A gateway that the environment or .env names, as SDKs would look for it; or the URL in agent.toml."""
    settings = stack.config.settings.model
    given = settings.provider if settings and "://" in settings.provider else ""
    found = dict.fromkeys(contract.PROVIDER_URLS, given) if given else {}
    for variable, (provider, path) in reversed(list(BASE_URLS.items())):
        url = machine.value(variable)
        if url and path == urlsplit(contract.PROVIDER_URLS[provider]).path and not _is_replay(url, machine):
            found[provider] = url
    return found


def _is_replay(url: str, machine: Machine) -> bool:
    """Whether it is where this stack's own replay is: somebody pointed their shell at it."""
    parts = urlsplit(url)
    return parts.hostname in (LOOPBACK, "localhost") and parts.port == machine.ports.replay
