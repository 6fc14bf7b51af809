"""The project as it is now, as far as recordings depend on it.

In: nothing; this is the type. local/replays.py fills it from agent.toml.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shipway.replay.drift.prompts import digests


@dataclass(frozen=True, slots=True)
class Now:
    """`model` is the one that agent.toml names, empty where it names none; `others` are its fallbacks and
    those of its tenants. `prompts` has the text of each prompt by its path below `directory`.
    """

    model: str = ""
    others: frozenset[str] = frozenset()
    directory: str = ""
    prompts: Mapping[str, str] = field(default_factory=dict, repr=False)
    oldest: float | None = None
    """Seconds since the epoch; what was recorded before is too old. None where age does not matter."""

    @property
    def digests(self) -> dict[str, str]:
        return digests(self.prompts)
