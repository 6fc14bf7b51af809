"""The environment of each local process, complete: nothing else of the user's shell reaches it.

In: the stack and the machine. Out: names and values. As in the container, a process gets the proxy, CA,
locale and trace variables, its own settings, and the secrets that are declared for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.errors import StackError
from shipway.local.ports import LOOPBACK
from shipway.plan.sdk_variables import BASE_URLS, base_urls, replayed
from shipway_runtime import contract
from shipway_runtime.contract import env

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipway.local.plan import Machine, Model
    from shipway.plan.stack import StackPlan

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_HERE = ("127.0.0.1", "localhost")
PROVIDERS = tuple(host.removeprefix("*") for host in contract.PROVIDER_HOSTS if "*" not in host[1:])
"""Providers, as NO_PROXY names them. Behind a proxy their names would never be looked up here, and it is
there that a replayed agent is kept from them. What has a `*` elsewhere cannot be said in NO_PROXY."""


def inherited(variables: Mapping[str, str], past: tuple[str, ...] = ()) -> dict[str, str]:
    """What every process gets of shipway's own environment. The stack itself is never behind a proxy, and
    neither are the hosts of `past`."""
    found = {name: value for name, value in variables.items() if name in contract.CHILD_VARIABLES}
    return proxied(found, past) | {"PYTHONUNBUFFERED": "1"}


def proxied(variables: Mapping[str, str], past: tuple[str, ...] = ()) -> dict[str, str]:
    """The variables, with loopback and the hosts of `past` kept from a proxy, if there is one."""
    found = dict(variables)
    if any(found.get(name) or found.get(name.lower()) for name in _PROXIES):
        known = [part for part in (found.get("no_proxy") or found.get("NO_PROXY") or "").split(",") if part]
        found["NO_PROXY"] = found["no_proxy"] = ",".join(dict.fromkeys([*known, *_HERE, *past]))
    return found


def secret_values(
    stack: StackPlan, machine: Machine, model: Model, urls: Mapping[str, str]
) -> dict[str, str]:
    """The value of each secret that has one: given, or a service's URL. While the model is replayed its keys
    are placeholders, also where a real one is given: nobody needs it, so it stays out of the stack.

    The runtime asks brokers itself; it needs what they are shown, and nothing in the token's name.
    Raises StackError when the real model is to be asked and nobody gave its key.
    """
    keys = dict(stack.replay.placeholders) if stack.replay else {}
    placeholders = keys if model == "replayed" else {}
    values = {}
    given = [name for name, source in stack.agent.secrets.items() if source != "broker"]
    for name in dict.fromkeys([*given, *keys]):
        value = urls.get(name) or placeholders.get(name) or machine.value(name)
        if value:
            values[name] = value
    brokered = any(stack.agent.secrets.get(key) == "broker" for key in keys)
    if stack.replay and model != "replayed" and not brokered and not any(key in values for key in keys):
        key = next(iter(keys), "the key of the model")
        raise StackError(
            f"{model} needs {key}, which is not in the environment or in .env",
            f"set it, or leave out {model} and use replayed answers",
        )
    return values


def agent_variables(
    stack: StackPlan,
    machine: Machine,
    model: Model,
    values: Mapping[str, str],
    urls: Mapping[str, str],
) -> dict[str, str]:
    """The agent's environment but for its MCP servers."""
    shut = stack.replay is not None and model == "replayed"
    given = {name: value for name, value in values.items() if stack.agent.secrets.get(name) != "file"}
    shared = inherited(machine.variables, PROVIDERS if shut else ())
    shared["PATH"] = f"{machine.state}/venv/bin:{shared.get('PATH', '/usr/bin:/bin')}"
    settings = _settings(stack, machine) | to_control(machine)
    return shared | given | dict(urls) | settings | _model_urls(stack, machine, model)


def to_control(machine: Machine) -> dict[str, str]:
    """Where a control server is, if somebody wants to see this stack in one, and as which revision."""
    names = (env.CONTROL_URL, env.CONTROL_TOKEN, env.REVISION)
    return {name: value for name in names if (value := machine.value(name))}


def _settings(stack: StackPlan, machine: Machine) -> dict[str, str]:
    state = machine.state
    settings = {
        env.ENVIRONMENT: stack.environment,
        env.HOST: LOOPBACK,
        env.API_PORT: str(machine.ports.api),
        env.ADMIN_PORT: str(machine.ports.admin),
        env.RELAY_PORT: str(machine.ports.relay),
        env.MANIFEST: f"{state}/run/shipway.json",
        env.CONFIG: f"{state}/run/config.json",
        env.POLICY: f"{state}/run/policy.json",
        env.SOURCE: machine.source,
        env.SECRETS: f"{state}/secrets",
        env.CHECK_INTERVAL: "1",
        env.DRAIN_DELAY: "0",
    }
    if stack.prompts:
        settings[env.PROMPTS] = f"{machine.root}/{stack.prompts}"
    if stack.storage:
        settings[env.STORAGE] = f"{state}/data"
    return settings


def _model_urls(stack: StackPlan, machine: Machine, model: Model) -> dict[str, str]:
    """The address of the replay, or of the recorder, which keeps nobody from the real API; without them, a
    gateway that the user's environment names."""
    if stack.replay and model != "--live":
        return replayed(machine.ports.replay) if model == "replayed" else base_urls(machine.ports.replay)
    return {name: value for name in BASE_URLS if (value := machine.value(name))}
