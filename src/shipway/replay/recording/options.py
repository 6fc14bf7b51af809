"""How to record, as the command line says it.

In: options of `shipway replay serve` and of `python -m shipway.replay`. Out: `Recorded`, or None where
nothing is recorded; SpecError for what does not fit together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from shipway.errors import Finding, SpecError
from shipway_runtime import contract

RULE = "replay-options"


@dataclass(frozen=True, slots=True)
class Recorded:
    """How to record. `upstreams` are base URLs by provider, where they are not the providers' own."""

    only_missing: bool = False
    upstreams: Mapping[str, str] = field(default_factory=dict)


def read(*, record: bool, record_missing: bool, upstreams: Sequence[str]) -> Recorded | None:
    """`upstreams` are `PROVIDER=URL`, or a URL for all of them. Raises SpecError."""
    if record and record_missing:
        raise _refused("--record and --record-missing exclude each other", "keep one of them")
    if not record and not record_missing:
        if upstreams:
            raise _refused("--upstream is for recording", "add --record or --record-missing")
        return None
    urls: dict[str, str] = {}
    for text in upstreams:
        urls |= _urls(text)
    return Recorded(record_missing, urls)


def _urls(text: str) -> dict[str, str]:
    name, equals, url = text.partition("=")
    names = [name]
    if not equals or "/" in name:  # a URL may hold a `=`, too
        names, url = list(contract.PROVIDER_URLS), text
    known = all(name in contract.PROVIDER_URLS for name in names)
    if not known or urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        providers = ", ".join(contract.PROVIDER_URLS)
        raise _refused(
            f"--upstream {text}: expected PROVIDER=URL or a URL",
            f"write anthropic=https://gateway.example.com; providers are {providers}",
        )
    return dict.fromkeys(names, url)


def _refused(message: str, fix: str) -> SpecError:
    return SpecError([Finding(RULE, message, fix)])
