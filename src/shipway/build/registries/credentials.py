"""Who we are to a registry: from the places where Docker, Podman and CI keep it.

In: a registry's name, the environment, the home directory. Out: `Found`: a `Credential` or none, and the
places that were looked into, for the message of a 401. Values are never shown. Nothing is written.

    SHIPWAY_REGISTRY_USERNAME, SHIPWAY_REGISTRY_PASSWORD    for the registry that SHIPWAY_REGISTRY names
    REGISTRY_AUTH_FILE                                      Podman's format
    DOCKER_CONFIG/config.json, else ~/.docker/config.json   with credHelpers and credsStore
    XDG_RUNTIME_DIR/containers/auth.json, ~/.config/containers/auth.json
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shipway.build.registries.reference import HUB
from shipway.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_HUB_KEY = "https://index.docker.io/v1/"  # how Docker files its own registry
_HELPER_TIMEOUT_S = 60
_TOKEN_USER = "<token>"  # noqa: S105 - a helper's user name that says the secret is an identity token


@dataclass(frozen=True, slots=True)
class Credential:
    """A user and password, or an identity token (an OAuth 2 refresh token). `origin` says from where."""

    origin: str
    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an Authorization header."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Found:
    """The credential to use, if any, and each place that was asked, with what it had."""

    credential: Credential | None
    tried: tuple[str, ...]


def find_credential(registry: str, repository: str, environ: Mapping[str, str], home: Path) -> Found:
    """The first credential for this registry, in the order above."""
    tried: list[str] = []
    for credential, place in _places(registry, repository, environ, home):
        tried.append(place)
        if credential:
            return Found(credential, tuple(tried))
    return Found(None, tuple(tried))


def _places(
    registry: str, repository: str, environ: Mapping[str, str], home: Path
) -> Iterator[tuple[Credential | None, str]]:
    yield _from_environment(registry, environ)
    for file in _files(environ, home):
        if file.is_file():
            yield from _from_file(file, registry, repository, environ)
        else:
            yield None, f"{file}: no such file"


def _from_environment(registry: str, environ: Mapping[str, str]) -> tuple[Credential | None, str]:
    name, password = environ.get("SHIPWAY_REGISTRY_USERNAME"), environ.get("SHIPWAY_REGISTRY_PASSWORD")
    origin = "SHIPWAY_REGISTRY_USERNAME and SHIPWAY_REGISTRY_PASSWORD"
    if not name or not password:
        return None, f"{origin}: not set"
    only = environ.get("SHIPWAY_REGISTRY")
    if not only:
        raise BuildError(
            f"{origin} are set without the registry that they are for",
            "set SHIPWAY_REGISTRY to its host, such as registry.example.com: no other registry gets them",
        )
    if only != registry:
        return None, f"{origin}: for {only}"
    return Credential(origin, name, password), f"{origin}: user {name}"


def _files(environ: Mapping[str, str], home: Path) -> list[Path]:
    explicit = environ.get("REGISTRY_AUTH_FILE")
    runtime = environ.get("XDG_RUNTIME_DIR")
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    return [
        *([Path(explicit)] if explicit else []),
        Path(environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json",
        *([Path(runtime) / "containers/auth.json"] if runtime else []),
        config / "containers/auth.json",
    ]


def _from_file(
    file: Path, registry: str, repository: str, environ: Mapping[str, str]
) -> Iterator[tuple[Credential | None, str]]:
    document = _read(file)
    helper = _table(document, "credHelpers").get(registry) or document.get("credsStore")
    if helper:
        key = _HUB_KEY if registry == HUB else registry
        yield _from_helper(str(helper), key, f"{file}: docker-credential-{helper}", environ)
    entry = _entry(_table(document, "auths"), registry, repository)
    credential = _credential(entry, str(file)) if entry else None
    yield credential, f"{file}: {f'user {credential.username}' if credential else f'none for {registry}'}"


def _read(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        kind = error.strerror if isinstance(error, OSError) else "not JSON"
        raise BuildError(f"{file}: registry credentials cannot be read: {kind}") from None
    return document if isinstance(document, dict) else {}


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def _entry(auths: Mapping[str, Any], registry: str, repository: str) -> Mapping[str, Any] | None:
    """The entry of the longest name: Podman's may be for a namespace, `registry.example.com/team`."""
    named = {_plain(key): value for key, value in auths.items() if isinstance(value, dict)}
    parts = [registry, *repository.split("/")]
    for length in range(len(parts), 0, -1):
        if found := named.get("/".join(parts[:length])):
            return found
    return named.get("index.docker.io") if registry == HUB else None


def _plain(key: str) -> str:
    return re.sub(r"/v[12]$", "", re.sub(r"^https?://", "", key).rstrip("/"))


def _credential(entry: Mapping[str, Any], origin: str) -> Credential | None:
    name, password = str(entry.get("username", "")), str(entry.get("password", ""))
    if encoded := entry.get("auth"):
        try:
            name, _, password = base64.b64decode(str(encoded), validate=True).decode().partition(":")
        except ValueError:
            raise BuildError(f"{origin}: an `auth` entry is not base64; run `docker login` again") from None
    password = password.rstrip("\0")
    token = str(entry.get("identitytoken", ""))
    return Credential(origin, name, password, token) if token or (name and password) else None


def _from_helper(
    name: str, key: str, origin: str, environ: Mapping[str, str]
) -> tuple[Credential | None, str]:
    """Ask `docker-credential-NAME get`: the registry on stdin, JSON on stdout."""
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        return None, f"{origin}: not the name of a helper"
    try:
        done = subprocess.run(
            (f"docker-credential-{name}", "get"),
            input=key,
            env=dict(environ),
            capture_output=True,
            text=True,
            timeout=_HELPER_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:
        return None, f"{origin}: not on PATH"
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"{origin}: {type(error).__name__}"
    if done.returncode:  # helpers say why on stdout; a failed answer holds no secret
        return None, f"{origin}: {(done.stdout.strip() or done.stderr.strip() or 'failed')[:200]}"
    try:
        answer = json.loads(done.stdout)
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError):
        return None, f"{origin}: its answer is not a credential"
    if user == _TOKEN_USER:
        return Credential(origin, identity_token=secret), f"{origin}: an identity token"
    return Credential(origin, user, secret), f"{origin}: user {user}"
