"""What a command costs before it does anything: `shipway --help` beside `python -c pass`."""

from __future__ import annotations

import sys
from pathlib import Path

from table import Row, median, report, seconds

SHIPWAY = str(Path(sys.executable).with_name("shipway"))


COMMANDS = {
    "--help": "<= 6 x",
    "plan stack examples/02-support": "",
    "build examples/02-support": "",  # nothing has changed
}


def main() -> None:
    bare = median(lambda: seconds((sys.executable, "-c", "pass")), 15) * 1e3
    rows = []
    for arguments, target in COMMANDS.items():
        command = (SHIPWAY, *arguments.split())
        ours = median(lambda command=command: seconds(command), 15) * 1e3
        rows.append(Row(f"shipway {arguments}", "ms", ours, target, bare, "python -c pass"))
    report("cli", rows, "shipway", "click", "pydantic")


main()
