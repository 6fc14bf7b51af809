"""The replay as a process.

In: a directory, an address. Out: a server until SIGTERM or Ctrl-C; SpecError for a bad directory, StackError
for an address that cannot be had. As the first process of a container it ends by SIGTERM like elsewhere, from
its first moment on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shipway.errors import StackError
from shipway.listening import bind
from shipway.replay.app import TRANSPORT, create_app
from shipway.replay.drift.journal import keep
from shipway.replay.faults.control import with_control
from shipway.replay.faults.faulty import Faulty
from shipway.replay.following import Following
from shipway.replay.player import Player
from shipway.replay.rewinding import with_rewinding
from shipway.replay.secrecy import NONE
from shipway.replay.tape import load

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from starlette.types import ASGIApp

    from shipway.replay.recording.options import Recorded
    from shipway.replay.secrecy import Secrets
    from shipway.replay.tape import Tape
    from shipway.replay.traffic import Answerer

_GRACE_S = 0.5  # for streams in flight, after SIGTERM; then their connections break
_LATEST_S = 2  # for what does not end with its connection


def serve(
    directory: Path,
    host: str,
    port: int,
    speed: float | None,
    journal: Path | None = None,
    recorded: Recorded | None = None,
    secrets: Secrets = NONE,
) -> None:
    """Replay `directory` on http://HOST:PORT until SIGTERM; port 0 takes a free one and says which.

    `journal` is the file that says what was used, for `shipway replay verify`. With `recorded`, the real APIs
    are asked, and what they answer is recorded. No recording holds any of `secrets`.
    """
    signal.signal(signal.SIGTERM, stop)
    if recorded:
        _make(directory)
    tape = load(directory)
    listener = bind(host, port)
    counts = f"{len(tape.recordings)} recordings, {len(tape.replies)} scripted replies"
    url = f"http://{host}:{listener.getsockname()[1]}"
    print(f"replay: {counts} from {directory} on {url}", file=sys.stderr, flush=True)
    for name in secrets.weak:
        print(f"replay: {name} is too short or too common to be kept out of recordings", file=sys.stderr)
    player = Player(tape, speed)
    with keep(player, journal) as kept, _recording(kept, tape, recorded, secrets) as (answerer, told):
        faulty = Faulty(answerer, tape.faults)
        told = (player.insert, lambda tape: faulty.give(tape.faults), *told)
        following = Following(faulty, tape, *told, quiet=bool(recorded))
        app = with_rewinding(create_app(following, secrets), player.rewind, faulty.rewind)
        _run(with_control(app, faulty), listener)


def _make(directory: Path) -> None:
    """The directory to record into. Raises StackError where nothing can be written."""
    fix = "record into another directory, or make it writable"
    try:
        if not directory.exists():
            directory.mkdir(parents=True)
    except OSError as error:
        raise StackError(f"{directory} cannot be made: {error.strerror}", fix) from None
    if not os.access(directory, os.W_OK):
        raise StackError(f"{directory} cannot be written", fix)


@contextlib.contextmanager
def _recording(
    player: Answerer, tape: Tape, recorded: Recorded | None, secrets: Secrets
) -> Iterator[tuple[Answerer, tuple[Callable[[Tape], None], ...]]]:
    """Who answers, and who is to be told of a new tape: `player`, or a recorder with it.

    That is imported when it is wanted: a replay starts sooner.
    """
    if recorded is None:
        yield player, ()
        return
    from shipway.replay.recording.recorder import Recorder

    recorder = Recorder(player, tape, recorded, secrets)
    try:
        yield recorder, (recorder.insert,)
    finally:
        recorder.finish()


def _run(app: ASGIApp, listener: socket.socket) -> None:
    config = uvicorn.Config(
        app,
        http=_Breakable,
        lifespan="off",
        access_log=False,
        log_level="error",
        timeout_graceful_shutdown=_LATEST_S,
    )
    _Server(config).run(sockets=[listener])


def stop(*_: object) -> None:
    """End by SIGTERM as one who was asked to: uvicorn, too, raises that again once it has stopped."""
    sys.exit(0)


class _Server(uvicorn.Server):
    """It breaks the connections of streams that go on, as an end of the process would: nothing is wrong."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().call_later(_GRACE_S, self._break)
        await super().shutdown(sockets)

    def _break(self) -> None:
        for connection in tuple(self.server_state.connections):
            if isinstance(connection, _Breakable):
                connection.transport.abort()


class _Breakable(HttpToolsProtocol):
    """Its connections can be broken by the app."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}
