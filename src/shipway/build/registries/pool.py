"""The registries that one command talks to: one client for each repository, closed at the end.

In: references. Out: `Repository`, opened once and shared by threads.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shipway.build.registries.reference import Reference
    from shipway.build.registries.registry import Repository  # noqa: TC004 - annotations are never evaluated


@dataclass(frozen=True, slots=True)
class Registries:
    """Use it as a context manager. Nothing is opened until somebody asks."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    _open: dict[tuple[str, str], Repository] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Registries:
        return self

    def __exit__(self, *_: object) -> None:
        for repository in self._open.values():
            repository.close()

    def repository(self, reference: Reference) -> Repository:
        """The repository of a reference."""
        from shipway.build.registries.registry import Repository  # brings an HTTP client

        key = (reference.registry, reference.repository)
        with self._lock:
            if key not in self._open:
                self._open[key] = Repository(reference, self.environ)
            return self._open[key]
