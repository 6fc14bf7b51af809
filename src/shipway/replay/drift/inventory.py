"""What is in a directory of replays, file by file: of thousands, one is in memory at a time.

In: the directory. Out: `Recorded` and `Scripted`; a file that cannot be read is a finding, and the others
come all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.errors import Finding
from shipway.replay import exchange, tape
from shipway.replay.exchange import Exchange
from shipway.replay.matching import canonical
from shipway.replay.scripts import reading
from shipway.replay.scripts.replies import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.replay.matching.ignored import Ignored


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording: its name below the directory, its size in bytes, when its file was last changed."""

    file: str
    size: int
    modified: float
    exchange: Exchange

    @property
    def asked(self) -> str:
        """A digest of the request as it is written."""
        request = self.exchange.request
        return canonical.digest(request.method, request.path, canonical.text(request.body))


@dataclass(frozen=True, slots=True)
class Scripted:
    """A scripted reply: its file and line, and when its file was last changed."""

    place: str
    modified: float
    reply: Reply


@dataclass(frozen=True, slots=True)
class Inventory:
    """A directory, read as its values are asked for. What is wrong with files is put into `findings`."""

    directory: Path
    findings: list[Finding] = field(default_factory=list)

    def recordings(self) -> Iterator[Recorded]:
        for file, (written_ns, size) in tape.scan(self.directory).items():
            text = self._text(file) if file.endswith(".json") else None
            if text is None:
                continue
            result = exchange.read(text, str(self.directory / file))
            if isinstance(result, Finding):
                self.findings.append(result)
            else:
                yield Recorded(file, size, written_ns / 1e9, result)

    def replies(self) -> tuple[list[Scripted], Ignored]:
        """The replies of all scripts, and what the scripts leave out of matching."""
        found: list[Scripted] = []
        ignored: Ignored = ()
        for file, (written_ns, _) in tape.scan(self.directory).items():
            text = self._text(file) if file.endswith(".toml") else None
            if text is None:
                continue
            script, findings = reading.read(text, str(self.directory / file))
            self.findings.extend(findings)
            found += (Scripted(reply.place, written_ns / 1e9, reply) for reply in script.replies)
            ignored += script.ignored
        return found, ignored

    def _text(self, file: str) -> str | None:
        path = self.directory / file
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            fix = "make it readable UTF-8"
            self.findings.append(Finding("replay-file", f"cannot be read: {error}", fix, str(path)))
            return None
