"""Calls in rounds: how a server of the one world asks a client of the other.

A legacy server asks in the middle of a call, with a request of its own. A modern one ends the call with what
it needs to know (`input_required`), and gets it with the next call. In: one side's way. Out: the other's.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from typing import TYPE_CHECKING

from ..eras import input_required, needs_input
from ..messages import INTERNAL_ERROR, INVALID_PARAMS, Json, RpcError
from .audience import Audience

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .audience import Ask
    from .delivery import Delivery
    from .link import Notify
    from .privates import Private, Privates

_MOST_ROUNDS = 10  # as the SDKs have it
_MOST_WARM = 2  # processes kept for the next modern client that offers the same


async def ask_all(ask: Ask, call: Callable[[Json], Awaitable[Json]]) -> Json:
    """A legacy client's call of a modern server: its questions are asked until there is an answer.

    `call` is made with what has to be added to the params.
    """
    more: Json = {}
    for _ in range(_MOST_ROUNDS):
        answer = await call(more)
        result = answer.get("result")
        if not isinstance(result, dict) or not needs_input(result):
            return answer
        questions = result.get("inputRequests") or {}
        answers = await asyncio.gather(*(ask(q["method"], q.get("params")) for q in questions.values()))
        more = {"inputResponses": dict(zip(questions, answers, strict=True))}
        if (state := result.get("requestState")) is not None:
            more["requestState"] = state
    raise RpcError(INTERNAL_ERROR, f"the server asked for more than {_MOST_ROUNDS} times")


class Round:
    """One modern client's call of a legacy server, which has a process for it as long as it takes."""

    def __init__(self, private: Private) -> None:
        self.private = private
        self.delivery: Delivery | None = None
        self.call: asyncio.Task[Json] | None = None
        self._questions: dict[str, tuple[Json, asyncio.Future[Json]]] = {}
        self._numbers = itertools.count(1)
        self._changed = asyncio.Event()

    async def ask(self, method: str, params: Json | None) -> Json:
        key, answer = f"question-{next(self._numbers)}", asyncio.get_running_loop().create_future()
        self._questions[key] = ({"method": method, "params": params or {}}, answer)
        self._changed.set()
        try:
            result: Json = await answer
            return result
        finally:
            del self._questions[key]

    def answer(self, answers: Json) -> None:
        """What the client brings; what it leaves out is asked again."""
        for key, result in answers.items():
            _, answer = self._questions.get(key, (None, None))
            if answer and not answer.done() and isinstance(result, dict):
                answer.set_result(result)

    async def next(self) -> None:
        """Wait for the end of the call, or for a question that has no answer yet."""
        assert self.call
        while not self.call.done():
            await asyncio.sleep(0)  # whoever got an answer takes its question away
            if any(not answer.done() for _, answer in self._questions.values()):
                return
            self._changed.clear()
            changed = asyncio.ensure_future(self._changed.wait())
            try:
                await asyncio.wait({self.call, changed}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                changed.cancel()

    def required(self, state: str) -> Json:
        open_questions = {key: q for key, (q, answer) in self._questions.items() if not answer.done()}
        return {"result": input_required(open_questions, state)}

    def report(self, progress: Json) -> None:
        if self.delivery:
            self.delivery.post(progress)


class Rounds:
    """The calls of one server that wait for modern clients, and processes that wait for the next call."""

    def __init__(self, privates: Privates) -> None:
        self._privates = privates
        self._waiting: dict[str, Round] = {}
        self._warm: dict[str, list[Private]] = {}

    async def call(
        self, delivery: Delivery, features: Json, run: Callable[[Private, Notify], Awaitable[Json]]
    ) -> Json:
        """An answer, or what the client has to bring first. `run` makes the call in a process."""
        params = delivery.message.get("params") or {}
        state = params.get("requestState")
        if state is None:
            this = await self._begin(delivery, features, run)
        elif (found := self._waiting.pop(str(state), None)) is None:
            raise RpcError(INVALID_PARAMS, "this requestState is not known (any more): make the call again")
        else:
            this = found
            self._serve(this, delivery)
            answers = params.get("inputResponses")
            this.answer(answers if isinstance(answers, dict) else {})
        return await self._go_on(this)

    async def _begin(
        self, delivery: Delivery, features: Json, run: Callable[[Private, Notify], Awaitable[Json]]
    ) -> Round:
        this = Round(await self._lease(features))
        self._serve(this, delivery)
        this.private.audience.ask = this.ask
        this.call = asyncio.ensure_future(run(this.private, this.report))
        this.call.add_done_callback(lambda _: self._end(this))
        return this

    async def _go_on(self, this: Round) -> Json:
        assert this.call
        try:
            await this.next()
        except asyncio.CancelledError:
            this.call.cancel()
            raise
        if this.call.done():
            return this.call.result()
        state = os.urandom(16).hex()
        self._waiting[state] = this
        return this.required(state)

    def _serve(self, this: Round, delivery: Delivery) -> None:
        """From here on this request stands for the call."""
        this.private.audience.deliveries = {delivery: None}
        this.delivery = delivery

    def _end(self, this: Round) -> None:
        if this.call and not this.call.cancelled():
            this.call.exception()  # seen, also when the client never came back
        for state in [state for state, waiting in self._waiting.items() if waiting is this]:
            del self._waiting[state]
        this.private.audience.deliveries.clear()
        this.private.audience.ask = None
        warm = self._warm.setdefault(_key(this.private.features), [])
        if len(warm) < _MOST_WARM and not this.private.closed:
            warm.append(this.private)
        else:
            self._privates.close(this.private)

    async def _lease(self, features: Json) -> Private:
        warm = self._warm.get(_key(features), [])
        while warm:
            if not (private := warm.pop()).closed:
                return private
        return await self._privates.open(features, Audience())


def without_answers(params: Json | None) -> Json | None:
    """Params as the server knows them: without what belongs to the rounds."""
    return params and {k: v for k, v in params.items() if k not in ("inputResponses", "requestState")}


def _key(features: Json) -> str:
    return json.dumps(features, sort_keys=True)
