"""Rules about secrets in an image: in files, also hidden ones, in its config, in its history."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shipway.build.secrets.scan import find_secrets, names_a_secret
from shipway.check.images.subject import PEOPLES
from shipway.check.rule import Seen
from shipway.secret_forms import is_placeholder
from shipway.spec.project import is_secret_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.images.subject import Found, Image

_FIX = "build it anew without it, and replace the secret: it is known to everybody who could pull the image"
_ARGUMENTS = re.compile(r"RUN \|\d+ (.*?) /bin/\S+ -c|^\|\d+ (.*?) /bin/\S+ -c")


def files_hold_no_secret(image: Image) -> Iterator[Seen]:
    """No file of any layer holds a key, a token or a password.

    All layers are looked at: what a later one removes is still sent to whoever pulls the image. Files that
    packages brought are not searched.
    """
    for file in image.files:
        if file.text is not None and PEOPLES.fullmatch(file.path):
            for line, kind in find_secrets(file.path, file.text):
                where = f"line {line} of /{file.path} looks like a secret ({kind})"
                yield Seen(f"{where}{_hidden(file)}", _FIX)


def secret_files_are_absent(image: Image) -> Iterator[Seen]:
    """No file of any layer is one that people keep secrets in: `.env`, `.npmrc`, keys, `.aws`.

    They are known by their names. One that a later layer removes is still there for whoever looks.
    """
    for file in image.files:
        certificate = file.path.endswith(".pem") and b"PRIVATE KEY" not in (file.text or b"")
        if PEOPLES.fullmatch(file.path) and is_secret_file(file.path) and file.size and not certificate:
            yield Seen(
                f"/{file.path} is in a layer, and files of this name hold secrets{_hidden(file)}", _FIX
            )


def _hidden(file: Found) -> str:
    return "" if file.visible else "; a later layer hides it, and takes it from nobody"


def config_holds_no_secret(image: Image) -> Iterator[Seen]:
    """No variable, label, command or build argument of the image holds a secret.

    The config and the history are JSON that a registry hands to everybody who may pull.
    """
    texts = {
        "a variable": list(image.variables),
        "a label": [f"{name}={value}" for name, value in image.labels.items()],
        "the command": [
            *image.words,
            *(f"{a}={b}" for a, b in zip(image.words, image.words[1:], strict=False)),
        ],
        "the history": [word for made in image.history for word in made.split()],
    }
    for where, lines in texts.items():
        kinds = {kind for _, kind in find_secrets("config", "\n".join(lines).encode())}
        for kind in sorted(kinds):
            yield Seen(f"{where} holds what looks like a secret ({kind})", _FIX)
    for name in sorted({name for made in image.history for name in _arguments(made)}):
        yield Seen(f"the history holds the value of the build argument {name}", _FIX)


def _arguments(made: str) -> Iterator[str]:
    """The names of build arguments for secrets that were given a value."""
    if match := _ARGUMENTS.search(made):
        for word in (match[1] or match[2]).split():
            name, _, value = word.partition("=")
            if value and names_a_secret(name) and not is_placeholder(value):
                yield name
