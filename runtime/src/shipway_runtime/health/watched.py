"""An agent whose turns are watched for what the model does.

In: an agent. Out: the same agent; the end of each turn is noted, and what was the model's doing becomes
`ModelError`, which clients may meet by coming back.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

from .. import contract
from ..telemetry import log
from ..turn import TurnError
from .faults import Fault, find_fault

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ..context import Context
    from ..dialogue import Agent, Dialogue, Piece
    from .traffic import Traffic


class ModelError(TurnError):
    """The model gave no answer. Clients may come back, unless it is the key, or a tool has run already."""

    status = 503
    code = "model_unavailable"

    def __init__(self, fault: Fault, *, acted: bool) -> None:
        super().__init__(
            fault.reason if fault.shown else "the model gave no answer; the log of this instance says why"
        )
        self.retry_s = fault.retry_s
        self.began = acted or fault.refused or fault.shown  # to come back would not help
        if fault.refused:
            self.status, self.code = 500, "model_unauthorized"


def watch(agent: Agent, traffic: Traffic, host: str) -> Agent:
    """The agent, with every turn's end noted. `host` is where the model API is."""

    async def watched(dialogue: Dialogue, ctx: Context) -> AsyncGenerator[Piece, None]:
        try:
            async with contextlib.aclosing(agent(dialogue, ctx)) as pieces:
                async for piece in pieces:
                    yield piece
        except Exception as error:
            if (fault := _fault(error, host, ctx.tally.fault)) is None:
                raise
            traffic.failed(fault)
            turn = contract.response_id(ctx.conversation, ctx.turn)
            log.error("turn %s: the model: %s", turn, fault.reason, exc_info=error)
            raise ModelError(fault, acted=ctx.tally.tool_calls > 0) from None
        traffic.succeeded()

    return watched


def _fault(error: Exception, host: str, seen: Fault | None) -> Fault | None:
    """What the error says, and what was seen of the turn's last request: frameworks raise errors of their own
    for what the model did, and leave out how long it wants to be left alone."""
    found = find_fault(error, host)
    if found and seen and found.retry_s is None:
        return dataclasses.replace(found, retry_s=seen.retry_s)
    return found or seen
