"""`python -m shipway.replay DIR`: the replay without the rest of shipway, for a small image."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from shipway.errors import ShipwayError
from shipway_runtime import contract


def main() -> int:
    # Else a first process ignores it, and imports last. An exception could be swallowed by what is imported.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    from shipway.replay.recording import options
    from shipway.replay.secrecy import named
    from shipway.replay.server import serve

    parser = argparse.ArgumentParser(
        prog="shipway.replay", description="A model API that replays a directory."
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="recorded exchanges and scripted replies")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=contract.REPLAY_PORT)
    parser.add_argument(
        "--speed", type=_speed, help="1 is the recorded pace, 2 twice as fast; default: at once"
    )
    parser.add_argument("--journal", type=Path, metavar="FILE", help="note there which recordings are used")
    parser.add_argument("--record", action="store_true", help="record what the real APIs answer")
    parser.add_argument("--record-missing", action="store_true", help="record what no recording answers")
    parser.add_argument("--upstream", action="append", default=[], metavar="[PROVIDER=]URL")
    parser.add_argument("--secret", action="append", default=[], metavar="NAME", help="in no recording")
    arguments = parser.parse_args()
    try:
        recorded = options.read(
            record=arguments.record,
            record_missing=arguments.record_missing,
            upstreams=arguments.upstream,
        )
        serve(
            arguments.directory,
            arguments.host,
            arguments.port,
            arguments.speed,
            arguments.journal,
            recorded,
            named(arguments.secret, os.environ),
        )
    except ShipwayError as error:
        print("\n".join(filter(None, [f"error: {error}", error.hint])), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def _speed(text: str) -> float:
    value = float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError("expected a number above 0")
    return value


if __name__ == "__main__":
    sys.exit(main())
