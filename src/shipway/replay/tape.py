"""A directory of replays as a value.

In: a directory with recorded exchanges (`**/*.json`) and scripted replies (`*.toml`). Out: a `Tape`, checked
as a whole: `load` raises SpecError with every finding of every file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipway.errors import Finding, SpecError
from shipway.replay import exchange, script
from shipway.replay.apis import providers
from shipway.replay.exchange import Exchange, Request
from shipway.replay.faults import rules
from shipway.replay.faults.rules import Rule
from shipway.replay.matching import canonical
from shipway.replay.script import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Recording:
    """An exchange, the file it came from (relative to the directory), and what requests are compared by."""

    file: str
    exchange: Exchange
    canonical: Any
    key: str


@dataclass(frozen=True, slots=True)
class Tape:
    """Recordings in the order of their file names; replies and faults in the order of files and lines."""

    directory: str
    recordings: tuple[Recording, ...] = ()
    replies: tuple[Reply, ...] = ()
    faults: tuple[Rule, ...] = ()


def canonical_body(request: Request) -> Any:
    """The body by which the request is compared, as its provider defines it."""
    provider = providers.find(request.path)
    return provider.canonical(request.body) if provider else canonical.settle(request.body)


def place(path: str) -> str:
    """The path by which requests are compared."""
    provider = providers.find(path)
    return provider.place(path) if provider else path


def key(request: Request) -> str:
    """Equal for two requests that get the same answer."""
    return f"{request.method.upper()} {place(request.path)} {canonical.text(canonical_body(request))}"


def load(directory: Path) -> Tape:
    """Read and check a directory of replays. Raises SpecError; an empty directory is an empty tape."""
    if not directory.is_dir():
        fix = "create it with a scripted reply; docs/reference/replays.md shows one"
        raise SpecError([Finding("replay-directory", f"{directory} is not a directory", fix)])
    if not os.access(directory, os.R_OK | os.X_OK):
        fix = "let everybody read it, or run as its owner: --user in a container"
        message = f"{directory} cannot be read by uid {os.geteuid()}"
        raise SpecError([Finding("replay-directory", message, fix)])
    findings: list[Finding] = []
    recordings = tuple(_recordings(directory, findings))
    replies, faults = _scripts(directory, findings)
    findings += _second_defaults(directory, replies)
    if findings:
        raise SpecError(findings)
    return Tape(str(directory), recordings, replies, faults)


def _recordings(directory: Path, findings: list[Finding]) -> Iterator[Recording]:
    for path in sorted(directory.rglob("*.json")):
        text = _text(path, findings)
        if text is None:
            continue
        result = exchange.read(text, str(path))
        if isinstance(result, Finding):
            findings.append(result)
        else:
            file = path.relative_to(directory).as_posix()
            yield Recording(file, result, canonical_body(result.request), key(result.request))


def _scripts(directory: Path, findings: list[Finding]) -> tuple[tuple[Reply, ...], tuple[Rule, ...]]:
    """The scripted replies and the faults of every file."""
    replies: list[Reply] = []
    faults: list[Rule] = []
    for path in sorted(directory.glob("*.toml")):
        if (text := _text(path, findings)) is not None:
            said, problems = script.read(text, str(path))
            spoilt, more = rules.read(text, str(path))
            replies += said
            faults += spoilt
            findings += problems + more
    return tuple(replies), tuple(faults)


def _text(path: Path, findings: list[Finding]) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        findings.append(
            Finding("replay-file", f"cannot be read: {error}", "make it readable UTF-8", str(path))
        )
        return None


def _second_defaults(directory: Path, replies: tuple[Reply, ...]) -> Iterator[Finding]:
    first, *others = [reply.place for reply in replies if reply.default] or [""]
    for place in others:
        file, _, line = place.rpartition(":")
        message = f"never used: {first} already answers everything"
        yield Finding(script.RULE, message, "add `when`, or remove it", str(directory / file), int(line))
