"""Every recorded question, asked once more of the stack that runs.

In: the replays of a project with a running stack. Out: how many were not answered; and what the stack makes
of it: its journal, which says for certain what is used, or new recordings.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shipway.errors import StackError
from shipway.local import state
from shipway.local.ask import Answer, ask
from shipway.replay.drift.inventory import Inventory
from shipway.replay.drift.questions import Conversation, conversations
from shipway.replay.drift.verdicts import verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from shipway.local.replays import Replays

_SETTLE_S = 0.5  # until the last answer is in the journal, too
_SHOWN = 60  # characters of a question


def rehearse(
    replays: Replays, key: str | None, say: Callable[[str], None], *, stale: bool, live: bool
) -> int:
    """Ask one conversation after the other; `key` lets us in. Returns how many failed.

    `stale` leaves out the questions of other recordings; `live` allows that the real model is paid. Raises
    StackError when no stack runs, and SpecError.
    """
    stack = state.require(replays.project or replays.directory)
    wanted = _questions(replays, stale=stale)
    if stack.replayed is None and not live:
        message = f"the stack that runs here asks the real model: {len(wanted)} conversations would be paid"
        raise StackError(message, "add --live, or start it without --live, --record")
    failed = 0
    for number, conversation in enumerate(wanted, 1):
        say(f"asking {number} of {len(wanted)}: {conversation[-1][:_SHOWN]}")
        try:
            _hold(stack.api, conversation, key)
        except StackError as error:
            say(f"  {error}")
            failed += 1
    time.sleep(_SETTLE_S)
    return failed


def _questions(replays: Replays, *, stale: bool) -> list[Conversation]:
    files = None
    if stale:
        files = frozenset(verify(replays.directory, replays.now(), replays.runs()).recordings("stale"))
    recordings = Inventory(replays.directory).recordings()
    return conversations(one.exchange.request for one in recordings if files is None or one.file in files)


def _hold(api: str, conversation: Conversation, key: str | None) -> None:
    name = None
    for text in conversation:
        for part in ask(api, text, name, key):
            if isinstance(part, Answer):
                name = part.conversation
