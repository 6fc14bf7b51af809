"""The agent's secrets: read where they are, re-read when they rotate, kept out of every log line.

In: the declared names with their sources, a directory of mounted files, the environment. Out: current
values, on request alone; the names that are missing; `redact`, which removes every value seen so far from a
text. Errors: StartError for a source that this version does not know; KeyError for an undeclared name.

A file is compared by `stat` through its links, so Kubernetes' swap of `..data` is seen at the next use
(6 µs). Values that were replaced stay redacted: an old token in a log is still a token.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NoReturn

from .errors import NotYetError

if TYPE_CHECKING:
    from pathlib import Path

    from . import contract

SHORTEST = 4  # characters; redacting "1" or "on" would take logs apart and protect nothing
MASK = "[redacted]"


class Secret:
    """One secret. Its value comes from `get` alone; repr, str and pickle never hold it."""

    __slots__ = ("_last", "_path", "_stamp", "name")

    def __init__(self, name: str, path: Path | None, value: str | None = None) -> None:
        self.name = name
        self._path = path
        self._last = value or None
        self._stamp: tuple[int, ...] | None = None

    def get(self) -> str | None:
        """The current value; the last good one while its file is away; None if there never was one."""
        if self._path is not None and (stamp := _stamp(self._path)) not in (None, self._stamp):
            try:
                self._last = self._path.read_text("utf-8").rstrip("\r\n") or None
                self._stamp = stamp
            except (OSError, UnicodeDecodeError):
                pass  # between two versions of the mount, or unreadable: `problem` says so
        return self._last

    def problem(self) -> str | None:
        """Why the secret cannot be used, without its value; None when all is well."""
        if self.get() is None:
            return (
                f"{self.name}: {f'no readable file {self._path}' if self._path else 'not in the environment'}"
            )
        if self._path is not None and _stamp(self._path) is None:
            return f"{self.name}: {self._path} is gone; its last value is still in use"
        return None

    def __repr__(self) -> str:
        return f"Secret({self.name!r}, {MASK})"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"the secret {self.name} cannot be pickled: pass its name instead")


class Secrets(Mapping[str, Secret]):
    """Every declared secret, by name."""

    def __init__(
        self, declared: Mapping[str, contract.Secret], directory: Path, environ: Mapping[str, str]
    ) -> None:
        self._secrets = {name: _open(name, secret, directory, environ) for name, secret in declared.items()}
        self._seen: dict[str, None] = {}  # every form of every value so far, longest first
        self._known: set[str] = set()

    def __getitem__(self, name: str) -> Secret:
        return self._secrets[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._secrets)

    def __len__(self) -> int:
        return len(self._secrets)

    def value(self, name: str) -> str | None:
        """The current value of a declared secret, None when it is missing or nobody declared it."""
        secret = self._secrets.get(name)
        return secret.get() if secret else None

    def problems(self) -> list[str]:
        """One sentence for each secret that is missing or gone."""
        return [problem for secret in self._secrets.values() if (problem := secret.problem())]

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Values for the variables that SDKs look for and that are not set yet."""
        values = ((name, secret.get()) for name, secret in self._secrets.items() if name not in environ)
        return {name: value for name, value in values if value is not None}

    def redact(self, text: str) -> str:
        """`text` without any value seen so far, plain or escaped."""
        for secret in self._secrets.values():
            value = secret.get()
            if value is not None and value not in self._known:
                self._learn(value)
        for form in self._seen:
            if form in text:
                text = text.replace(form, MASK)
        return text

    def _learn(self, value: str) -> None:
        self._known.add(value)
        if len(value) >= SHORTEST:
            forms = {value, repr(value)[1:-1], json.dumps(value)[1:-1], *self._seen}
            self._seen = dict.fromkeys(sorted(forms, key=len, reverse=True))


def _open(name: str, secret: contract.Secret, directory: Path, environ: Mapping[str, str]) -> Secret:
    if secret.source == "broker":
        raise NotYetError(f"secrets.{name} from a token endpoint", 'give it as "env" or "file"')
    if secret.source == "file":
        return Secret(name, directory / name)
    return Secret(name, None, environ.get(name))


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - follows the mount's links; the fastest call there is
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
