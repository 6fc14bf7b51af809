"""Secrets: nothing that would go into an image holds one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.build.secrets.scan import scan_config, scan_file
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.projects.subject import Subject
    from shipway.errors import Finding


def files_hold_no_secret(subject: Subject) -> Iterator[Finding]:
    """The project's files, as they would be copied."""
    for source in sorted({file.source for plan in subject.plans for file in plan.files}):
        yield from scan_file(source, (subject.root / source).read_bytes())


def config_holds_no_secret(subject: Subject) -> Iterator[Finding]:
    """What the image says of itself: variables, labels, the manifest."""
    for plan in subject.plans:
        manifest = contract.encode(plan.manifest) if plan.manifest else ""
        yield from scan_config(plan.process, {}, manifest)
