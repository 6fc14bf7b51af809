"""Which repository of a registry has had a blob, so that another one can mount it instead of being sent it.

In: what was seen there while pushing and pulling. Out: the name of a repository, or nothing. A hint and no
more: the registry decides, and a wrong one costs no request.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.build.cache import Cache
from shipway.build.registries.registry import Repository

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Places:
    """The record of one registry in the cache, a small file for each blob."""

    cache: Cache
    repository: Repository

    def source(self, digest: str) -> str:
        """Another repository of the same registry that has had the blob; empty if none is known."""
        try:
            name = json.loads(self._file(digest).read_text())
        except (OSError, ValueError):
            return ""
        return name if isinstance(name, str) and name != self.repository.name else ""

    def remember(self, digest: str) -> None:
        """The blob is in our repository."""
        if not self._file(digest).exists():
            self._file(digest).parent.mkdir(parents=True, exist_ok=True)
            self.cache.write_text(self._file(digest), json.dumps(self.repository.name))

    def _file(self, digest: str) -> Path:
        host = re.sub(r"[^A-Za-z0-9.-]", "_", self.repository.registry)
        return self.cache.root / "places" / host / digest.partition(":")[2]
