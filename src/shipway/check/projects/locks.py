"""Locks: what a build would resolve anew although it is locked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.build.locking import find_stale

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.projects.subject import Subject
    from shipway.errors import Finding


def lock_is_current(subject: Subject) -> Iterator[Finding]:
    """A shipway.lock that is there holds all that the images need."""
    if subject.lock is not None:
        yield from find_stale(subject.wanted, subject.lock)
