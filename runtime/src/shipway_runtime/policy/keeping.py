"""What outlives the process: the restriction, and the last policy that control gave.

In: values. Out: two small files in the agent's volume, or in a directory of this user's under /tmp, which
outlives a restart of the process and no more. Each is replaced in one step. Errors: StartError for a
restriction that cannot be read, since nobody knows what it restricted.
"""

from __future__ import annotations

import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import contract
from ..config import temporary
from ..contract import ContractError, Policy, Restricted
from ..errors import StartError
from ..telemetry import log

if TYPE_CHECKING:
    from ..config import Deployment

DIRECTORY = "shipway-policy"


@dataclass(frozen=True, slots=True)
class LastGood:
    """A policy of control's; `source` says whose, so that no other agent's is taken for it."""

    policy: Policy
    source: str
    etag: str | None
    at: float
    format: int = contract.FORMAT


class Keeping:
    """The two files. Whatever cannot be written is logged and not kept."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._restriction, self._control = directory / "restriction.json", directory / "control.json"

    def restriction(self) -> Restricted | None:
        """The restriction that was kept. Raises StartError."""
        try:
            return contract.decode(Restricted, self._restriction.read_bytes(), str(self._restriction))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ContractError) as error:
            raise StartError(
                f"{error}. It is a restriction of this agent's policy, and what it restricts is not known: "
                f"restore {self._restriction}, or remove it to run without"
            ) from None

    def keep_restriction(self, restricted: Restricted | None) -> bool:
        """Keep it, or that there is none; whether that worked."""
        return self._write(self._restriction, restricted)

    def last_good(self, source: str) -> LastGood | None:
        """What control gave last, if it can be read and is this source's."""
        try:
            last = contract.decode(LastGood, self._control.read_bytes(), str(self._control))
        except (OSError, ContractError):
            return None
        return last if last.source == source else None

    def keep_last_good(self, last: LastGood) -> None:
        self._write(self._control, last)

    def _write(self, path: Path, value: Restricted | LastGood | None) -> bool:
        try:
            if value is None:
                path.unlink(missing_ok=True)
                return True
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.directory, suffix=".new", delete=False) as file:
                file.write(contract.encode(value).encode("utf-8", "surrogatepass"))
            Path(file.name).replace(path)
        except OSError as error:
            log.error("%s cannot be kept, and will be forgotten at a restart: %s", path, error.strerror)
            return False
        return True


def find(deployment: Deployment) -> Keeping:
    """Where this process keeps them. Raises StartError for a directory under /tmp that is somebody else's."""
    places = deployment.places
    if places.storage:
        return Keeping(places.storage / DIRECTORY)
    name = f"shipway-policy-{deployment.manifest.name}-{places.admin_port}-{os.getuid()}"
    path = temporary() / name
    try:
        found = os.lstat(path)
    except OSError:
        return Keeping(path)
    private = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o022
    if found.st_uid != os.getuid() or not private:
        raise StartError(
            f"{path}: expected a directory that this user alone can write to, for restrictions "
            "of the policy; remove it"
        )
    return Keeping(path)
