"""What a tape answers to a request: recordings first, then scripted replies, else a miss.

In: a `Tape` and requests. Out: an `Answer`. The only state is how often each key has been played: recordings
of one key answer in order, and the last one repeats.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from shipway.replay import misses
from shipway.replay.apis import providers
from shipway.replay.apis.provider import ConversionError, ErrorEventError, Provider
from shipway.replay.scripts import conversation
from shipway.replay.scripts.replies import Chosen, choose
from shipway.replay.tape import Recording, Tape, key
from shipway.replay.traffic import Answer

if TYPE_CHECKING:
    from shipway.replay.exchange import Request, Response
    from shipway.replay.matching.nearest import Near
    from shipway.replay.scripts.conversation import Asked
    from shipway.replay.traffic import Incoming

MISS_STATUS = 404  # providers' SDKs retry 408, 409, 429 and 5xx
COUNTED = "counted"  # the source of an answer to a request that only counts tokens
_PATHS = 20  # that an answer names of where it differs
_SCRIPTED_MS = 20.0  # between two events of a stream that was never recorded


class Player:
    """An Answerer. `speed` is the pace of its streams: None at once, 1.0 as recorded, 2.0 twice as fast.

    Raises ChangedError for a recording whose file is not what it was.
    """

    def __init__(self, tape: Tape, speed: float | None = None) -> None:
        if speed is not None and speed <= 0:
            raise ValueError(f"speed: expected a number above 0, saw {speed}")
        self._speed = speed
        self._played: Counter[str] = Counter()
        self.insert(tape)

    def insert(self, tape: Tape) -> None:
        """Play this tape from now on; positions stay."""
        self._tape = tape
        self._queues: dict[str, list[Recording]] = defaultdict(list)
        for recording in tape.recordings:
            self._queues[recording.key].append(recording)

    def rewind(self) -> None:
        """Start over: the first recording of each request is the next."""
        self._played.clear()

    async def answer(self, incoming: Incoming) -> Answer:
        request = incoming.request
        wanted = key(request, self._tape.ignored)
        if wanted in self._queues:
            answer = self._next(wanted, request)
        else:  # comparing takes its time
            answer = await asyncio.to_thread(unrecorded, self._tape, request)
        return dataclasses.replace(answer, speed=self._pace(answer))

    def _pace(self, answer: Answer) -> float | None:
        """A script's own pace, and faster or slower with `speed`."""
        return self._speed if answer.speed is None else answer.speed * (self._speed or 1.0)

    def _next(self, wanted: str, request: Request) -> Answer:
        queue, before = self._queues[wanted], self._played[wanted]
        answer = _recorded(queue[min(before, len(queue) - 1)], request)
        self._played[wanted] = before + 1  # now: a file that has changed was not played
        if before < len(queue) or len(queue) == 1:
            return answer
        note = f"recorded {len(queue)} times, asked {before + 1} times: the last answer repeats"
        return dataclasses.replace(answer, note=answer.note or note)


def _recorded(recording: Recording, request: Request) -> Answer:
    """The recorded answer in the form that the request asks for."""
    response = recording.exchange.response
    provider = providers.find(request.path)
    if (
        provider is None
        or request.method != "POST"
        or response.status != 200
        or provider.streams(request) == (response.events is not None)
    ):
        return _as_recorded(recording.file, response)
    headers = {name: value for name, value in response.headers.items() if name.lower() != "content-type"}
    try:
        if response.events is None:
            return Answer(recording.file, headers=headers, events=provider.to_events(response.body, request))
        return Answer(recording.file, headers=headers, body=provider.to_body(response.events))
    except ErrorEventError as error:
        return Answer(recording.file, status=error.status, headers=headers, body=error.body)
    except (ConversionError, LookupError, TypeError, AttributeError) as error:
        wanted = "a stream" if response.events is None else "JSON"
        return miss(
            f"{recording.file} cannot be replayed as {wanted}: {error}. Record this form too.", provider
        )


def _as_recorded(file: str, response: Response) -> Answer:
    return Answer(file, response.status, response.headers, response.body, events=response.events)


# -- What nobody recorded ------------------------------------------------------------------------------------


def unrecorded(tape: Tape, request: Request) -> Answer:
    """The answer of a script, or a miss; either names the nearest recording and where it differs."""
    provider = providers.find(request.path)
    if provider is None:
        return miss(misses.foreign(tape, request), None)
    if (counted := provider.count(request)) is not None:
        return Answer(COUNTED, headers=provider.headers(counted), body=counted)
    found, offered = misses.near(tape, request), provider.tools(request.body)
    counts = any(reply.times is not None for reply in tape.replies)
    asked = conversation.read(request, provider, history=counts)
    chosen = choose(tape.replies, asked) if asked else None
    if asked is None or chosen is None:
        answer = miss(misses.unanswered(tape, request, asked, found, offered), provider)
    elif problem := misses.unmet(chosen, request, provider):
        answer = miss(problem, provider)
    else:
        note = _note(tape, request, asked, found, offered)
        answer = dataclasses.replace(_scripted(chosen, request, provider), note=note)
    if found is None:
        return answer
    differs = dict.fromkeys(difference.path for difference in found.differences)
    return dataclasses.replace(answer, near=found.file, differs=tuple(differs)[:_PATHS])


def _scripted(chosen: Chosen, request: Request, provider: Provider) -> Answer:
    body = provider.synthesise(request, chosen.say, chosen.calls)
    if chosen.stop or chosen.usage:
        body = provider.finish(body, chosen.stop, chosen.usage)
    headers = provider.headers(body)
    if not provider.streams(request):
        return Answer(chosen.place, headers=headers, body=body)
    speed = _SCRIPTED_MS / chosen.pace_ms if chosen.pace_ms else None
    return Answer(chosen.place, headers=headers, events=provider.to_events(body, request), speed=speed)


def _note(tape: Tape, request: Request, asked: Asked, found: Near | None, offered: frozenset[str]) -> str:
    """For the log: a script must not hide that recordings went stale, nor that a name is misspelt."""
    lines = misses.misnamed(tape.replies, asked, offered)
    if found:
        first, *rest = misses.comparison(tape, request, found)
        lines += [f"no recording matches. {first}", *rest]
    return "\n".join(lines)


def miss(message: str, provider: Provider | None) -> Answer:
    """An error that no SDK retries, in the provider's shape."""
    text = f"shipway replay: {message}"
    plain = {"error": {"type": "not_found_error", "message": text}}
    body = provider.error(MISS_STATUS, text) if provider else plain
    told = provider.headers(body) if provider else {}
    return Answer("", MISS_STATUS, told | {"x-should-retry": "false"}, body, note=text)
