"""agent.toml -> Loaded: the Spec of one environment, and where each of its values was written.

In: a path, the environment's name, values from the command line. Out: a Loaded, or SpecError with every
finding at once: of the file, of every environment and every tenant, asked for or not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from shipway.errors import Finding, SpecError
from shipway.spec import merge
from shipway.spec.checks import check
from shipway.spec.diagnose import diagnose
from shipway.spec.document import read
from shipway.spec.keys import OVERLAY
from shipway.spec.merge import Merged
from shipway.spec.model import Section, Spec
from shipway.spec.sound import sound
from shipway.spec.words import listed, nearest

DEVELOPMENT = "development"
"""The name of the environment that is the file alone."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """One environment's spec."""

    spec: Spec
    path: Path
    env: str | None
    """None is development: the file alone."""
    merged: Merged
    """What `spec` was made from; knows the line of each key, and makes findings for them."""
    provenance: Mapping[str, str]
    """`model.max_tokens` -> "default", "agent.toml:12", "env.prod, agent.toml:41" or "command line"; likewise
    `tenants.acme.model.name` for what differs for a tenant."""
    tenants: Mapping[str, Spec]
    """Each tenant's spec: the same but for its model and config."""


def load(
    path: Path,
    env: str | None = None,
    overrides: Mapping[str, str] | None = None,
    *,
    entrypoint: str | None = None,
) -> Loaded:
    """Read agent.toml, or the one in the directory `path`, for one environment.

    `overrides` are values from the command line: dotted key -> text; `entrypoint` stands in where the file
    has none and none is needed. Raises SpecError with every finding.
    """
    env = None if env == DEVELOPMENT else env
    document = read(path)
    if entrypoint:
        document = dataclasses.replace(document, data={"entrypoint": entrypoint, **document.data})
    base = merge.whole(document)
    environments = [name for name, table in _tables(base, "env")]
    merged = merge.overlay(base, "env", env) if env in environments else base
    chosen, findings = merge.command_line(merged, overrides or {})
    if env is not None and env not in environments:
        findings.append(_unknown_environment(env, environments, base))
    others = [merge.overlay(base, "env", name) for name in environments if name != env]
    alone = env is None and not overrides  # then the chosen one is the file itself
    seen = (base, *others) if alone else (base, chosen, *others)
    findings += [finding for one in seen for finding in _examine(one)]
    if findings:
        raise SpecError(sorted(dict.fromkeys(findings), key=lambda finding: finding.line))
    spec = Spec.model_validate(chosen.data)
    origins = provenance(spec, chosen) | tenant_provenance(spec, chosen)
    return Loaded(spec, document.path, env, chosen, origins, tenants(chosen))


def tenants(merged: Merged) -> dict[str, Spec]:
    """Each tenant's spec: the environment's, with the tenant's model and config laid over it."""
    return {name: Spec.model_validate(tenant.data) for name, tenant in _tenants(merged)}


def provenance(spec: Spec, merged: Merged) -> dict[str, str]:
    """Where each value comes from that an environment may change; a secret's source is one value."""
    paths = [path for section in OVERLAY for path in _leaves(getattr(spec, section), (section,))]
    return {".".join(path): merged.source(path) for path in paths}


def tenant_provenance(spec: Spec, merged: Merged) -> dict[str, str]:
    """The same of what differs for a tenant: `tenants.acme.model.name`; a model that differs is whole."""
    found: dict[str, str] = {}
    for name, tenant in _tenants(merged):
        own = Spec.model_validate(tenant.data)
        paths = list(_leaves(own.model, ("model",))) if own.model != spec.model else []
        paths += [("config", key) for key, value in own.config.items() if value != spec.config.get(key)]
        found |= {".".join(("tenants", name, *path)): tenant.source(path) for path in paths}
    return found


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(value, Section) and path[0] != "secrets":
        for name in type(value).model_fields:
            yield from _leaves(getattr(value, name), (*path, name))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, (*path, name))
    elif len(path) > 1:
        yield path


def _tables(merged: Merged, section: str) -> list[tuple[str, Any]]:
    tables = merged.data.get(section)
    return list(tables.items()) if isinstance(tables, dict) else []


def _tenants(merged: Merged) -> Iterator[tuple[str, Merged]]:
    for name, _ in _tables(merged, "tenants"):
        tenant = merge.overlay(merged, "tenants", name)
        data = {key: value for key, value in tenant.data.items() if key not in ("env", "tenants")}
        yield name, Merged(tenant.document, data, tenant.origins)


def _unknown_environment(env: str, environments: list[str], base: Merged) -> Finding:
    known = ", ".join([*environments, DEVELOPMENT])
    close = nearest(env, [*environments, DEVELOPMENT])
    fix = (
        f"use `{close}`" if close else f"add [env.{env}], or use {listed([*environments, DEVELOPMENT], 'or')}"
    )
    return Finding("unknown-env", f"no environment `{env}`; there is: {known}", fix, base.document.file)


# -- Every finding, although the types of some values are wrong ------------------------------------------


def _examine(merged: Merged) -> list[Finding]:
    """The findings of the document as one environment sees it, and of each of its tenants."""
    own = _findings(merged)
    return own + [finding for _, tenant in _tenants(merged) for finding in _findings(tenant)]


def _findings(merged: Merged) -> list[Finding]:
    try:
        return check(Spec.model_validate(merged.data), merged)
    except ValidationError as error:
        wrong = diagnose(error, merged)
    findings = [finding for _, finding in wrong]
    rest = sound(merged.data, [path for path, _ in wrong])
    try:
        return findings + check(Spec.model_validate(rest), Merged(merged.document, rest, merged.origins))
    except ValidationError:
        return findings
