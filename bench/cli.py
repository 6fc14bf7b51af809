"""What a command costs before it does anything: `shipway --help` beside `python -c pass`."""

from __future__ import annotations

import sys
from pathlib import Path

from table import Row, medians, report, seconds

SHIPWAY = str(Path(sys.executable).with_name("shipway"))


COMMANDS = {
    "--help": "<= 6 x",
    "plan stack examples/02-support": "",
    "build examples/02-support": "",  # nothing has changed
}


def main() -> None:
    commands = [(sys.executable, "-c", "pass"), *((SHIPWAY, *line.split()) for line in COMMANDS)]
    bare, *ours = medians([lambda command=command: seconds(command) for command in commands], 15)
    rows = [
        Row(f"`shipway {line}`", "ms", value * 1e3, target, bare * 1e3, "`python -c pass`")
        for (line, target), value in zip(COMMANDS.items(), ours, strict=True)
    ]
    report("cli", rows, "shipway", "click", "pydantic")


main()
