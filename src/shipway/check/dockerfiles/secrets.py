"""Rules about secrets that a Dockerfile would bake into the image, or into its history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.build.secrets.scan import find_secrets, names_a_secret
from shipway.check.rule import Seen
from shipway.secret_forms import is_placeholder
from shipway.spec.project import is_secret_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.dockerfiles.subject import Dockerfile

_READ = "everybody who can pull the image can read it"
_FIX = "give it when the container runs; while building, by `RUN --mount=type=secret,id=…`"

_REPLACE = f"{_FIX}; if it was committed, replace it"


def text_holds_no_secret(dockerfile: Dockerfile) -> Iterator[Seen]:
    """No key, token or password stands in the Dockerfile.

    ENV, LABEL and RUN are in the image's config for everybody who can pull it, and the file is in the history
    of the repository. Looked for are the forms that services give to their keys, and values of names that end
    with `password`, `token`, `api_key`; placeholders pass.
    """
    told = set()
    for line, kind in find_secrets("Dockerfile", dockerfile.text.encode()):
        told.add(dockerfile.source.extent(line))
        yield Seen(f"this looks like a secret ({kind}); {_READ}", _REPLACE, line)
    for instruction in (i for stage in dockerfile.stages.all for i in stage.all("ENV", "ARG")):
        for name, value in instruction.pairs.items():
            given = names_a_secret(name) and value and "$" not in value and not is_placeholder(value)
            if given and (instruction.line, instruction.last) not in told:
                yield Seen(f"{name} is given a value; {_READ}", _REPLACE, instruction.line)


def secrets_are_no_arguments(dockerfile: Dockerfile) -> Iterator[Seen]:
    """No secret is handed to the build as ARG.

    The values of ARG are in the image's history, in the build cache and in the provenance that CI attaches to
    images.
    """
    for stage in dockerfile.stages.all:
        for instruction in stage.all("ARG"):
            for name in (word.partition("=")[0] for word in instruction.words):
                if names_a_secret(name):
                    message = f"the value of ARG {name} stays in the image's history and its provenance"
                    fix = f"use `RUN --mount=type=secret,id={name}` where it is needed"
                    yield Seen(message, fix, instruction.line)


def secret_files_are_not_copied(dockerfile: Dockerfile) -> Iterator[Seen]:
    """No file that people keep secrets in goes into a layer: `.env`, `.npmrc`, keys, `.aws`.

    What a layer once had stays there, also when a later one removes it. Such files are looked for by name,
    among what COPY names, and in the top of the context when all of it is copied.
    """
    for stage in dockerfile.stages.all:
        for copied in dockerfile.copied(stage.all("COPY", "ADD")):
            line = copied.instruction.line
            if not copied.whole and _holds_secrets(copied.source.rstrip("/")):
                message = f"{copied.source} goes into a layer, and files of this name hold secrets"
                yield Seen(message, _FIX, line)
            elif copied.whole and (found := _secret_files(dockerfile)):
                message = f"all of the context is copied, and {', '.join(found)} with it: it holds secrets"
                yield Seen(message, f"add {' '.join(found)} to .dockerignore", line)


def _secret_files(dockerfile: Dockerfile) -> list[str]:
    """The names in the context's top that hold secrets and are sent."""
    try:
        names = sorted(path.name for path in dockerfile.context.root.iterdir())
    except OSError:
        return []
    return [name for name in names if is_secret_file(name) and not dockerfile.context.keeps_out(name)]


def _holds_secrets(path: str) -> bool:
    """By the name of a file, or of a directory that is copied whole."""
    return is_secret_file(path) or is_secret_file(f"{path}/any")
