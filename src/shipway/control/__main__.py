"""`python -m shipway.control`: control without the rest of shipway, for a small image."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from shipway.errors import ShipwayError
from shipway_runtime import contract
from shipway_runtime.contract import env

_KEEP_DAYS = 30.0


def main() -> int:
    # Else a first process ignores it, and imports last. An exception could be swallowed by what is imported.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    from shipway.control.server import serve

    parser = argparse.ArgumentParser(
        prog="shipway.control",
        description="The server that a fleet shares.",
        epilog=f"Tokens are in {env.CONTROL_TOKENS}, or in {contract.SECRETS}; so is {env.CONTROL_DATABASE}.",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=contract.CONTROL_PORT)
    parser.add_argument("--data", type=Path, default=os.environ.get(env.CONTROL_DATA, contract.CONTROL_DATA))
    parser.add_argument("--keep", type=float, default=_KEEP_DAYS, metavar="DAYS", help="of single outcomes")
    arguments = parser.parse_args()
    try:
        serve(
            arguments.host,
            arguments.port,
            Path(arguments.data),
            os.environ.get(env.CONTROL_DATABASE),
            arguments.keep * 86_400,
        )
    except ShipwayError as error:
        print("\n".join(filter(None, [f"error: {error}", error.hint])), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
