"""Values of secrets, from where people keep them.

In: the names that a deployment needs, variables of the environment, a file of NAME=value lines. Out: values.
NAME is looked for in the environment, then in the file; NAME_FILE there is the path of a file that holds the
value, for keys of several lines. Errors: SpecError with a finding for each that is missing, all at once. No
value is ever part of a message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.errors import Finding, SpecError

if TYPE_CHECKING:
    from collections.abc import Collection

RULE = "secret-missing"
_FILE = "_FILE"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where values are looked for, in this order; `file` is what the second one is called."""

    environ: Mapping[str, str]
    listed: Mapping[str, str]
    file: str

    def value(self, name: str) -> str | None:
        """The value; None where there is none, or an empty one. Raises SpecError for a file that cannot be
        read."""
        for values in (self.environ, self.listed):
            if value := values.get(name):
                return value
            if path := values.get(f"{name}{_FILE}"):
                return _read(name, Path(path))
        return None


def collect(
    needed: Mapping[str, tuple[str, ...]], sources: Sources, kept: Collection[str] = ()
) -> dict[str, str]:
    """A value for each name; `needed` says which containers need it. Those that are `kept` by the machine
    since an earlier deployment may be missing here. Raises SpecError."""
    values: dict[str, str] = {}
    findings: list[Finding] = []
    for name, containers in needed.items():
        try:
            value = sources.value(name)
        except SpecError as error:
            findings.extend(error.findings)
            continue
        if value is not None:
            values[name] = value
        elif name not in kept:
            findings.append(_missing(name, containers, sources.file))
    if findings:
        raise SpecError(findings)
    return values


def _missing(name: str, containers: tuple[str, ...], file: str) -> Finding:
    needs = "needs" if len(containers) == 1 else "need"
    message = (
        f"{' and '.join(containers)} {needs} the secret {name}, which is neither in the environment nor in "
        f"{file}"
    )
    fix = f"set {name}, or {name}{_FILE} to the path of a file that holds it, in either place"
    return Finding(RULE, message, fix)


def _read(name: str, path: Path) -> str:
    """Without the newline that editors put at the end."""
    try:
        return path.expanduser().read_text("utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        message = f"{name}{_FILE} names {path}, which cannot be read: {said}"
        raise SpecError([Finding(RULE, message, "name a file that you may read")]) from None
