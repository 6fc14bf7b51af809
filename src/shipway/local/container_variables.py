"""The environment of a stack's containers.

In: the stack and the machine. Out: names and values; secrets are not among them, and neither is what holds on
this machine alone: its PATH, its home, its locale, the files of its certificates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.local.addresses import from_container, is_here
from shipway.local.variables import PROVIDERS, proxied, to_control
from shipway.plan.sdk_variables import BASE_URLS, base_urls, replayed
from shipway_runtime import contract
from shipway_runtime.contract import env

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipway.local.plan import Machine, Model
    from shipway.plan.stack import StackPlan

_OF_THIS_MACHINE = {
    *("PATH", "HOME", "TMPDIR", "LANG", "LANGUAGE"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO", "OTEL_EXPORTER_OTLP_CERTIFICATE"),
}


def inherited(variables: Mapping[str, str], past: tuple[str, ...] = ()) -> dict[str, str]:
    """Proxy and trace variables of this machine, as a container has to call them. Hosts of `past`, and the
    stack itself, are never behind a proxy."""
    known = contract.CHILD_VARIABLES - _OF_THIS_MACHINE
    found = {n: v for n, v in variables.items() if n in known and not n.startswith("LC_")}
    return {name: from_container(value) for name, value in proxied(found, past).items()}


def agent_variables(stack: StackPlan, machine: Machine, model: Model) -> dict[str, str]:
    """The agent's environment but for its secrets; all that the image knows is left to it."""
    shut = stack.replay is not None and model == "replayed"
    away = [f"{stack.name}-mcp-{server.name}" for server in stack.apart]
    past = (*away, *(service.name for service in stack.services), *(PROVIDERS if shut else ()))
    settings = {env.ENVIRONMENT: stack.environment, env.CHECK_INTERVAL: "1", env.DRAIN_DELAY: "0"}
    control = {name: from_container(value) for name, value in to_control(machine).items()}
    urls = _model_urls(stack, machine, model) | _servers_of_this_machine(stack)
    return inherited(machine.variables, past) | settings | control | urls


def _model_urls(stack: StackPlan, machine: Machine, model: Model) -> dict[str, str]:
    """The replay or the recorder, in the same network; without them a gateway that the environment names."""
    if stack.replay and model != "--live":
        port = stack.replay.port
        return replayed(port) if model == "replayed" else base_urls(port)
    return {name: from_container(url) for name in BASE_URLS if (url := machine.value(name))}


def _servers_of_this_machine(stack: StackPlan) -> dict[str, str]:
    """MCP servers that others run on this machine's loopback, which is not the container's."""
    ours = {server.name for server in (*stack.sidecars, *stack.apart)}
    others = {s.name: s.url for s in stack.agent.mcp if s.url and s.name not in ours}
    return {env.mcp_target(name): from_container(url) for name, url in others.items() if is_here(url)}
