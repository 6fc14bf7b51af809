"""Spec -> what the runtime reads: the settings of one environment.

In: a Spec, already merged for its environment. Out: `contract.Settings`, for the image's manifest and for
the config that a stack mounts; what scores real turns, for the manifest alone; and what differs for each
tenant, for the config alone.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipway.spec import model


def settings(spec: model.Spec) -> contract.Settings:
    """Everything that may differ between environments."""
    return contract.Settings(
        model=_model(spec.model) if spec.model else None,
        config={key: list(v) if isinstance(v, tuple) else v for key, v in spec.config.items()},
        secrets={name: _secret(source) for name, source in spec.secrets.items()},
        api=_api(spec.api),
        storage=_storage(spec.storage) if spec.storage else None,
        health=contract.Health(spec.health.when_model_down, spec.health.grace),
        limits=_limits(spec.policy),
    )


def delivered(config: contract.Config, way: Literal["env", "file"]) -> contract.Config:
    """The config where an engine brings secrets one way only; those of a broker are fetched as ever."""
    secrets = {
        name: secret if secret.source == "broker" else dataclasses.replace(secret, source=way)
        for name, secret in config.settings.secrets.items()
    }
    return dataclasses.replace(config, settings=dataclasses.replace(config.settings, secrets=secrets))


def live(spec: model.Spec) -> contract.Live | None:
    """What scores real turns, the same in every environment."""
    return contract.Live(spec.evals.live, spec.evals.sample) if spec.evals and spec.evals.live else None


def tenant_settings(
    spec: model.Spec, tenants: Mapping[str, model.Spec]
) -> dict[str, contract.TenantSettings]:
    """What differs for each tenant: a model whole, of config the keys alone that it has its own value for."""
    own = {name: settings(tenant) for name, tenant in tenants.items()}
    everybodys = settings(spec)
    return {
        name: contract.TenantSettings(
            model=tenant.model if tenant.model != everybodys.model else None,
            config={k: v for k, v in tenant.config.items() if v != everybodys.config.get(k)},
        )
        for name, tenant in own.items()
    }


def _model(model: model.Model) -> contract.Model:
    return contract.Model(
        provider=model.provider,
        name=model.name,
        fallbacks=model.fallbacks,
        max_tokens=model.max_tokens,
        timeout_s=model.timeout,
        prices={name: contract.Price(price.input, price.output) for name, price in model.prices.items()},
    )


def _secret(source: model.SecretSource) -> contract.Secret:
    if isinstance(source, str):
        return contract.Secret(source)
    if hasattr(source, "token_url"):
        return contract.Secret("broker", contract.Broker(**source.model_dump()))
    return contract.Secret("env")  # an orchestrator's store: it arrives in the environment


def _api(api: model.Api) -> contract.Api:
    return contract.Api(
        auth=api.auth,
        keys=api.keys,
        jwks=api.jwks,
        audience=api.audience,
        issuer=api.issuer,
        tenant_claim=api.tenant_claim,
        trusted_proxies=api.trusted_proxies,
        body_limit=api.body_limit,
        timeout_s=api.timeout,
        when_busy=api.when_busy,
    )


def _storage(storage: model.Storage) -> contract.Storage:
    return contract.Storage(storage.path, storage.url.secret if storage.url else None)


def _limits(policy: model.Policy) -> contract.Limits:
    return contract.Limits(policy.requests, policy.concurrency, policy.tokens, policy.spend)
