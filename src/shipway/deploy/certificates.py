"""Certificates and their key, from files -> the PEM that the router shows.

In: paths, one file with both or several, as certbot and lego write them. Out: one text, certificates first.
Errors: SpecError, for what a router could not use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.errors import Finding, SpecError
from shipway.rollout.service.certificates import arrange

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RULE = "tls"

_FIX = "give --tls a file with the certificate, those above it, and its key; or --tls twice, one for each"


def read(paths: Sequence[Path]) -> str:
    """The PEM. Raises SpecError."""
    text = "".join(map(_read, paths))
    try:
        return arrange(text)
    except ValueError as error:
        raise _refusal(f"{' and '.join(map(str, paths))}: {error}") from None


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii") + "\n"
    except OSError as error:
        raise _refusal(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _refusal(f"{path} is not PEM") from None


def _refusal(message: str) -> SpecError:
    return SpecError([Finding(RULE, message, _FIX)])
