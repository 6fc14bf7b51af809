"""What this process was told to be: manifest, config and environment, read once at start.

In: the environment's variables and the two documents they name. Out: `Deployment`, frozen; the agent's own
environment, as a value. A config replaces the manifest's settings as a whole. Errors: StartError, naming the
variable or the place in the document.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import contract, provenance
from .contract import env
from .errors import StartError

DEVELOPMENT = "development"
DEFAULT_ENVIRONMENT = "production"  # nothing said: the strict rules hold


@dataclass(frozen=True, slots=True)
class Places:
    """Where this process listens and reads. Ports are numbers, the rest are paths."""

    host: str = "0.0.0.0"  # noqa: S104 - a container's own address is its boundary
    api_port: int = contract.API_PORT
    admin_port: int = contract.ADMIN_PORT
    relay_port: int = contract.RELAY_PORT
    manifest: Path = Path(contract.MANIFEST)
    source: Path = Path(contract.SOURCE)
    prompts: Path = Path(contract.PROMPTS)
    config: Path = Path(contract.CONFIG)
    policy: Path = Path(contract.POLICY)
    secrets: Path = Path(contract.SECRETS)
    storage: Path | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """One process of one revision: what runs, as what, and where."""

    manifest: contract.Manifest
    settings: contract.Settings
    environment: str
    revision: str
    places: Places
    tenants: Mapping[str, contract.TenantSettings] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    check_interval_s: float = 5.0
    drain_delay_s: float = 2.0
    replay: str | None = None
    """Where the model is replayed; None where it is asked itself."""

    @property
    def development(self) -> bool:
        return self.environment == DEVELOPMENT

    @property
    def real(self) -> str | None:
        """The environment, where a model's answers must be its own; None in development."""
        return None if self.development else self.environment

    @property
    def control_query(self) -> dict[str, str]:
        """How requests to control name this deployment."""
        return {"name": self.manifest.name, "environment": self.environment}

    def mcp_urls(self) -> dict[str, str]:
        """Where the agent finds each MCP server: the relay, whatever the server's shape."""
        base = f"http://127.0.0.1:{self.places.relay_port}/mcp"
        return {server.name: f"{base}/{server.name}" for server in self.manifest.mcp}

    def public(self) -> dict[str, Any]:
        """Settings with their provenance, for /config. Secrets appear as names and sources alone."""
        return {
            "environment": self.environment,
            "revision": self.revision,
            "check_interval_s": self.check_interval_s,
            "drain_delay_s": self.drain_delay_s,
            "replay": self.replay,
            "settings": dataclasses.asdict(self.settings),
            "tenants": {name: dataclasses.asdict(tenant) for name, tenant in self.tenants.items()},
            "provenance": dict(self.provenance),
            "places": {key: _plain(value) for key, value in dataclasses.asdict(self.places).items()},
        }


def read(environ: Mapping[str, str]) -> Deployment:
    """The deployment that the environment describes. Raises StartError."""
    places = _places(environ)
    text, document = _manifest_text(places.manifest), str(places.manifest)
    manifest = contract.decode(contract.Manifest, text, document)
    config, settings = None, manifest.settings
    found = _config_text(environ, places.config)
    if found:
        text, document = found
        config = contract.decode(contract.Config, text, document)
        settings = config.settings
    if settings.storage and places.storage is None:
        places = dataclasses.replace(places, storage=Path(settings.storage.path))
    return Deployment(
        manifest=manifest,
        settings=settings,
        environment=_environment(environ, config),
        revision=_revision(environ, found[0] if found else None),
        places=places,
        tenants=config.tenants if config else {},
        provenance=_provenance(environ, settings, config, text, document),
        check_interval_s=_number(environ, env.CHECK_INTERVAL, 5.0),
        drain_delay_s=_number(environ, env.DRAIN_DELAY, 2.0),
        replay=environ.get(env.REPLAY) or None,
    )


def check_revision(deployment: Deployment, environ: Mapping[str, str]) -> str | None:
    """What to say where the config is not the one that was rendered with this revision."""
    said = environ.get(env.REVISION) or deployment.revision
    if deployment.revision.startswith(said):
        return None
    return (
        f"{env.REVISION} says {said}, and the config here is not the one that was rendered with it: this is "
        f"revision {deployment.revision}. Render and deploy again, so that the two agree"
    )


