"""Variables of SDKs that name the file of a token: the platform's own identity, exchanged for a provider's.

In: nothing. Out: whom such a token is for, and what else is a file though a variable says where.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Token:
    """A token of the platform's: whose eyes it is for, and how long it lives, in seconds."""

    audience: str
    life: int = 3600


IDENTITIES: Mapping[str, Token] = {
    "ANTHROPIC_IDENTITY_TOKEN_FILE": Token("https://api.anthropic.com", 600),  # takes each token once
    "AWS_WEB_IDENTITY_TOKEN_FILE": Token("sts.amazonaws.com"),
    "AZURE_FEDERATED_TOKEN_FILE": Token("api://AzureADTokenExchange"),
}
"""Variables that name the file of a token which an SDK exchanges, and what their provider asks of it."""
GOOGLE = "GOOGLE_APPLICATION_CREDENTIALS"
"""Names a file, too: a document that is kept as a secret."""
