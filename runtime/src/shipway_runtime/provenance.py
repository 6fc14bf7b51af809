"""Where each value of a deployment comes from, for whoever reads /config and wonders.

In: the documents and variables that it was read from. Out: dotted keys and sources: "default", a variable's
name, a document's path; or what a rendered config says itself, which is the line of agent.toml.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from . import contract
from .contract import env

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

DEFAULT = "default"

_VARIABLES = {"environment": env.ENVIRONMENT, "revision": env.REVISION}
_VARIABLES |= {"check_interval_s": env.CHECK_INTERVAL, "drain_delay_s": env.DRAIN_DELAY}
_VARIABLES |= {"replay": env.REPLAY}


def of_process(environ: Mapping[str, str], places: tuple[str, ...]) -> dict[str, str]:
    """Of what the environment alone says: names, intervals, and each of `places`."""
    variables = _VARIABLES | {f"places.{name}": getattr(env, name.upper()) for name in places}
    return {key: name if environ.get(name) else DEFAULT for key, name in variables.items()}


def of_model(model: contract.Model, given: Collection[str]) -> dict[str, str]:
    """Of the address that its SDK uses, where a variable of the provider's leads it elsewhere: one of those
    that are `given`, by the environment or as a secret."""
    named = contract.BASE_URL_VARIABLES.get(model.provider)
    variables = (named,) if named else contract.BASE_URL_VARIABLES.values()
    return {"model.url": next((name for name in variables if name in given), DEFAULT)}


def of_settings(settings: contract.Settings, text: str, document: str) -> dict[str, str]:
    """Of each setting, a tenant's too, in a document that does not say itself: written there or a default."""
    data = json.loads(text)
    written = set(_leaves(data.get("settings", {})))
    found = {
        key: document if any(key == w or key.startswith(f"{w}.") for w in written) else DEFAULT
        for key in _leaves(dataclasses.asdict(settings))
    }
    own = data.get("tenants") or {}
    return found | {f"tenants.{key}": document for key in _leaves(own)}


def _leaves(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    elif path:
        yield path
