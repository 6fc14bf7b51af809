"""Rules across the keys of agent.toml, in the order of `RULES`.

In: a Spec whose values have the right types, and the Merged it was made from. Out: findings. A rule is a
small generator that looks at one thing; it is run for the file, for every environment and every tenant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from shipway.errors import Finding
from shipway.spec import model
from shipway.spec.evals_checks import EVALS_RULES
from shipway.spec.mcp_checks import MCP_RULES
from shipway.spec.rollout_checks import ROLLOUT_RULES
from shipway.spec.words import dotted, hidden, is_credential, leaves, nearest

if TYPE_CHECKING:
    from shipway.spec.merge import Merged
    from shipway.spec.positions import Path

_REFERENCE = re.compile(
    r"([A-Za-z0-9.-]+(:\d+)?/)?[a-z0-9._/-]+(:[A-Za-z0-9_][A-Za-z0-9._-]*)?(@sha256:[0-9a-f]{64})?"
)

PROMPT_LENGTH = 400
"""A text in [config] longer than this is taken for a prompt."""

Findings = Iterator[Finding]
Rule = Callable[[model.Spec, "Merged"], Findings]


def check(spec: model.Spec, merged: Merged) -> list[Finding]:
    """Every finding of every rule."""
    return [finding for rule in RULES for finding in rule(spec, merged)]


# -- Secrets -----------------------------------------------------------------------------------------------


def secrets_are_declared(spec: model.Spec, merged: Merged) -> Findings:
    """Whoever names a secret names one of [secrets]."""
    for path, name in _references(spec):
        if name in spec.secrets:
            continue
        shown = "a secret (name not shown: it looks like a value)" if hidden(name) else f"the secret `{name}`"
        close = nearest(name, spec.secrets)
        hint = f"; did you mean `{close}`?" if close else ""
        own = "declare a secret in [secrets], and write its name here"
        declare = own if hidden(name) else f'add {name} = "env" to [secrets]'
        message = f"`{merged.name(path)}` names {shown}, which [secrets] does not declare{hint}"
        yield merged.finding("undeclared-secret", path, message, f"write `{close}`" if close else declare)


def _references(spec: model.Spec) -> Iterator[tuple[Path, str]]:
    """Every place that names a secret, with the name."""
    for server, mcp in spec.mcp.items():
        yield from ((("mcp", server, "secrets", i), name) for i, name in enumerate(mcp.secrets))
        if mcp.auth:
            yield ("mcp", server, "auth"), mcp.auth
        yield from ((("mcp", server, "headers", header), name) for header, name in mcp.headers.items())
    for name, source in spec.secrets.items():
        if isinstance(source, model.BrokerSecret) and source.client_secret:
            yield ("secrets", name, "client_secret"), source.client_secret
    if spec.api.keys:
        yield ("api", "keys"), spec.api.keys
    if spec.storage and spec.storage.url:
        yield ("storage", "url", "secret"), spec.storage.url.secret
    if spec.notify:
        yield ("notify", "webhook"), spec.notify.webhook


def tokens_go_where_they_are_renewed(spec: model.Spec, merged: Merged) -> Findings:
    """Whoever takes a secret once, at start, cannot live by one that ends."""
    for path, name in _references(spec):
        renewed = path[0] == "mcp" and path[2] in ("auth", "headers")
        if renewed or not isinstance(spec.secrets.get(name), model.BrokerSecret):
            continue
        message = (
            f"`{merged.name(path)}` names `{name}`, a token from a broker, and would keep it past its end"
        )
        fix = f"name a secret from the environment or a file; `{name}` is for `auth` and `headers` of [mcp.…]"
        yield merged.finding("broker-token", path, message, fix + ', and for ctx.secret("…")')


def secret_sources_are_complete(spec: model.Spec, merged: Merged) -> Findings:
    """A broker needs something to show, a store a place."""
    for name, source in spec.secrets.items():
        where = merged.name(("secrets", name))
        if isinstance(source, model.BrokerSecret) and not (source.client_secret or source.identity_token):
            message = f"`{where}` asks a broker without client_secret or identity_token"
            fix = 'add client_secret = "NAME" (a secret), or identity_token = "/path" (RFC 8693)'
            yield merged.finding("secret-source", ("secrets", name), message, fix)
        if source == model.StoredSecret():
            fix = 'write "env" or "file", or name a store: { kubernetes = "secret-name" }'
            yield merged.finding("secret-source", ("secrets", name), f"`{where}` is an empty table", fix)


def no_value_is_a_credential(spec: model.Spec, merged: Merged) -> Findings:
    """A token, a private key or a password in a URL, wherever it was pasted."""
    for path, value in leaves(merged.data):
        is_source = path[-2:-1] == ("secrets",) and len(path) in (2, 4)
        if isinstance(value, str) and is_credential(value) and not is_source:
            message = f"`{merged.name(path)}` holds what looks like a credential (not shown)"
            fix = "declare a secret in [secrets] and name it here; replace a value that was committed"
            yield merged.finding("secret-value", path, message, fix)


def variables_do_not_collide(spec: model.Spec, merged: Merged) -> Findings:
    """Secrets and services both become environment variables of the agent. They may share one: what a service
    gives in development is a secret elsewhere."""
    brokered = [name for name, source in spec.secrets.items() if isinstance(source, model.BrokerSecret)]
    taken: dict[str, str] = dict.fromkeys(brokered, "a secret from a broker")
    for name, service in spec.services.items():
        path = ("services", name, "env_url")
        variable = service.env_url
        owner = "shipway itself" if variable.startswith("SHIPWAY_") else taken.get(variable)
        if owner:
            message = f"`{merged.name(path)}` sets {variable}, which {owner} sets too"
            yield merged.finding("variable-collision", path, message, "give one of the two another name")
        taken[variable] = f"[services.{name}]"
    for name in spec.secrets:
        if name.startswith("SHIPWAY_"):
            message = f"the secret `{name}` has the name of a setting of shipway's own"
            yield merged.finding("variable-collision", ("secrets", name), message, "rename the secret")


# -- Sections ----------------------------------------------------------------------------------------------


def fallbacks_are_others(spec: model.Spec, merged: Merged) -> Findings:
    if spec.model is None:
        return
    seen: set[str] = {spec.model.name}
    for i, name in enumerate(spec.model.fallbacks):
        if name in seen:
            what = "the model itself" if name == spec.model.name else "twice the same"
            path = ("model", "fallbacks", i)
            message = f"`{merged.name(path)}`, {name}, is {what}"
            yield merged.finding("model-fallbacks", path, message, "remove it from the list")
        seen.add(name)


_API_NEEDS = {
    "keys": (("keys", "no secret holds them", 'add keys = "API_KEYS" and declare it in [secrets]'),),
    "jwt": (
        ("jwks", "no key set is named", 'add jwks = "https://…/jwks.json"'),
        (
            "audience",
            "a token that its issuer made for another service would be taken, too",
            'add audience = "…": what the issuer writes into the `aud` of a token for this agent',
        ),
        (
            "tenant_claim",
            "no claim names the tenant, so that everybody would be the same one",
            'add tenant_claim = "org", or "sub" for each user to be a tenant',
        ),
    ),
    "none": (),
}
"""What each kind of `api.auth` cannot do without: key, what is wrong without it, fix."""


def api_auth_has_what_it_needs(spec: model.Spec, merged: Merged) -> Findings:
    path = ("api", "auth")
    for key, without, fix in _API_NEEDS[spec.api.auth] if spec.api.auth else ():
        if not getattr(spec.api, key):
            message = f'`{merged.name(path)}` is "{spec.api.auth}", and {without}'
            yield merged.finding("api-auth", path, message, fix)


def tenants_can_be_named(spec: model.Spec, merged: Merged) -> Findings:
    apis: list[model.Api | model.EnvApi] = [spec.api, *(env.api for env in spec.env.values() if env.api)]
    if spec.api.auth != "none" or any(api.auth in ("keys", "jwt") or api.trusted_proxies for api in apis):
        return
    for name in spec.tenants:
        path = ("tenants", name)
        message = (
            f'[{merged.name(path)}] is never used: `{merged.name(("api", "auth"))}` is "none", '
            "and no proxy is trusted to name a tenant"
        )
        fix = 'add trusted_proxies = ["10.0.0.0/8"], the network of your gateway, or write auth = "keys"'
        yield merged.finding("tenants-unnamed", path, message, fix)


def replicas_share_conversations(spec: model.Spec, merged: Merged) -> Findings:
    if spec.resources.replicas > 1 and spec.storage and not spec.storage.url:
        path = ("resources", "replicas")
        message = (
            f"`{merged.name(path)}` is {spec.resources.replicas}, and conversations are in SQLite, "
            "on a volume that one replica alone can have"
        )
        fix = 'add url = { secret = "DATABASE_URL" } to [storage], remove [storage], or write replicas = 1'
        yield merged.finding("replicas-sqlite", path, message, fix)


def base_is_a_name(spec: model.Spec, merged: Merged) -> Findings:
    base, path = spec.image.base, ("image", "base")
    if base != "minimal" and not base.startswith((".", "/")) and not _REFERENCE.fullmatch(base):
        message = f'`image.base` is "{base}"; expected `minimal`, the reference of an image, or a path'
        fix = 'write base = "python:3.13-slim", or base = "./DIR" for an OCI layout; without https://'
        yield merged.finding("image-base", path, message, fix)


def base_has_its_own_packages(spec: model.Spec, merged: Merged) -> Findings:
    if spec.image.base == "minimal":
        return
    for key in ("packages", "mirror"):
        if getattr(spec.image, key):
            message = f"`image.{key}` is for the base `minimal`, and `image.base` is `{spec.image.base}`"
            fix = f"remove `{key}`: what the image needs has to be in its base"
            yield merged.finding("base-packages", ("image", key), message, fix)


def paths_stay_in_the_project(spec: model.Spec, merged: Merged) -> Findings:
    named: list[tuple[Path, str | None]] = [(("prompts",), spec.prompts), (("image", "ca"), spec.image.ca)]
    named += [(("image", "include", i), glob) for i, glob in enumerate(spec.image.include)]
    for path, value in named:
        if value is not None and not _is_inside(value):
            message = (
                f'`{merged.name(path)}` is "{value}"; expected a path below the project\'s own directory'
            )
            yield merged.finding(
                "outside-project", path, message, "move it into the project; write a relative path"
            )


def _is_inside(value: str) -> bool:
    path = PurePosixPath(value)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\\" not in value


def config_holds_no_prompts(spec: model.Spec, merged: Merged) -> Findings:
    for name, value in spec.config.items():
        path = ("config", name)
        if isinstance(value, str) and (len(value) > PROMPT_LENGTH or "\n" in value.strip()):
            how = f"is {len(value)} characters long" if len(value) > PROMPT_LENGTH else "has several lines"
            message = (
                f"`{merged.name(path)}` {how} and looks like a prompt: prompts are code, released with it"
            )
            fix = f'move it to prompts/{name}.md, set prompts = "prompts", and read ctx.prompt("{name}")'
            yield merged.finding("prompt-in-config", path, message, fix)


def config_has_defaults(spec: model.Spec, merged: Merged) -> Findings:
    """What an environment or a tenant sets is there in [config], with a default of the same type."""
    defaults = merged.document.data.get("config", {})
    for name, value in spec.config.items():
        path = ("config", name)
        if merged.written(path) == path or not isinstance(defaults, dict):
            continue
        if name not in defaults:
            close = nearest(name, defaults)
            message = f"`{merged.name(path)}` has no default in [config]"
            fix = f"write `{close}`" if close else f"add {name} to [config]: a key's default says its type"
            yield merged.finding("config-default", path, message, fix)
        elif _kind(value) != _kind(defaults[name]):
            kind = _kind(defaults[name])
            message = f"`{merged.name(path)}` is {_kind(value)}, and its default in [config] is {kind}"
            yield merged.finding("config-default", path, message, f"write {kind}")


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, tuple):
        return "a list"
    return "text" if isinstance(value, str) else "a number"


def limits_let_something_through(spec: model.Spec, merged: Merged) -> Findings:
    for name in ("requests", "tokens", "spend"):
        limit = getattr(spec.policy, name)
        if limit is not None and not limit[0]:
            message = f"`{merged.name(('policy', name))}` is 0, which refuses everyone"
            fix = "write what is allowed, or remove the key for no limit"
            yield merged.finding("policy-limit", ("policy", name), message, fix)


def spend_has_prices(spec: model.Spec, merged: Merged) -> Findings:
    """Whatever has no price would be for nothing; which model is asked changes while the agent runs."""
    if spec.policy.spend is None:
        return
    path, what = ("policy", "spend"), f"`{merged.name(('policy', 'spend'))}`"
    if spec.model is None:
        message = f"{what} limits what the model costs, and there is no [model]"
        fix = "add [model] with its prices, or limit requests instead: policy.requests"
        yield merged.finding("policy-price", path, message, fix)
        return
    for name in (spec.model.name, *spec.model.fallbacks):
        if name not in spec.model.prices:
            message = f"{what} limits what the model costs, and {name} has no price"
            table = dotted(("model", "prices", name))
            fix = f"add [{table}] with input and output, in dollars for a million tokens"
            yield merged.finding("policy-price", path, message, fix)


def environments_have_other_names(spec: model.Spec, merged: Merged) -> Findings:
    if "development" in spec.env:
        message = "[env.development] is what the file says without any [env.…]"
        fix = "move its keys out of [env.development], or name the environment otherwise"
        yield merged.finding("reserved-env", ("env", "development"), message, fix)


RULES: tuple[Rule, ...] = (
    secrets_are_declared,
    tokens_go_where_they_are_renewed,
    secret_sources_are_complete,
    no_value_is_a_credential,
    variables_do_not_collide,
    fallbacks_are_others,
    *MCP_RULES,
    api_auth_has_what_it_needs,
    tenants_can_be_named,
    replicas_share_conversations,
    base_is_a_name,
    base_has_its_own_packages,
    paths_stay_in_the_project,
    config_holds_no_prompts,
    config_has_defaults,
    limits_let_something_through,
    spend_has_prices,
    *ROLLOUT_RULES,
    *EVALS_RULES,
    environments_have_other_names,
)
