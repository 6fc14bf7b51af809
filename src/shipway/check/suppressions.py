"""What people say a rule need not say: `# shipway: ignore RULE: reason`.

In: a file's text with such comments, or the labels and annotations of what keeps no comments. Out:
`Suppression`s, and `settle`, which takes what they cover out of the findings. One without a reason counts for
nothing; that, and one that covers nothing, is a finding itself.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.errors import Finding, ShipwayError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

_COMMENT = re.compile(r"#\s*shipway:\s*ignore\b(?!-)(?P<rest>.*)")
_ENTRY = re.compile(r"\s*(?P<rule>[a-z0-9-]*)\s*(?::\s*(?P<reason>.*))?")
PREFIX = "shipway.ignore/"
"""Before the rule in the name of a label or an annotation, whose value is the reason."""


@dataclass(frozen=True, slots=True)
class Suppression:
    """One rule, ignored in lines `first` to `last` of a file. `line` is where that is said."""

    rule: str
    reason: str
    file: str
    line: int
    first: int
    last: int

    def covers(self, finding: Finding) -> bool:
        """Whether it is about this finding, whatever its reason."""
        place = finding.file == self.file and self.first <= finding.line <= self.last
        return place and finding.rule == self.rule


@dataclass(frozen=True, slots=True)
class Checked:
    """What a family says of one thing it was given."""

    findings: tuple[Finding, ...]
    suppressions: tuple[Suppression, ...] = ()
    failure: ShipwayError | None = None


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A finding that somebody has answered for."""

    finding: Finding
    reason: str
    in_source: bool = True
    """Whether the file or the image says so itself, or the command line."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What is left to say, in the order of files and lines, and what was answered for."""

    findings: tuple[Finding, ...]
    suppressed: tuple[Suppressed, ...]
    failures: tuple[ShipwayError, ...] = ()
    """What could not be looked at: the registry that did not answer, the image that is damaged."""


def read_comments(
    file: str, text: str, extent: Callable[[int], tuple[int, int]] = lambda line: (line, line)
) -> Iterator[Suppression]:
    """The suppressions in a file's comments. `extent` gives the first and last line of what is at a line.

    A comment at the end of a line is about what is there; one that stands alone about what comes next.
    """
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if (match := _COMMENT.search(line)) and (entry := _ENTRY.fullmatch(match["rest"])):
            about = number if line[: match.start()].strip() else _next(lines, number)
            first, last = extent(about)
            yield Suppression(
                entry["rule"], (entry["reason"] or "").strip(), file, number, min(first, number), last
            )


def _next(lines: list[str], number: int) -> int:
    """The first line after one that is neither empty nor a comment."""
    for position in range(number, len(lines)):
        if lines[position].strip() and not lines[position].lstrip().startswith("#"):
            return position + 1
    return number


def read_names(
    file: str, named: Mapping[str, object], first: int = 0, last: int = 0
) -> Iterator[Suppression]:
    """The suppressions among labels or annotations: `shipway.ignore/RULE` = reason, about these lines."""
    for name, reason in named.items():
        if name.startswith(PREFIX):
            rule = name.removeprefix(PREFIX)
            yield Suppression(rule, str(reason or "").strip(), file, first, first, last)


def settle(
    findings: Iterable[Finding],
    suppressions: Iterable[Suppression],
    known: Collection[str],
    everywhere: Mapping[str, str] = {},
) -> Settled:
    """Take out what is answered for, and say which suppressions do not hold. `known` are rules' names.

    `everywhere` are the rules that are ignored wherever they have something to say, with the reason.
    """
    findings, suppressions = sorted(findings, key=_place), tuple(suppressions)
    answered = {
        finding: suppression.reason
        for suppression in suppressions
        for finding in findings
        if suppression.reason and finding.rule in known and suppression.covers(finding)
    }
    outside = {f: everywhere[f.rule] for f in findings if f.rule in everywhere and f not in answered}
    wrong = [f for s in suppressions for f in _wrong(s, findings, known)]
    return Settled(
        tuple(sorted({*(set(findings) - answered.keys() - outside.keys()), *wrong}, key=_place)),
        (
            *(Suppressed(finding, reason) for finding, reason in answered.items()),
            *(Suppressed(finding, reason, in_source=False) for finding, reason in outside.items()),
        ),
    )


def _place(finding: Finding) -> tuple[str, int, str, str]:
    return finding.file, finding.line, finding.rule, finding.message


def _wrong(said: Suppression, findings: Iterable[Finding], known: Collection[str]) -> Iterator[Finding]:
    place = (said.file, said.line)
    if said.rule not in known:
        near = difflib.get_close_matches(said.rule, known, 1)
        meant = f"; did you mean `{near[0]}`?" if near else ""
        message = f"there is no rule `{said.rule}` that could be ignored{meant}"
        yield Finding("ignore-unknown", message, "write `shipway: ignore RULE: reason`", *place, "error")
    elif not any(said.covers(finding) for finding in findings):
        message = f"`{said.rule}` is ignored here, and has nothing to say"
        yield Finding(
            "ignore-unused", message, "remove it, or move it above what it is about", *place, "warning"
        )
    elif not said.reason:
        message = f"`{said.rule}` is ignored without a reason, so it is not"
        yield Finding(
            "ignore-reason", message, f"write why: `shipway: ignore {said.rule}: …`", *place, "error"
        )
