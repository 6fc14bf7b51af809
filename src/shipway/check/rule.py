"""What a rule is: a name, how bad it is, and a generator that looks at one thing.

In: a subject, whatever the family reads: a Dockerfile, an image, manifests. Out: `Seen`, which `run` makes a
Finding of. The generator's docstring is the rule's text: its first paragraph says what holds, the rest why;
docs/reference/check.md and SARIF show it.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from shipway.errors import Finding, Severity

Subject = TypeVar("Subject")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a rule has found: what was seen and expected, what to do, and where."""

    message: str
    fix: str
    line: int = 0
    file: str = ""
    """Where the subject has several files; else the subject's own is meant."""


@dataclass(frozen=True, slots=True)
class Rule(Generic[Subject]):
    """One row of a family's table. The name never changes: people write it into suppressions."""

    name: str
    severity: Severity
    find: Callable[[Subject], Iterator[Seen]]

    @property
    def text(self) -> str:
        """What holds, and why, in a few sentences; one line for each paragraph."""
        paragraphs = inspect.cleandoc(self.find.__doc__ or self.name).split("\n\n")
        return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def run(rules: Iterable[Rule[Subject]], subject: Subject, file: str) -> list[Finding]:
    """Every finding of these rules, each once. `file` is where a finding is that names no other."""
    found = (
        Finding(rule.name, seen.message, seen.fix, seen.file or file, seen.line, rule.severity)
        for rule in rules
        for seen in rule.find(subject)
    )
    return list(dict.fromkeys(found))


def below(directory: str, findings: Iterable[Finding]) -> list[Finding]:
    """The same findings, with files that are named from a directory named from where it is itself."""
    if directory in ("", "."):
        return list(findings)
    return [
        dataclasses.replace(f, file=f"{directory}/{f.file}") if f.file and f.file[0] != "/" else f
        for f in findings
    ]
