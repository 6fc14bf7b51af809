"""Values of a deployment's secrets, in the controller's volume and nowhere else.

In: values by name. Out: the same; and for each container a directory with the files that it needs, which it
has at /run/secrets. A new value replaces a file whole, and whoever reads it again has it. Errors:
RolloutError.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from typing import TYPE_CHECKING

from shipway.errors import RolloutError
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shipway.plan.deployment import Container

SHARED = "shared"
"""Whose the files are that belong to no revision."""

_VALUES, _MADE, _FILES = "secrets.json", "made.json", "secrets"
_PEOPLE, _OWN, _AGENTS = "people", "controller", "agents"


class Secrets:
    """Those of one deployment. `source` is where the machine has the directory `state`."""

    def __init__(self, state: Path, source: str) -> None:
        self._state, self._source = state, source

    def put(self, values: dict[str, str]) -> tuple[str, ...]:
        """Values from now on; returns the names of those that are others than before. A former revision may
        need a name that is not among them, so what was there before stays."""
        before = self._load(_VALUES)
        if before != before | values:
            self._save(_VALUES, before | values)
        return tuple(sorted(name for name in before if name in values and values[name] != before[name]))

    @property
    def names(self) -> frozenset[str]:
        """Of which it has a value that somebody gave it."""
        return frozenset(self._load(_VALUES))

    def read(self) -> dict[str, str]:
        """All that containers may need, by name."""
        made = self._tokens()
        roles = {_AGENTS: "report", _OWN: "operate", _PEOPLE: "operate"}
        lines = "".join(f"{role} {name} {made[name]}\n" for name, role in roles.items())
        return self._load(_VALUES) | {
            contract.env.CONTROL_TOKENS: lines,
            contract.env.CONTROL_TOKEN: made[_AGENTS],
            contract.env.ADMIN_TOKEN: made["admin"],
        }

    @property
    def own_token(self) -> str:
        """What the controller shows to control."""
        return self._tokens()[_OWN]

    @property
    def peoples_token(self) -> str:
        """What people show to control."""
        return self._tokens()[_PEOPLE]

    def files(self, owner: str, container: Container) -> dict[str, str]:
        """See Values; `owner` is a revision, or SHARED."""
        names = {name for name, way in container.secrets.items() if way == "file"}
        if not names:
            return {}
        values = self.read()
        place = self._state / _FILES / owner / container.name
        try:
            place.mkdir(parents=True, exist_ok=True)
            for name in names & values.keys():
                _write(place / name, values[name], contract.UID, 0o400)
            for left in {path.name for path in place.iterdir()} - names:
                (place / left).unlink(missing_ok=True)
        except OSError as error:
            raise RolloutError(f"secrets of {container.name} are not written: {error.strerror}") from None
        return {contract.SECRETS: f"{self._source}/{_FILES}/{owner}/{container.name}"}

    def forget(self, owner: str) -> None:
        """Remove the files of a revision that is gone."""
        shutil.rmtree(self._state / _FILES / owner, ignore_errors=True)

    def _tokens(self) -> dict[str, str]:
        """Made once: agents, people and control go on knowing each other."""
        found = self._load(_MADE)
        if not found:
            made = {name: secrets.token_urlsafe(32) for name in (_PEOPLE, _OWN, _AGENTS, "admin")}
            self._save(_MADE, made, once=True)
            found = self._load(_MADE)
        return found

    def _load(self, name: str) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads((self._state / name).read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise RolloutError(f"{self._state / name} cannot be read: {type(error).__name__}") from None
        return found

    def _save(self, name: str, values: Mapping[str, str], *, once: bool = False) -> None:
        """`once`: who comes second, a round or a command, leaves what is there."""
        try:
            self._state.mkdir(parents=True, exist_ok=True)
            _write(self._state / name, json.dumps(values), os.geteuid(), 0o600, once=once)
        except OSError as error:
            raise RolloutError(f"secrets are not kept: {error.strerror}") from None


def _write(path: Path, text: str, owner: int, mode: int, *, once: bool = False) -> None:
    """Whole or not at all; nothing where it is so already, or where it is there and is written `once`."""
    if path.exists() and (once or path.read_text() == text):
        return
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if os.geteuid() != owner:
            os.chown(unfinished, owner, owner)
        if once:
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(unfinished)
        else:
            unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)
