"""What a tape answers to a request: recordings first, then scripted replies, else a miss.

In: a `Tape` and requests. Out: an `Answer`. The only state is how far each key has been played: recordings
of one key answer in order, and the last one repeats.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from typing import TYPE_CHECKING

from shipway.replay import script
from shipway.replay.apis import providers
from shipway.replay.apis.provider import ConversionError, ErrorEventError, Provider
from shipway.replay.matching import nearest
from shipway.replay.tape import Recording, Tape, canonical_body, key, place
from shipway.replay.traffic import Answer

if TYPE_CHECKING:
    from shipway.replay.exchange import Request, Response
    from shipway.replay.traffic import Incoming

COUNTED = "counted"  # the source of an answer to a request that only counts tokens
MISS_STATUS = 404  # providers' SDKs retry 408, 409, 429 and 5xx


class Player:
    """An Answerer. `speed` is the pace of its streams: None at once, 1.0 as recorded, 2.0 twice as fast."""

    def __init__(self, tape: Tape, speed: float | None = None) -> None:
        if speed is not None and speed <= 0:
            raise ValueError(f"speed: expected a number above 0, saw {speed}")
        self._tape, self._speed = tape, speed
        self._queues: dict[str, list[Recording]] = defaultdict(list)
        for recording in tape.recordings:
            self._queues[recording.key].append(recording)

    async def answer(self, incoming: Incoming) -> Answer:
        return dataclasses.replace(self.play(incoming.request), speed=self._speed)

    def play(self, request: Request) -> Answer:
        """The next answer to this request."""
        provider = providers.find(request.path)
        if recording := self._next(key(request)):
            return _recorded(recording, request, provider)
        if provider is None:
            return _miss(_foreign(self._tape, request), None)
        return self._scripted(request, provider)

    def _next(self, wanted: str) -> Recording | None:
        queue = self._queues.get(wanted)
        if not queue:
            return None
        return queue.pop(0) if len(queue) > 1 else queue[0]

    def _scripted(self, request: Request, provider: Provider) -> Answer:
        if (counted := provider.count(request)) is not None:
            return Answer(COUNTED, headers=provider.headers(counted), body=counted)
        last = provider.last_message(request.body)
        chosen = script.choose(self._tape.replies, last) if last else None
        if chosen is None:
            return _miss(_unanswered(self._tape, request), provider)
        demands, offered = provider.demands(request.body), provider.tools(request.body)
        if problem := demands.unmet(chosen.say, chosen.calls, offered):
            return _miss(f"{chosen.place} {problem}", provider)
        body = provider.synthesise(request, chosen.say, chosen.calls)
        answer = Answer(
            chosen.place, headers=provider.headers(body), body=body, note=_drift(self._tape, request)
        )
        if provider.streams(request):
            return dataclasses.replace(answer, body=None, events=provider.to_events(body, request))
        return answer


def _recorded(recording: Recording, request: Request, provider: Provider | None) -> Answer:
    """The recorded answer in the form that the request asks for."""
    response = recording.exchange.response
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
        return _miss(
            f"{recording.file} cannot be replayed as {wanted}: {error}. Record this form too.", provider
        )


def _as_recorded(file: str, response: Response) -> Answer:
    return Answer(file, response.status, response.headers, response.body, events=response.events)


# -- Misses: what was seen, what was expected, what to do ----------------------------------------------------


def _miss(message: str, provider: Provider | None) -> Answer:
    text = f"shipway replay: {message}"
    plain = {"error": {"type": "not_found_error", "message": text}}
    body = provider.error(MISS_STATUS, text) if provider else plain
    told = provider.headers(body) if provider else {}
    return Answer("", MISS_STATUS, told | {"x-should-retry": "false"}, body, note=text)


def _foreign(tape: Tape, request: Request) -> str:
    return f"nothing in {tape.directory} answers {request.method} {request.path}."


def _unanswered(tape: Tape, request: Request) -> str:
    lines = [f"nothing in {tape.directory} answers this {request.method} {request.path}."]
    if difference := _difference(tape, request):
        lines += [f"Nearest is {difference[0]}, which differs in:", *difference[1]]
    lines.append("Correct what the agent sends, add a recording, or add a [[reply]] to a .toml file there.")
    return "\n".join(lines)


def _drift(tape: Tape, request: Request) -> str:
    """A script must not hide that recordings went stale: say which one was nearest."""
    difference = _difference(tape, request)
    if not difference:
        return ""
    return "\n".join([f"no recording matches; nearest is {difference[0]}, which differs in:", *difference[1]])


def _difference(tape: Tape, request: Request) -> tuple[str, list[str]] | None:
    body = canonical_body(request)
    recording = nearest.find(tape.recordings, request.method.upper(), place(request.path), body)
    return (recording.file, nearest.describe(recording.canonical, body)) if recording else None
