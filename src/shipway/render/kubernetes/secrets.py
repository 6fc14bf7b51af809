"""How secrets get in: by reference, never by value.

In: a stack. Out: variables and volumes.

    "env"       a variable, from a key of a Secret                 a new value needs a restart
    "file"      /run/secrets/NAME, from a key of a Secret          rotates
    identity    a token of the pod's service account, in a file    rotates; variable or broker names the file

All files of /run/secrets are one projected volume: nothing can be mounted below a volume that is read-only.
What is missing keeps a pod from starting, and its events say which key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from shipway.errors import Finding, SpecError
from shipway.render.identities import GOOGLE, IDENTITIES, Token
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipway.plan.control import Control
    from shipway.plan.stack import StackPlan
    from shipway.render.kubernetes.pod import Part

_READABLE = 0o440
_RUN = (PurePosixPath(contract.SECRETS), PurePosixPath("/var/run/secrets"))
"""Both are one place: /var/run is /run."""
_TAKEN = {"/", "/app", "/data", "/etc", "/etc/shipway", "/run", "/tmp", "/usr", "/var", "/var/run"}  # noqa: S108
"""Directories that nothing can be mounted over."""


# -- Variables -----------------------------------------------------------------------------------------------


def variables(plan: StackPlan) -> list[Part]:
    """Of the agent: secrets, and the URLs of databases."""
    names = [name for name, source in plan.agent.secrets.items() if source == "env"]
    urls = [service.env_url for service in plan.services if service.env_url not in plan.agent.secrets]
    paths = {name: _identity_file(name) for name in names if name in IDENTITIES or name == GOOGLE}
    return [
        *({"name": name, "value": str(path)} for name, path in paths.items()),
        *(_variable(plan, name) for name in (*names, *urls) if name not in paths),
    ]


def server_variables(plan: StackPlan, names: Mapping[str, str]) -> list[Part]:
    """Of an MCP server: it finds its secrets in its environment, wherever the agent finds them."""
    return [_variable(plan, name) for name in names]


def _variable(plan: StackPlan, name: str) -> Part:
    secret, key = kept(plan, name)
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def kept(plan: StackPlan, name: str) -> tuple[str, str]:
    """The Secret and the key that hold it. Raises SpecError where agent.toml names none that can be."""
    stored = plan.stores.get(name)
    said = stored.kubernetes if stored else None
    if said is None:
        return f"{plan.name}-secrets", name
    match = re.fullmatch(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?)(?:/([-._A-Za-z0-9]+))?", said)
    if not match:
        message = f"the secret `{name}` is kept in {said!r}, and that is no Secret and key of Kubernetes"
        raise SpecError([Finding("target", message, 'write kubernetes = "SECRET/KEY"', "agent.toml")])
    return match[1], match[3] or name


# -- Files ---------------------------------------------------------------------------------------------------


def volumes(plan: StackPlan) -> tuple[list[Part], list[Part]]:
    """Projected volumes, one for each directory, and their mounts."""
    found: dict[PurePosixPath, list[Part]] = {}
    for path, source in _files(plan):
        directory, inside = _placed(path)
        found.setdefault(directory, []).append(source(inside))
    names = {place: "secrets" if place == _RUN[0] else f"tokens-{n}" for n, place in enumerate(found)}
    own = [
        {"name": names[place], "projected": {"defaultMode": _READABLE, "sources": sources}}
        for place, sources in found.items()
    ]
    mounts = [{"name": name, "mountPath": str(place), "readOnly": True} for place, name in names.items()]
    return own, mounts


def control_volume(plan: StackPlan, control: Control) -> Part:
    """What control reads: who may do what, and the URL of its database."""
    files = [(contract.env.CONTROL_TOKENS, _Key(control.host, contract.env.CONTROL_TOKENS))]
    if control.database:
        files.append((contract.env.CONTROL_DATABASE, _Key(*kept(plan, control.database))))
    sources = [source(name) for name, source in files]
    return {"name": "secrets", "projected": {"defaultMode": _READABLE, "sources": sources}}


def _files(plan: StackPlan) -> list[tuple[PurePosixPath, _Source]]:
    """Every file that a secret of the agent is in, and what puts it there. Without an admin token the runtime
    makes one."""
    admin, shown = contract.env.ADMIN_TOKEN, contract.env.CONTROL_TOKEN
    found: list[tuple[PurePosixPath, _Source]] = [(_RUN[0] / admin, _Key(*kept(plan, admin), optional=True))]
    found += [(_RUN[0] / shown, _Key(plan.control.host, shown))] if plan.control else []
    for name, arrives in plan.agent.secrets.items():
        if arrives == "file" or name == GOOGLE:
            place = _RUN[0] / name if arrives == "file" else _identity_file(name)
            found.append((place, _Key(*kept(plan, name))))
        elif arrives == "env" and name in IDENTITIES:
            found.append((_identity_file(name), _Projected(IDENTITIES[name])))
    brokers = (secret.broker for secret in plan.config.settings.secrets.values() if secret.broker)
    found += [
        (PurePosixPath(broker.identity_token), _Projected(Token(broker.token_url)))
        for broker in brokers
        if broker.identity_token
    ]
    return list(dict(found).items())


def _identity_file(name: str) -> PurePosixPath:
    return _RUN[0] / "identity" / name


def _placed(path: PurePosixPath) -> tuple[PurePosixPath, str]:
    """The directory to mount, and the path below it."""
    for root in _RUN:
        if path.is_relative_to(root) and path != root:
            return _RUN[0], str(path.relative_to(root))
    if str(path.parent) in _TAKEN:
        message = (
            f"identity_token is {str(path)!r}: a token is mounted with its directory, and others need that"
        )
        raise SpecError([Finding("target", message, f"write {contract.SECRETS}/tokens/NAME", "agent.toml")])
    return path.parent, path.name


@dataclass(frozen=True, slots=True)
class _Key:
    """A file out of a key of a Secret."""

    secret: str
    key: str
    optional: bool = False

    def __call__(self, path: str) -> Part:
        source: Part = {"name": self.secret, "items": [{"key": self.key, "path": path}]}
        return {"secret": source | ({"optional": True} if self.optional else {})}


@dataclass(frozen=True, slots=True)
class _Projected:
    """A file with a token of the service account."""

    token: Token

    def __call__(self, path: str) -> Part:
        said = {"audience": self.token.audience, "expirationSeconds": self.token.life, "path": path}
        return {"serviceAccountToken": said}


_Source = _Key | _Projected