def temporary() -> Path:
    """Where what may be lost is written. Not `tempfile.gettempdir`, which raises where nobody can write."""
    return Path(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108 - who writes there takes care


def refuse_unsafe(deployment: Deployment) -> None:
    """Raise StartError for what would leave the API open, or answer users from recordings."""
    if deployment.replay and not deployment.development:
        raise StartError(
            f'{env.REPLAY} is set, and this is "{deployment.environment}": its users would get recorded '
            f"answers. A replay is for development: remove {env.REPLAY} and the base URLs that lead to it, "
            f"or set {env.ENVIRONMENT}={DEVELOPMENT}"
        )
    if deployment.settings.api.auth is None and not deployment.development:
        raise StartError(
            f'api.auth is not set, and this is "{deployment.environment}": anybody could use the agent. '
            'Set api.auth to "keys" or "jwt" in agent.toml, to "none" if a gateway authenticates, '
            f"or {env.ENVIRONMENT}={DEVELOPMENT} to try it out"
        )


def agent_environment(deployment: Deployment, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables to set for the agent and for unmodified SDKs. What is already set wins, by a stack that
    replays, say.

    A provider given as a URL does not say which SDK is meant, so each of them is led there: one that went
    past a gateway would be worse than one that finds it does not speak its API.
    """
    wanted = {env.mcp_url(name): url for name, url in deployment.mcp_urls().items()}
    if model := deployment.settings.model:
        wanted[env.MODEL] = model.name
        if model.provider not in contract.BASE_URL_VARIABLES:
            wanted |= dict.fromkeys(contract.BASE_URL_VARIABLES.values(), model.provider)
        if model.max_tokens is not None:
            wanted[env.MAX_TOKENS] = str(model.max_tokens)
        if model.timeout_s is not None:
            wanted[env.MODEL_TIMEOUT] = f"{model.timeout_s:g}"
    return {name: value for name, value in wanted.items() if name not in environ}


def model_url(model: contract.Model, environ: Mapping[str, str]) -> str:
    """The base URL that the agent's SDK uses: the provider's variable, else where the provider is."""
    variable = contract.BASE_URL_VARIABLES.get(model.provider)
    if variable is None:  # a URL: it speaks one of the providers, and any of their variables redirects it
        redirected = (environ.get(name) for name in contract.BASE_URL_VARIABLES.values())
        return next(filter(None, redirected), model.provider)
    return environ.get(variable) or contract.PROVIDER_URLS[model.provider]


def _places(environ: Mapping[str, str]) -> Places:
    default = Places()
    storage = environ.get(env.STORAGE)
    return Places(
        host=environ.get(env.HOST) or default.host,
        api_port=int(_number(environ, env.API_PORT, default.api_port)),
        admin_port=int(_number(environ, env.ADMIN_PORT, default.admin_port)),
        relay_port=int(_number(environ, env.RELAY_PORT, default.relay_port)),
        manifest=Path(environ.get(env.MANIFEST) or default.manifest),
        source=Path(environ.get(env.SOURCE) or default.source),
        prompts=Path(environ.get(env.PROMPTS) or default.prompts),
        config=Path(environ.get(env.CONFIG) or default.config),
        policy=Path(environ.get(env.POLICY) or default.policy),
        secrets=Path(environ.get(env.SECRETS) or default.secrets),
        storage=Path(storage) if storage else None,
    )


def _manifest_text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise StartError(f"{path}: the manifest is not UTF-8 text") from None
    except OSError as error:
        raise StartError(
            f"{path}: no manifest there ({error.strerror}); `shipway build` writes it, and so can you: "
            f'{{"name": "hello", "entrypoint": "hello:agent"}}. {env.MANIFEST} names another path'
        ) from None


def _config_text(environ: Mapping[str, str], path: Path) -> tuple[str, str] | None:
    """The config and its name, where there is one."""
    if text := environ.get(env.CONFIG_JSON):
        return text, env.CONFIG_JSON
    if env.CONFIG not in environ and not path.exists():
        return None
    try:
        return path.read_text("utf-8"), str(path)
    except UnicodeDecodeError:
        raise StartError(f"{path}: the config is not UTF-8 text") from None
    except OSError as error:
        raise StartError(f"{path}: the config cannot be read: {error.strerror}") from None


def _provenance(
    environ: Mapping[str, str],
    settings: contract.Settings,
    config: contract.Config | None,
    text: str,
    document: str,
) -> dict[str, str]:
    """Where everything comes from. A rendered config says of its settings where they were written."""
    found = provenance.of_process(environ, tuple(f.name for f in dataclasses.fields(Places)))
    if config and not environ.get(env.ENVIRONMENT):
        found["environment"] = document
    if settings.storage and not environ.get(env.STORAGE):
        found["places.storage"] = "storage.path"
    if settings.model:
        given = {name for name, value in environ.items() if value} | settings.secrets.keys()
        found |= provenance.of_model(settings.model, given)
    written = config.provenance if config else {}
    return found | (dict(written) or provenance.of_settings(settings, text, document))


def _revision(environ: Mapping[str, str], config: str | None) -> str:
    said = environ.get(env.REVISION)
    if said and not re.fullmatch(contract.REVISION, said):
        raise StartError(f'{env.REVISION}: expected {contract.REVISION_WORDS}; saw "{said}"')
    return contract.running_revision(said, config)


def _environment(environ: Mapping[str, str], config: contract.Config | None) -> str:
    named = environ.get(env.ENVIRONMENT)
    if named and config and config.environment != named:
        raise StartError(
            f'{env.ENVIRONMENT} is "{named}", but the config was rendered for "{config.environment}"; '
            "mount the config of this environment"
        )
    return named or (config.environment if config else DEFAULT_ENVIRONMENT)


def _number(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name)
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if value < 0:
        raise StartError(f'{name}: expected a number of at least 0, saw "{text}"')
    return value


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value
