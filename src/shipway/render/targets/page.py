"""The tables of targets -> docs/reference/targets.md: `python -m shipway.render.targets.page --write`."""

from __future__ import annotations

import sys
from pathlib import Path

from shipway.render.targets.expressions import ENGINES, TARGETS, Otherwise, Refused
from shipway.render.targets.rollouts import ROLLOUTS
from shipway.render.targets.table import FEATURES

PAGE = Path("docs/reference/targets.md")
_HEAD = """\
# Targets

`shipway render TARGET` writes the files that an engine runs. What it cannot express is never dropped in
silence: what it has in another way is said when the files are written (*in italics* here), and what it cannot
have at all is refused, with what to do instead.

"""
_ROLLOUTS = """
## Rollouts

How a rollout reaches users is the engine's own: Kubernetes with [Argo Rollouts](argo.md) (`--rollout argo`),
[by hand](kubernetes.md#a-canary-by-hand), [ECS](ecs.md#rolling-out), [Nomad](nomad.md#rolling-out).

"""


def page() -> str:
    """The whole page; a test compares it with the file."""
    stacks = [(feature.title, *(_cell(feature.by[target]) for target in TARGETS)) for feature in FEATURES]
    rollouts = [(feature.title, *(_cell(feature.by[engine]) for engine in ENGINES)) for feature in ROLLOUTS]
    return _HEAD + _table(TARGETS, stacks) + _ROLLOUTS + _table(ENGINES, rollouts)


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [("", *columns), ("---",) * (len(columns) + 1), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(expression: object) -> str:
    if isinstance(expression, Refused):
        return f"**refused**: {expression.fix}"
    how = str(getattr(expression, "how", ""))
    return f"*{how}*" if isinstance(expression, Otherwise) else how


if __name__ == "__main__" and "--write" in sys.argv:
    PAGE.write_text(page())
