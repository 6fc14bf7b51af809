"""Files or a directory -> what there is to say about the manifests in them.

In: paths. Out: `Checked`. All files of one path are judged together, as they are applied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.check.manifests import files
from shipway.check.manifests.subject import File, Manifests, is_known, read
from shipway.check.rule import run
from shipway.check.rules import MANIFEST
from shipway.check.suppressions import Checked, Suppression, read_comments, read_names
from shipway.errors import Finding, SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

SPEC = "agent.toml"


def check_named(path: Path) -> Checked:
    """What a person named: a file, or a directory with all below it."""
    found = files.named(path)
    if isinstance(found, Finding):
        return Checked((found,))
    return _check(found, path, named=True)


def check_found(paths: Sequence[Path], directory: Path) -> Checked:
    """What was found in a project's directory."""
    return _check(paths, directory, named=False)


def _check(paths: Sequence[Path], place: Path, *, named: bool) -> Checked:
    texts = [(str(path), files.read_text(path)) for path in paths]
    wrong = [text for _, text in texts if isinstance(text, Finding)]
    readable = [(name, text) for name, text in texts if isinstance(text, str)]
    manifests = read(readable, _drain(place), named=named and not place.is_dir())
    unread = [*wrong, *manifests.unread]
    if named and place.is_dir() and not unread and not any(map(is_known, manifests.files)):
        unread.append(files.nothing_in(place))
    return Checked((*unread, *run(MANIFEST, manifests, "")), tuple(_answers(manifests)))


def _answers(manifests: Manifests) -> Iterator[Suppression]:
    """What comments and annotations answer for."""
    for file in manifests.files:
        yield from read_comments(file.name, file.text, _extent(file))
    for thing in manifests.objects:
        annotations = thing.node.at("metadata", "annotations").pairs
        reasons = {name: node.text for name, node in annotations.items()}
        yield from read_names(thing.file, reasons, thing.node.line, thing.node.last)


def _extent(file: File) -> Callable[[int], tuple[int, int]]:
    """A line stands for all that begins on it: a key with what is below it, a document at its first line."""
    last: dict[int, int] = {}
    for document in file.documents:
        for node in document.walk():
            last[node.line] = max(node.last, last.get(node.line, 0))
    return lambda line: (line, last.get(line, line))


def _drain(place: Path) -> float | None:
    """The shortest drain that the agent.toml above says, of any environment."""
    start = place if place.is_dir() else place.parent
    above = (start, *start.absolute().parents)[:6]
    spec = next((directory / SPEC for directory in above if (directory / SPEC).is_file()), None)
    if spec is None:
        return None
    from shipway.spec.load import load  # brings pydantic, which only a project with an agent.toml needs

    try:
        base = load(spec).spec
        return min(load(spec, env).spec.health.grace for env in (None, *base.env))
    except SpecError:
        return None
