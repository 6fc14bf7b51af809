"""What a revision is called: a release with an environment's config, `<release>-<config>`.

In: a release's id, a config as it is written. Out: the name. The tool makes it when it renders, and a process
makes it again from the config that it reads, so a config that somebody changed has another name. Nothing but
the standard library: both sides load this first, by way of `contract`.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

UNRELEASED = "unreleased"
"""In a release's place, where nobody said which one it is: in development, and in a plain `docker run`."""

REVISION = r"[A-Za-z0-9._@:+-]{1,128}"  # what a header, a path and a log can carry
REVISION_WORDS = "letters, digits and . _ - @ : +, at most 128"
_RELEASE = re.compile(r"(?P<release>[0-9a-f]{12})(-[0-9a-f]{6})?")


def config_digest(config: str) -> str:
    """Six digits for a config's JSON. Spacing, the order of keys and `provenance` do not count; nor does
    whether a secret's value comes as a file or in the environment, where an engine has but one of the two."""
    said: dict[str, Any] = json.loads(config)
    for secret in _secrets(said):
        if secret.get("source") == "file":
            secret["source"] = "env"
    text = json.dumps(said | {"provenance": {}}, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def _secrets(config: dict[str, Any]) -> list[dict[str, Any]]:
    """What `settings.secrets` says of each; nothing where somebody's config is no config of ours."""
    settings = config.get("settings")
    secrets = settings.get("secrets") if isinstance(settings, dict) else None
    return [one for one in secrets.values() if isinstance(one, dict)] if isinstance(secrets, dict) else []


def name_revision(release: str, config: str | None) -> str:
    """The revision of a release with this config; without one, where the image's own settings hold."""
    return release if config is None else f"{release}-{config_digest(config)}"


def running_revision(said: str | None, config: str | None) -> str:
    """What runs in a process that was told `said` and has read `config`.

    A release's id, alone or in a revision of ours, is believed, and the config is looked at. Any other text
    is somebody's own name for all of it, and stands.
    """
    if not said:
        return name_revision(UNRELEASED, config)
    ours = _RELEASE.fullmatch(said)
    return name_revision(ours["release"], config) if ours else said
