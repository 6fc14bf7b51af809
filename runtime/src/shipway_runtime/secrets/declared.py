"""The agent's secrets: read where they are, kept current, kept out of every log line.

In: the declared names with their sources, a directory of mounted files, the environment. Out: current
values, on request alone; the names that are missing; `redact`, which removes every value seen so far from a
text. Errors: KeyError for an undeclared name, StartError for a broker without its endpoint.

There are three sources, each a `Secret`: `Given` by the environment, `Mounted` as a file, and `Brokered`,
fetched from a token endpoint (broker.py). A file is compared by `stat` through its links, so Kubernetes' swap
of `..data` is seen at the next use (6 µs). Values that were replaced stay redacted: an old token in a log is
still a token.

Values may be read from any thread; `keep` and `renew` belong to the control loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote, quote_plus, unquote, urlsplit

from ..errors import StartError

if TYPE_CHECKING:
    from pathlib import Path

    from .. import contract

SHORTEST = 4  # characters; redacting "1" or "on" would take logs apart and protect nothing
MOST = 256  # values that are remembered; brokers give a new one every few minutes
MASK = "[redacted]"


class Secret(ABC):
    """One secret. Its value comes from `get` alone; repr, str and pickle never hold it."""

    __slots__ = ("name",)

    lasting = True
    """Whether a value that was read once stays good, as far as anybody knows."""

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def get(self) -> str | None:
        """The current value; None when there is none that may be used."""

    @property
    def changed(self) -> float | None:
        """Since when it has its value, in seconds since the epoch; None where nobody knows."""
        return None

    @property
    def expires(self) -> float | None:
        """When the value is over, in seconds since the epoch; None where it has no end."""
        return None

    def values(self) -> Iterator[str]:
        """What nobody may see of it: its value."""
        if (value := self.get()) is not None:
            yield value

    @abstractmethod
    def problem(self) -> str | None:
        """Why the secret cannot be used, without its value; None when all is well."""

    async def keep(self) -> None:  # noqa: B027 - most have nothing to do
        """Fetch values for as long as the process runs; returns where there is nothing to fetch."""

    async def renew(self, used: str) -> bool:
        """Whether there is another value than `used`, which somebody refused."""
        return self.get() not in (None, used)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {MASK})"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"the secret {self.name} cannot be pickled: pass its name instead")


class Given(Secret):
    """A variable of the environment, as it was at start."""

    __slots__ = ("_value",)

    def __init__(self, name: str, value: str | None) -> None:
        super().__init__(name)
        self._value = value or None

    def get(self) -> str | None:
        return self._value

    def problem(self) -> str | None:
        return None if self._value else f"{self.name}: not in the environment"


class Mounted(Secret):
    """A file, read again when it changes; its last good value while it is away."""

    __slots__ = ("_last", "_path", "_stamp")

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(name)
        self._path = path
        self._last: str | None = None
        self._stamp: tuple[int, ...] | None = None

    def get(self) -> str | None:
        if (stamp := stamp_of(self._path)) not in (None, self._stamp):
            try:
                self._last = self._path.read_text("utf-8").rstrip("\r\n") or None
                self._stamp = stamp
            except (OSError, UnicodeDecodeError):
                pass  # between two versions of the mount, or unreadable: `problem` says so
        return self._last

    @property
    def changed(self) -> float | None:
        self.get()
        return self._stamp[2] / 1e9 if self._stamp else None

    def problem(self) -> str | None:
        if self.get() is None:
            if self._path.is_file() and not os.access(self._path, os.R_OK):
                return f"{self.name}: {self._path} cannot be read by uid {os.getuid()}"
            return f"{self.name}: no readable file {self._path}"
        if stamp_of(self._path) is None:
            return f"{self.name}: {self._path} is gone; its last value is still in use"
        return None


class Secrets(Mapping[str, Secret]):
    """Every declared secret, by name."""

    def __init__(
        self, declared: Mapping[str, contract.Secret], directory: Path, environ: Mapping[str, str]
    ) -> None:
        self._known: dict[str, None] = {}  # values, the oldest first
        self._seen: tuple[str, ...] = ()  # every form of them, the longest first; replaced as a whole
        self._learning = threading.RLock()  # a signal handler may log in the midst of it
        self._secrets = {name: self._open(name, s, directory, environ) for name, s in declared.items()}

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
        """Values for the variables that SDKs look for and that are not set yet.

        Never a broker's token: it would end in the middle of the process's life, and whether it is there
        at start would depend on the moment.
        """
        wanted = (s for name, s in self._secrets.items() if s.lasting and name not in environ)
        return {secret.name: value for secret in wanted if (value := secret.get()) is not None}

    async def keep(self) -> None:
        """Keep every broker's token current, until cancelled; returns where there is no broker."""
        await asyncio.gather(*(secret.keep() for secret in self._secrets.values()))

    async def renew(self, name: str, used: str) -> bool:
        """After `used` was refused: whether there is another value now, fetched if need be."""
        secret = self._secrets.get(name)
        return secret is not None and await secret.renew(used)

    def redact(self, text: str) -> str:
        """`text` without any value seen so far, plain or escaped."""
        for secret in self._secrets.values():
            for value in secret.values():
                if value not in self._known:
                    self.learn(value)
        for form in self._seen:
            if form in text:
                text = text.replace(form, MASK)
        return text

    def learn(self, value: str) -> None:
        """Redact a value from now on. Of very many, the oldest are forgotten; current ones never are."""
        with self._learning:
            if value in self._known or len(value) < SHORTEST:
                return
            known = [*self._known, value][-MOST:]
            forms = {form for one in known for form in _forms(one)}
            # In this order: whoever finds the value among the known ones may rely on its forms.
            self._seen = tuple(sorted(forms, key=len, reverse=True))
            self._known = dict.fromkeys(known)

    def _open(
        self, name: str, secret: contract.Secret, directory: Path, environ: Mapping[str, str]
    ) -> Secret:
        if secret.source == "broker":
            from .broker import Brokered  # only for those who have one: start is short

            if secret.broker is None:
                raise StartError(f"secrets.{name}: its source is a broker, and `broker` does not say which")
            return Brokered(name, secret.broker, self)
        if secret.source == "file":
            return Mounted(name, directory / name)
        from .identity import VARIABLES, Identity

        return (Identity if name in VARIABLES else Given)(name, environ.get(name))


def _forms(value: str) -> Iterator[str]:
    """A value as it may stand in a text: plain, in Python's or JSON's quotes, in a URL or a form; and the
    password of a URL alone, which drivers take out of it."""
    for plain in (value, *_password(value)):
        yield from (plain, repr(plain)[1:-1], json.dumps(plain)[1:-1], quote_plus(plain), quote(plain))


def _password(value: str) -> Iterator[str]:
    if "://" not in value:
        return
    with contextlib.suppress(ValueError):
        password = urlsplit(value).password or ""
        yield from (form for form in (password, unquote(password)) if len(form) >= SHORTEST)


def stamp_of(path: Path) -> tuple[int, ...] | None:
    """What changes with a file's content; None for one that is not there."""
    try:
        found = os.stat(path)  # noqa: PTH116 - follows the mount's links; the fastest call there is
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
