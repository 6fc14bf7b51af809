"""A project's replays on this machine: where they are, what they depend on, which runs have used them.

In: a directory of a project, or one of recordings. Out: `Replays`. A directory of recordings belongs to the
project it is in, if there is one.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.errors import Finding, SpecError
from shipway.local.plan import JOURNAL, STATE
from shipway.plan.stack import REPLAYS
from shipway.replay import tape
from shipway.replay.drift import prompts, runs
from shipway.replay.drift.now import Now
from shipway.replay.drift.verdicts import verify
from shipway.spec.load import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.replay.drift.runs import Runs
    from shipway.spec.load import Loaded

_SPEC = "agent.toml"
_DAY_S = 86_400.0
_FEW = 300  # files that are looked at in a moment


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
        now = depends_on(load(self.project))
        return now if oldest_days is None else replace(now, oldest=time.time() - oldest_days * _DAY_S)


def depends_on(loaded: Loaded) -> Now:
    """What a project's recordings depend on."""
    specs = [loaded.spec, *loaded.tenants.values()]
    models = {name for spec in specs if spec.model for name in (spec.model.name, *spec.model.fallbacks)}
    directory = loaded.spec.prompts
    return Now(
        model=loaded.spec.model.name if loaded.spec.model else "",
        others=frozenset(models),
        directory=directory or "",
        prompts=prompts.read(loaded.path.parent / directory if directory else None),
    )


def remark(loaded: Loaded) -> Iterator[str]:
    """Whether recordings are stale, for a stack that starts: a scripted reply would hide it.

    Only where that takes no time to find out; what is wrong with files, the replay says.
    """
    project = loaded.path.parent
    replays = Replays(project / REPLAYS, project)
    if len(tape.scan(replays.directory)) > _FEW:
        return
    with contextlib.suppress(SpecError):
        report = verify(replays.directory, depends_on(loaded), replays.runs())
        count, total = len(report.recordings("stale")), len(report.recordings())
        if count:
            yield f"stale recordings: {count} of {total}; `shipway replay verify` says why"


def find(directory: Path) -> Replays:
    """Where the replays are; a project need not have any. Raises SpecError where there is no directory."""
    if (directory / _SPEC).exists():
        return Replays(directory / REPLAYS, directory)
    if not directory.is_dir():
        fix = "name a project, or a directory with recordings"
        raise SpecError([Finding("replay-directory", f"{directory} is not a directory", fix)])
    parent = directory.resolve().parent
    return Replays(directory, parent if (parent / _SPEC).exists() else None)
