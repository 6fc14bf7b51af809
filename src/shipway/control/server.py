"""Control as a process.

In: an address, a database, tokens. Out: a server until SIGTERM or Ctrl-C, which lets requests in flight
finish. Errors: StoreError for a database that cannot be used, TokenError, StackError for an address that
cannot be had.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from shipway.control.app import THREADS, create_app
from shipway.control.http import tokens as tokens_of
from shipway.control.http.tokens import TokenError, Tokens
from shipway.listening import bind
from shipway.loopback import is_loopback
from shipway_runtime.contract import SECRETS, env

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipway.control.store.database import Database

_GRACE_S = 10  # for requests in flight, after SIGTERM
_LEAVE_S = 2.0  # for threads to end


def serve(
    host: str, port: int, data: Path, url: str | None, keep_s: float, environ: Mapping[str, str] = os.environ
) -> None:
    """Serve on http://HOST:PORT until SIGTERM; port 0 takes a free one and says which.

    Without `url` the database is a file in `data`.
    """
    signal.signal(signal.SIGTERM, stop)
    tokens = _tokens(host, data, environ)
    database, kept = _database(data, url, environ)
    listener = bind(host, port)
    database.open()
    try:
        shown = f"[{host}]" if ":" in host else host
        print(
            f"control: http://{shown}:{listener.getsockname()[1]}, kept in {kept}",
            file=sys.stderr,
            flush=True,
        )
        config = uvicorn.Config(
            create_app(database, tokens, keep_s),
            http="httptools",
            ws="none",
            access_log=False,
            server_header=False,
            log_level="warning",
            timeout_graceful_shutdown=_GRACE_S,
        )
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        database.close()
        _leave()


def _leave() -> None:
    """Requests have had their time. A thread that still waits for a database that hangs must not keep the
    process, which would wait for it without a bound."""
    ours = [thread for thread in threading.enumerate() if thread.name.startswith(THREADS)]
    for thread in ours:
        thread.join(_LEAVE_S / len(ours))
    if any(thread.is_alive() for thread in ours):
        print(
            "control: the database hangs; what was not acknowledged comes again", file=sys.stderr, flush=True
        )
        os._exit(0)


def stop(*_: object) -> None:
    """End by SIGTERM as one who was asked to: uvicorn, too, raises that again once it has stopped."""
    sys.exit(0)


def _tokens(host: str, data: Path, environ: Mapping[str, str]) -> Tokens:
    """From the variable, the secret file, or made here where nobody else can reach the port."""
    if given := environ.get(env.CONTROL_TOKENS):
        return Tokens(given)
    mounted = Path(environ.get(env.SECRETS, SECRETS)) / env.CONTROL_TOKENS
    if mounted.exists():
        return Tokens(mounted.read_text(), mounted)
    if not is_loopback(host):
        raise TokenError(
            f"there are no tokens, and control would listen on {host}",
            f"put them into {env.CONTROL_TOKENS} or {mounted}, a line for each: role name token",
        )
    text, new = tokens_of.make(data)
    words = "made, each for its role" if new else "as before"
    print(f"control: tokens {words}, in {data / tokens_of.FILE}", file=sys.stderr)
    if new:
        print(text, end="", file=sys.stderr)
    return Tokens(text, data / tokens_of.FILE)


def _database(data: Path, url: str | None, environ: Mapping[str, str]) -> tuple[Database, str]:
    """The database, and where it is, in words that hold no password."""
    mounted = Path(environ.get(env.SECRETS, SECRETS)) / env.CONTROL_DATABASE
    if url or mounted.exists():
        from shipway.control.store.postgres import Postgres

        return Postgres(lambda: url or mounted.read_text().strip()), "PostgreSQL"
    from shipway.control.store.sqlite import FILE, Sqlite

    return Sqlite(data), str(data / FILE)
