"""The exception tree, and Finding: a problem in the user's input, with its fix.

    ShipwayError                  anything the user can act on; exit code 1
    ├── SpecError                 agent.toml, the project or the command line is wrong: findings; exit code 2
    ├── BuildError                an image could not be made
    │   ├── UnreachableError      a mirror, index or registry did not answer; says what is cached
    │   ├── DeniedError           a registry refused; says which credentials were tried (registries/)
    │   ├── TamperedError         a signature or a hash does not match: refused, never retried
    │   └── ResolveError          dependencies that cannot be met, or have no wheel for the platform
    ├── StackError                a stack could not be started, asked or stopped
    ├── ControlError              a control server is not reached, or refuses
    ├── RolloutError              a rollout cannot do what it was asked for
    └── GateError                 a gate said no; exit code 3

In: what was seen, what was expected, what to do. Out: one clear message; a traceback only with --debug.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence


Severity = Literal["error", "warning", "note"]
"""An error must be mended; a warning is mended in a good project; a note is worth a thought."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem in the user's input: where it is, what was seen, what was expected, and the fix."""

    rule: str
    """Short stable name, such as `unknown-key`; documented in docs/reference/findings.md."""
    message: str
    """What was seen and what was expected, in one sentence."""
    fix: str = ""
    """What to do, as an instruction."""
    file: str = ""
    line: int = 0
    """Line in `file`, from 1; 0 where there is none."""
    severity: Severity = "error"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.line else f"{self.file}: " if self.file else ""
        severity = "" if self.severity == "error" else f"{self.severity}: "
        fix = f"\n    fix: {self.fix}" if self.fix else ""
        return f"{place}{severity}{self.message} [{self.rule}]{fix}"


class ShipwayError(Exception):
    """Anything the user can act on. `hint` says what to do next."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class SpecError(ShipwayError):
    """agent.toml, the project or the command line is wrong; carries every finding at once."""

    exit_code = 2

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("\n".join(str(finding) for finding in findings))
        self.findings = tuple(findings)


class BuildError(ShipwayError):
    """An image could not be made."""


class UnreachableError(BuildError):
    """A mirror, an index or a registry did not answer."""


class TamperedError(BuildError):
    """A signature or a hash does not match what was signed."""


class ResolveError(BuildError):
    """Dependencies that cannot be met, or that have no wheel for the image's platform."""


class StackError(ShipwayError):
    """A stack could not be started, asked or stopped."""


class ControlError(ShipwayError):
    """A control server is not reached, or refuses what it is asked."""


class RolloutError(ShipwayError):
    """A rollout cannot do what it was asked for; what runs goes on as it was."""


class GateError(ShipwayError):
    """A gate said no."""

    exit_code = 3
