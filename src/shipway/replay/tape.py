"""A directory of replays as a value.

In: a directory with recorded exchanges (`**/*.json`) and scripts (`*.toml`). Out: a `Tape`, checked as a
whole: `load` raises SpecError with every finding of every file. Of a recording stay its key and a sketch, a
kilobyte or so; what it answers is read from its file when it is played.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shipway.errors import Finding, SpecError
from shipway.replay import exchange
from shipway.replay.apis import providers
from shipway.replay.exchange import Exchange, Request
from shipway.replay.faults import rules
from shipway.replay.faults.rules import Rule
from shipway.replay.matching import canonical, ignored, sketch
from shipway.replay.matching.ignored import Ignored
from shipway.replay.scripts import reading
from shipway.replay.scripts.reach import unreachable
from shipway.replay.scripts.replies import Reply, Script

if TYPE_CHECKING:
    from collections.abc import Iterator


Stamp = tuple[int, int]
"""When a file was last written (nanoseconds), and its size: another stamp is another content."""

_LOADED = 16  # exchanges that are kept as they were read: streams at once share one
_LARGE, _LARGE_LOADED = 1_000_000, 2  # bytes of a file, and how many such are kept


class ChangedError(LookupError):
    """A recording's file is gone, or has changed since the tape was read."""


@dataclass(frozen=True, slots=True)
class Recording:
    """An exchange in its file (relative to the directory), and what requests are compared by."""

    directory: str
    file: str
    stamp: Stamp
    place: str
    """Method and path, as they are compared."""
    key: str
    sketch: sketch.Sketch = field(repr=False)
    ignored: Ignored = ()

    @property
    def exchange(self) -> Exchange:
        """From its file. Raises ChangedError."""
        read = _large_exchange if self.stamp[1] > _LARGE else _small_exchange
        return read(self.directory, self.file, self.stamp)

    def canonical(self) -> Any:
        """The body by which requests are compared. Raises ChangedError."""
        return canonical_body(self.exchange.request, self.ignored)


@dataclass(frozen=True, slots=True)
class Tape:
    """Recordings in the order of their file names; replies and faults in the order of files and lines.

    `stamps` are those of all files that it was read from.
    """

    directory: str
    recordings: tuple[Recording, ...] = ()
    replies: tuple[Reply, ...] = ()
    ignored: Ignored = ()
    faults: tuple[Rule, ...] = ()
    stamps: Mapping[str, Stamp] = field(default_factory=dict, repr=False)


def canonical_body(request: Request, without: Ignored = ()) -> Any:
    """The body by which the request is compared, as its provider defines it."""
    provider = providers.find(request.path)
    body = ignored.apply(without, request.body)
    return canonical.plain(provider.canonical(body) if provider else canonical.settle(body))


def place(request: Request) -> str:
    """The method and the path by which requests are compared."""
    path, provider = request.path.rstrip("/") or "/", providers.find(request.path)
    return f"{request.method.upper()} {provider.place(path) if provider else path}"


def key(request: Request, without: Ignored = ()) -> str:
    """Equal for two requests that get the same answer."""
    return _key(place(request), canonical_body(request, without))


def _key(where: str, body: Any) -> str:
    return canonical.digest(where, canonical.text(body))[:32]


# -- Reading -------------------------------------------------------------------------------------------------


def load(directory: Path, before: Tape | None = None) -> Tape:
    """Read and check a directory of replays. Raises SpecError; an empty directory is an empty tape.

    Recordings that are the same as in `before` are taken from there.
    """
    if not directory.is_dir():
        fix = "create it with a scripted reply; docs/reference/scripts.md shows one"
        raise SpecError([Finding("replay-directory", f"{directory} is not a directory", fix)])
    if not os.access(directory, os.R_OK | os.X_OK):
        fix = "let everybody read it, or run as its owner: --user in a container"
        message = f"{directory} cannot be read by uid {os.geteuid()}"
        raise SpecError([Finding("replay-directory", message, fix)])
    findings: list[Finding] = []
    stamps = scan(directory)
    scripted, faults = _scripts(directory, stamps, findings)
    known = {r.file: r for r in before.recordings} if before and before.ignored == scripted.ignored else {}
    recordings = tuple(_recordings(str(directory), stamps, scripted.ignored, known, findings))
    if findings:
        raise SpecError(findings)
    return Tape(str(directory), recordings, scripted.replies, scripted.ignored, faults, stamps)


def scan(directory: Path) -> dict[str, Stamp]:
    """The files of a tape, in order, and their stamps. What begins with a dot is left out."""
    found = {file: stamp for file, stamp in _files(str(directory), "") if _is_read(file)}
    return dict(sorted(found.items(), key=lambda pair: pair[0].split("/")))


def _files(directory: str, below: str) -> Iterator[tuple[str, Stamp]]:
    try:
        entries = list(os.scandir(directory))
    except OSError:  # gone, or not ours to read: then it has no files
        return
    for entry in entries:
        file = f"{below}{entry.name}"
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path, f"{file}/")
        elif file.endswith((".json", ".toml")):
            try:
                stat = entry.stat()
            except OSError:
                continue
            yield file, (stat.st_mtime_ns, stat.st_size)


def _is_read(file: str) -> bool:
    return file.endswith(".json") or "/" not in file


def _recordings(
    directory: str,
    stamps: Mapping[str, Stamp],
    without: Ignored,
    known: Mapping[str, Recording],
    findings: list[Finding],
) -> Iterator[Recording]:
    for file, stamp in stamps.items():
        if not file.endswith(".json"):
            continue
        if (same := known.get(file)) and same.stamp == stamp:
            yield same
            continue
        found = _read(directory, file)
        if isinstance(found, Finding):
            findings.append(found)
        else:
            where, body = place(found.request), canonical_body(found.request, without)
            yield Recording(directory, file, stamp, where, _key(where, body), sketch.make(body), without)


def _exchange(directory: str, file: str, stamp: Stamp) -> Exchange:
    try:
        now = Path(directory, file).stat()
    except OSError:
        raise ChangedError(f"{file} is gone since it was read") from None
    found = _read(directory, file) if (now.st_mtime_ns, now.st_size) == stamp else None
    if not isinstance(found, Exchange):
        raise ChangedError(f"{file} has changed since it was read")
    return found


_small_exchange = functools.lru_cache(maxsize=_LOADED)(_exchange)
_large_exchange = functools.lru_cache(maxsize=_LARGE_LOADED)(_exchange)


def _read(directory: str, file: str) -> Exchange | Finding:
    path = Path(directory, file)
    text = _text(path)
    return text if isinstance(text, Finding) else exchange.read(text, str(path))


def _scripts(
    directory: Path, stamps: Mapping[str, Stamp], findings: list[Finding]
) -> tuple[Script, tuple[Rule, ...]]:
    """The scripts of the directory as one, and the faults of all of them."""
    scripts: list[Script] = []
    faults: list[Rule] = []
    for file in stamps:
        if not file.endswith(".toml"):
            continue
        text = _text(directory / file)
        if isinstance(text, Finding):
            findings.append(text)
            continue
        said, problems = reading.read(text, str(directory / file))
        spoilt, more = rules.read(text, str(directory / file))
        scripts.append(said)
        faults += spoilt
        findings += problems + more
    whole = reading.join(scripts)
    findings += unreachable(whole.replies, directory)
    return whole, tuple(faults)


def _text(path: Path) -> str | Finding:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return Finding("replay-file", f"cannot be read: {error}", "make it readable UTF-8", str(path))
