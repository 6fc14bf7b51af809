"""A project's replays on this machine: where they are, what they depend on, which runs have used them.

In: a directory of a project, or one of recordings. Out: `Replays`. A directory of recordings belongs to the
project it is in, if there is one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.errors import Finding, SpecError
from shipway.local.plan import JOURNAL, STATE
from shipway.plan.stack import REPLAYS
from shipway.replay.drift import prompts, runs
from shipway.replay.drift.now import Now
from shipway.spec.load import load

if TYPE_CHECKING:
    from shipway.replay.drift.runs import Runs

_SPEC = "agent.toml"
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Replays:
    """`project` is the directory of agent.toml; None where there is none."""

    directory: Path
    project: Path | None

    def runs(self) -> Runs:
        """What the project's journal knows."""
        return runs.read(self.project / STATE / JOURNAL) if self.project else runs.Runs()

    def now(self, oldest_days: float | None = None) -> Now | None:
        """What the recordings depend on, in development; those before `oldest_days` are too old.

        Raises SpecError for a wrong agent.toml.
        """
        if self.project is None:
            return None
        loaded = load(self.project)
        specs = [loaded.spec, *loaded.tenants.values()]
        models = {name for spec in specs if spec.model for name in (spec.model.name, *spec.model.fallbacks)}
        directory = loaded.spec.prompts
        return Now(
            model=loaded.spec.model.name if loaded.spec.model else "",
            others=frozenset(models),
            directory=directory or "",
            prompts=prompts.read(self.project / directory if directory else None),
            oldest=None if oldest_days is None else time.time() - oldest_days * _DAY_S,
        )


def find(directory: Path) -> Replays:
    """Where the replays are; a project need not have any. Raises SpecError where there is no directory."""
    if (directory / _SPEC).exists():
        return Replays(directory / REPLAYS, directory)
    if not directory.is_dir():
        fix = "name a project, or a directory with recordings"
        raise SpecError([Finding("replay-directory", f"{directory} is not a directory", fix)])
    parent = directory.resolve().parent
    return Replays(directory, parent if (parent / _SPEC).exists() else None)
