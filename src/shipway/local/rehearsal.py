"""Every recorded question, asked once more of the stack that runs: what is used then is fresh for certain.

In: the replays of a project with a running stack. Out: nothing but the stack's journal, which `verify` reads.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shipway.errors import StackError
from shipway.local import state
from shipway.local.ask import Answer, ask
from shipway.replay.drift import questions
from shipway.replay.drift.inventory import Inventory

if TYPE_CHECKING:
    from collections.abc import Callable

    from shipway.local.replays import Replays

_SETTLE_S = 0.5  # until the last answer is in the journal, too
_SHOWN = 60  # characters of a question


def rehearse(replays: Replays, key: str | None, say: Callable[[str], None]) -> None:
    """Ask one conversation after the other; `key` lets us in.

    A question that fails is said, and is no reason to stop. Raises StackError when no stack runs.
    """
    stack = state.require(replays.project or replays.directory)
    if stack.replayed is None:
        raise StackError(
            "the stack that runs here asks the real model", "start it without --live or --record"
        )
    recordings = Inventory(replays.directory).recordings()
    conversations = questions.conversations(one.exchange.request for one in recordings)
    for number, conversation in enumerate(conversations, 1):
        say(f"asking {number} of {len(conversations)}: {conversation[-1][:_SHOWN]}")
        try:
            _hold(stack.api, conversation, key)
        except StackError as error:
            say(f"  {error}")
    time.sleep(_SETTLE_S)


def _hold(api: str, conversation: questions.Conversation, key: str | None) -> None:
    name = None
    for text in conversation:
        for part in ask(api, text, name, key):
            if isinstance(part, Answer):
                name = part.conversation
