"""Tools: what was offered later bears witness that a definition has changed.

In: what is known of every recording, the last runs. Out: the last definition of each tool that was seen, and
reasons why a recording is stale. No server is asked for its tools: they may not run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.replay.drift import provenance
from shipway.replay.drift.signs import moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from shipway.replay.drift.signs import Subject


@dataclass(frozen=True, slots=True)
class Witness:
    """A tool's definition as something later has it: a run, or the recording `file`."""

    digest: str
    at: float
    file: str = ""

    def speaks_of(self, subject: Subject) -> bool:
        """Whether it is later than the recording, and than its last use."""
        if not self.file:
            return self.at > subject.proven
        dated = provenance.recorded_at(subject.meta)  # after a checkout, dates of files say nothing
        return dated is not None and self.at > max(dated, subject.used)

    def __str__(self) -> str:
        if self.file:
            return f"{self.file}, recorded on {moment(self.at)[:10]}, has another"
        return f"seen in the run of {moment(self.at)}"


def witnesses(subjects: Iterable[Subject], offered: Mapping[str, tuple[str, float]]) -> dict[str, Witness]:
    """For each tool, the last that was seen of it; `offered` is what runs know: digests, and when."""
    seen = {name: Witness(digest, at) for name, (digest, at) in offered.items()}
    for subject in subjects:
        if (at := provenance.recorded_at(subject.meta)) is None:
            continue
        for name, digest in subject.noted("tools").items():
            if name not in seen or seen[name].at < at:
                seen[name] = Witness(str(digest), at, subject.file)
    return seen


def tool_signs(subject: Subject, seen: Mapping[str, Witness]) -> Iterator[str]:
    for name, digest in subject.noted("tools").items():
        witness = seen.get(name)
        if witness and witness.digest != digest and witness.speaks_of(subject):
            yield f"tool {name}: its definition changed ({witness})"
