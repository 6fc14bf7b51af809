"""Which turns are scored, or read by anybody but the agent.

In: a conversation's name. Out: yes or no, by conversation and not by turn, for conversations are what gates
count; by a hash, so that every replica says the same, and a turn's number does not matter.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from .sample import Notes

if TYPE_CHECKING:
    from ..context import Context
    from ..dialogue import Dialogue
    from ..turn import Ask

_SALT = b"shipway.live/"  # independent of whatever else hashes the name, such as a router
_SPACE = 2**64


def chosen(conversation: str, share: float) -> bool:
    """Whether a conversation is in the sample; `share` from 0 to 1."""
    digest = hashlib.sha256(_SALT + conversation.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") < share * _SPACE


class Sampling:
    """The sample of one agent."""

    def __init__(self, share: float) -> None:
        self._share = share

    def begin(self, ask: Ask, dialogue: Dialogue, context: Context) -> Notes | None:
        """What takes down a turn that begins; None for one that is not in the sample, or whose caller said
        that it must not be stored."""
        if ask.store and chosen(context.conversation, self._share):
            return Notes(dialogue, context)
        return None
