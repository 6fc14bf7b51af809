"""The readiness checks of one deployment.

In: the deployment, its secrets, its relay if it has MCP servers, what turns tell. Out: a list of `Check`. The
model is asked for a TCP connection and nothing more: paid calls are no health check, traffic tells the rest.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from .. import config
from .reach import Reach
from .readiness import Check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .. import contract
    from ..config import Deployment
    from ..policy.standing import Standing
    from ..relay import Relay
    from ..secrets.declared import Secrets
    from .traffic import Traffic

SEEN = ("state", "since", "last_error", "last_error_at")
"""What the relay saw of a server by itself, beside the check, which waits for a third failure."""


def list_checks(
    deployment: Deployment,
    secrets: Secrets,
    relay: Relay | None,
    environ: Mapping[str, str],
    traffic: Traffic,
    policy: Standing | None = None,
) -> list[Check]:
    """Every check this deployment needs, in the order they are shown."""
    checks = []
    if model := deployment.settings.model:
        required = deployment.settings.health.when_model_down == "unready"
        checks.append(_model_check(model, required, environ, traffic))
    if policy and policy.remote:
        checks.append(Check("policy", policy.probe))
    if secrets:
        checks.append(Check("secrets", functools.partial(_secrets_present, secrets)))
    if relay:
        checks += [_server_check(relay, server) for server in deployment.manifest.mcp]
    return [redacted(check, secrets) for check in checks]


def _model_check(
    model: contract.Model, required: bool, environ: Mapping[str, str], traffic: Traffic
) -> Check:
    reach = Reach(config.model_url(model, environ), environ)

    async def probe() -> str | None:
        return await reach.probe() or traffic.problem()

    return Check("model", probe, required)


def redacted(check: Check, secrets: Secrets) -> Check:
    """The check; its reasons are shown on the admin port, and servers may repeat what they got."""

    async def probe() -> str | None:
        reason = await check.probe()
        return reason and secrets.redact(reason)

    def detail() -> dict[str, Any]:
        return {name: _clean(value, secrets) for name, value in check.detail().items()}

    return dataclasses.replace(check, probe=probe, detail=detail)


def _clean(value: Any, secrets: Secrets) -> Any:
    if isinstance(value, dict):
        return {name: _clean(part, secrets) for name, part in value.items()}
    return secrets.redact(value) if isinstance(value, str) else value


async def _secrets_present(secrets: Secrets) -> str | None:
    return "; ".join(secrets.problems()) or None


def _server_check(relay: Relay, server: contract.McpServer) -> Check:
    def detail() -> dict[str, Any]:
        state = dataclasses.asdict(relay.states()[server.name])
        shown = {key: state[key] for key in ("shape", "protocol", "restarts", "pid")}
        return shown | {"server": {key: state[key] for key in SEEN}}

    probe = functools.partial(relay.probe, server.name)
    return Check(f"mcp:{server.name}", probe, not server.optional, detail)
