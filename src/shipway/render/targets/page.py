"""The table of targets -> docs/reference/targets.md: `python -m shipway.render.targets.page --write`."""

from __future__ import annotations

import sys
from pathlib import Path

from shipway.render.targets.expressions import TARGETS, Otherwise, Refused
from shipway.render.targets.table import FEATURES

PAGE = Path("docs/reference/targets.md")
_HEAD = """\
# Targets

`shipway render TARGET` writes the files that an engine runs. What it cannot express is never dropped in
silence: what it has in another way is said when the files are written (*in italics* here), and what it cannot
have at all is refused, with what to do instead.

"""


def page() -> str:
    """The whole page; a test compares it with the file."""
    rows = [(feature.title, *(_cell(feature.by[target]) for target in TARGETS)) for feature in FEATURES]
    lines = [("", *TARGETS), ("---",) * (len(TARGETS) + 1), *rows]
    return _HEAD + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(expression: object) -> str:
    if isinstance(expression, Refused):
        return f"**refused**: {expression.fix}"
    how = str(getattr(expression, "how", ""))
    return f"*{how}*" if isinstance(expression, Otherwise) else how


if __name__ == "__main__" and "--write" in sys.argv:
    PAGE.write_text(page())
