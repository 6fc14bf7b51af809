"""Bases: what the project adds goes together with what its base has already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.build.bases.base import find_bases
from shipway.build.bases.shared import conflicts, preferred
from shipway.build.certificates import read_certificates
from shipway.build.environments.requirements import resolve, target_options
from shipway.build.locking import Locked
from shipway.errors import SpecError
from shipway.spec.shipwaylock import ShipwayLock
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.projects.subject import Subject
    from shipway.errors import Finding


def certificates_can_be_read(subject: Subject) -> Iterator[Finding]:
    """The file of [image] ca has certificates, and nothing else."""
    for name in sorted({plan.ca for plan in subject.plans if plan.ca}):
        try:
            read_certificates(subject.root, name)
        except SpecError as error:
            yield from error.findings


def versions_agree(subject: Subject) -> Iterator[Finding]:
    """Each distribution of a shared base is there in the version that the project locks."""
    locked = Locked(subject.lock or ShipwayLock(), subject.own)
    places = (subject.root, subject.cache, subject.say)
    for plan in (plan for plan in subject.plans if plan.base.kind != "minimal"):
        _, bases = find_bases(plan, *places, locked, subject.registries)
        for environment in (e for e in plan.environments if e.path == contract.VENV):
            for platform, base in bases.items():
                if there := base.facts.pins:
                    known = locked.resolution(environment, plan.base, platform)
                    options = target_options(base.facts.python, platform)
                    own = resolve(
                        environment,
                        subject.root,
                        options,
                        subject.cache,
                        subject.say,
                        known,
                        preferred(there),
                    )
                    yield from conflicts(own, there, plan.base.reference)
