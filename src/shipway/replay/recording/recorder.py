"""An Answerer that asks the real API, passes its answer on as it comes, and stores both.

In: requests; the directory of replays. Out: the API's own answers, and a file for each whole, successful one.
A failure (429, 5xx, an error event, a broken connection, a client that left) is passed on and not stored: it
would be replayed for ever. With `only_missing`, recordings answer first.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.replay.apis import providers
from shipway.replay.drift import provenance
from shipway.replay.exchange import write
from shipway.replay.recording import taking
from shipway.replay.recording.directory import Directory
from shipway.replay.recording.upstream import Upstream, UpstreamError
from shipway.replay.tape import key
from shipway.replay.traffic import Answer, BrokenError

if TYPE_CHECKING:
    from shipway.replay.exchange import Exchange
    from shipway.replay.recording.directory import Place, Stored
    from shipway.replay.recording.options import Recorded
    from shipway.replay.recording.taking import Chunk
    from shipway.replay.recording.upstream import Coming
    from shipway.replay.secrecy import Secrets
    from shipway.replay.tape import Tape
    from shipway.replay.traffic import Answerer, Incoming, Live

_UPSTREAM, _UNREACHABLE = "upstream", 502
_CHECK = "Check the network, HTTPS_PROXY and SSL_CERT_FILE, or leave out --record."


class Recorder:
    """An Answerer. `player` plays the tape, which answers first where `how` says so."""

    def __init__(self, player: Answerer, tape: Tape, how: Recorded, secrets: Secrets) -> None:
        self._player, self._how, self._secrets = player, how, secrets
        self._directory = Directory(Path(tape.directory), tape.recordings)
        self._upstream = Upstream(how.upstreams)
        self._surroundings = provenance.surroundings(os.environ)
        self._storing = threading.Lock()
        self._done: set[str] = set()
        self._count = self._replaced = 0
        self.insert(tape)
        asked = "what no recording answers is" if how.only_missing else "everything is"
        _say(f"{asked} asked of the real API, and recorded")

    def insert(self, tape: Tape) -> None:
        """This tape answers from now on: what was recorded is in it."""
        self._ignored = tape.ignored
        self._known = {recording.key for recording in tape.recordings}

    async def answer(self, incoming: Incoming) -> Answer:
        if self._how.only_missing and key(incoming.request, self._ignored) in self._known:
            answer = await self._player.answer(incoming)
            if answer.source:  # else it was recorded in another form
                return answer
        began = time.monotonic()
        place = self._directory.reserve(incoming.request)
        try:
            coming = await self._upstream.ask(incoming)
        except UpstreamError as error:
            self._directory.release(place)
            text = self._secrets.hide(f"shipway replay: {error}. {_CHECK}")
            return _unreachable(text, incoming, final=error.final)
        except asyncio.CancelledError:
            self._skip(incoming, place, "the client left before the answer came")
            raise
        live = self._pass_on(incoming, coming, place, began)
        await anext(live)  # from here on, closing it closes the connection
        return Answer("", coming.status, coming.headers, live=live)

    def finish(self) -> None:
        """Clean up, and say what was done."""
        if self._replaced:
            self._directory.sweep()
        replaced = f", {self._replaced} of them in place of older ones" if self._replaced else ""
        left = self._directory.left()
        if self._count and left and not self._how.only_missing:
            ones = "one was" if left == 1 else "ones were"
            replaced += f"; {left} older {ones} not asked for: shipway replay verify says what is stale"
        exchanges = f"{self._count} exchange{'' if self._count == 1 else 's'}"
        _say(f"{exchanges} recorded in {self._directory.path}{replaced}")

    async def _pass_on(self, incoming: Incoming, coming: Coming, place: Place, began: float) -> Live:
        chunks: list[Chunk] = []
        try:
            yield 0.0, b""
            async for chunk in coming.chunks():
                chunks.append(((time.monotonic() - began) * 1000, chunk))
                yield chunks[-1]
        except BrokenError as error:
            self._skip(incoming, place, f"the connection broke: {error}")
            raise
        except (GeneratorExit, asyncio.CancelledError):
            # SDKs close a stream at its last event, and do not wait for its end.
            loop = asyncio.get_running_loop()
            loop.run_in_executor(None, partial(self._keep, incoming, coming, place, chunks, left=True))
            raise
        finally:
            await coming.close()
        await asyncio.to_thread(self._keep, incoming, coming, place, chunks)

    # -- Storing -------------------------------------------------------------------------------------------

    def _keep(
        self, incoming: Incoming, coming: Coming, place: Place, chunks: list[Chunk], *, left: bool = False
    ) -> None:
        """Store an exchange, or say why not. Takes its time: not on the loop, where other streams wait."""
        secrets = self._secrets.with_keys(incoming.headers, incoming.target)
        try:
            meta = provenance.describe(incoming, *self._surroundings)
            exchange = taking.take(incoming, coming, chunks, meta, secrets, left=left)
            stored = self._store(place, exchange)
        except taking.UnfitError as error:
            self._skip(incoming, place, str(error))
            return
        except OSError as error:
            self._skip(incoming, place, f"{self._directory.path} cannot be written: {error.strerror}")
            return
        seconds = chunks[-1][0] / 1000 if chunks else 0.0
        line = f"recorded {stored.file} ({_size(stored.size)}, {seconds:.1f} s)"
        if stored.removed:
            others = [file for file in stored.removed if file != stored.file]
            line += f", in place of {' and '.join(['the older one', *others])}"
        _say(f"{_named(incoming, coming.status)} {line}")

    def _store(self, place: Place, exchange: Exchange) -> Stored:
        text, files = write(exchange)
        wanted = key(exchange.request, self._ignored)
        with self._storing:
            if self._how.only_missing and wanted in self._done:
                raise taking.UnfitError("another request like it was recorded meanwhile")
            stored = self._directory.store(place, wanted, text, files)
            self._done.add(wanted)
            self._count += 1
            self._replaced += bool(stored.removed)
            return stored

    def _skip(self, incoming: Incoming, place: Place, reason: str) -> None:
        self._directory.release(place)
        _say(f"{_named(incoming)} not recorded: {reason}")


# -- Words -----------------------------------------------------------------------------------------------


def _unreachable(text: str, incoming: Incoming, *, final: bool) -> Answer:
    provider = providers.find(incoming.request.path)
    plain = {"error": {"type": "api_error", "message": text}}
    body = provider.error(_UNREACHABLE, text) if provider else plain
    headers = {"x-should-retry": "false"} if final else {}
    return Answer(_UPSTREAM, _UNREACHABLE, headers, body, note=text)


def _named(incoming: Incoming, status: int | None = None) -> str:
    request = incoming.request
    return f"{request.method} {request.path}{f' {status}' if status else ''}"


def _size(count: int) -> str:
    return f"{count / 1_000_000:.1f} MB" if count >= 1_000_000 else f"{max(count / 1000, 0.1):.1f} kB"


def _say(line: str) -> None:
    print(f"replay: {line}", file=sys.stderr, flush=True)
