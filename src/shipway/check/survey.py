"""What the command line names -> what there is to say about it.

In: `Asked`: a directory, and images, Dockerfiles and manifests by name. Out: `Settled`. A directory is looked
through for whatever shipway knows: agent.toml, Dockerfiles, manifests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.check.dockerfiles.process import scripts
from shipway.check.dockerfiles.subject import find_dockerfiles, read_dockerfile
from shipway.check.images.subject import read_image
from shipway.check.manifests.files import find as find_manifests
from shipway.check.rule import below, run
from shipway.check.rules import DOCKERFILE, IMAGE, PRODUCTION, RULES
from shipway.check.suppressions import Checked, Settled, read_comments, read_names, settle
from shipway.errors import BuildError, Finding, SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SPEC = "agent.toml"


@dataclass(frozen=True, slots=True)
class Asked:
    """What to look at. `directory` is None where other things are named, and they alone are meant."""

    directory: Path | None
    dockerfiles: tuple[Path, ...] = ()
    images: tuple[str, ...] = ()
    manifests: tuple[Path, ...] = ()
    ignored: Mapping[str, str] = field(default_factory=dict)
    """Rules that are to be ignored everywhere, with the reason."""


def survey(asked: Asked, say: Callable[[str], None]) -> Settled:
    """Look at everything that is asked for. What cannot be looked at is told beside the rest."""
    checked = tuple(_each(asked, say))
    settled = settle(
        (finding for one in checked for finding in one.findings),
        (suppression for one in checked for suppression in one.suppressions),
        {rule.name for rule in RULES},
        asked.ignored,
    )
    return replace(settled, failures=tuple(one.failure for one in checked if one.failure))


def _each(asked: Asked, say: Callable[[str], None]) -> Iterator[Checked]:
    dockerfiles = list(asked.dockerfiles)
    if asked.directory is not None:
        found = find_dockerfiles(asked.directory) if asked.directory.is_dir() else []
        manifests = find_manifests(asked.directory) if asked.directory.is_dir() else []
        if (asked.directory / SPEC).exists():
            yield _project(asked.directory, say)
        elif not found and not manifests:
            yield Checked((_nothing(asked.directory),))
        if manifests:
            yield _manifests(manifests, asked.directory)
        dockerfiles += (path for path in found if path not in dockerfiles)
    for path in dockerfiles:
        yield _dockerfile(path, asked.directory or Path())
    for path in asked.manifests:
        yield _manifests(None, path)
    for reference in asked.images:
        yield _image(reference)


def _project(directory: Path, say: Callable[[str], None]) -> Checked:
    from shipway.build.cache import Cache, default_root
    from shipway.build.registries.pool import Registries
    from shipway.check.projects.production import read_production
    from shipway.check.projects.rules import check
    from shipway.check.projects.subject import read_subject

    spec = directory / SPEC
    try:
        with Registries() as registries:
            findings = check(read_subject(directory, Cache(default_root()), registries, say))
        findings += run(PRODUCTION, read_production(spec), SPEC)
    except SpecError as error:
        return Checked(tuple(below(str(directory), error.findings)))
    answers = read_comments(str(spec), spec.read_text(encoding="utf-8"))
    return Checked(tuple(below(str(directory), findings)), tuple(answers))


def _dockerfile(path: Path, directory: Path) -> Checked:
    read = read_dockerfile(path, directory)
    if isinstance(read, Finding):
        return Checked((read,))
    findings = run(DOCKERFILE, read, read.file)
    answers = [*read_comments(read.file, read.text, read.source.extent)]
    for file in sorted({script.file for script in scripts(read)} | {f.file for f in findings} - {read.file}):
        answers += read_comments(file, Path(file).read_text(encoding="utf-8", errors="replace"))
    return Checked(tuple(findings), tuple(answers))


def _manifests(found: list[Path] | None, place: Path) -> Checked:
    """Those that were found in a directory, or, with None, what is named by a path."""
    from shipway.check.manifests.survey import check_found, check_named  # brings the reader of YAML

    return check_named(place) if found is None else check_found(found, place)


def _image(reference: str) -> Checked:
    try:
        image = read_image(reference)
    except BuildError as error:
        return Checked((), failure=error)
    findings = run(IMAGE, image, reference)
    return Checked(tuple(findings), tuple(read_names(reference, image.labels)))


def _nothing(directory: Path) -> Finding:
    message = f"there is no directory {directory}"
    if directory.is_dir():
        place = directory.absolute()
        message = f"there is nothing to check in {place}: no agent.toml, no Dockerfile, no manifest"
    elif directory.exists():
        message = f"{directory} is a file, expected a directory"
    fix = "name what to look at: DIR, --dockerfile F, --image REF, --manifests F"
    return Finding("nothing-to-check", message, fix)
