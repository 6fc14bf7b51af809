"""What the builder would refuse, in the order in which it is looked for.

In: a Subject. Out: findings, each once, under the names that the builder gives them; none can be suppressed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from shipway.check.projects.bases import certificates_can_be_read, versions_agree
from shipway.check.projects.locks import lock_is_current
from shipway.check.projects.secrets import config_holds_no_secret, files_hold_no_secret
from shipway.check.projects.subject import Subject
from shipway.errors import Finding

Rule = Callable[[Subject], Iterator[Finding]]

RULES: tuple[Rule, ...] = (
    lock_is_current,
    files_hold_no_secret,
    config_holds_no_secret,
    certificates_can_be_read,
    versions_agree,
)


def check(subject: Subject) -> list[Finding]:
    """Every finding of every rule."""
    return list(dict.fromkeys(finding for rule in RULES for finding in rule(subject)))
