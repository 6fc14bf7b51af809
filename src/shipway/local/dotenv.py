"""`.env`, read by `shipway up` alone: values for the secrets that agent.toml declares.

In: the text of the file. Out: names and values, or SpecError with a finding for each line that is not one of

    NAME=value                 up to the end of the line, or to " #"
    NAME='value'               as it stands
    NAME="value"               with \\n, \\t, \\" and \\\\
    export NAME=value          the same
    # a comment, or nothing

Nothing is expanded: `$HOME` is five characters.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shipway.errors import Finding, SpecError

if TYPE_CHECKING:
    from pathlib import Path

_LINE = re.compile(
    r"""\s*(?:export\s+)?(?P<name>[A-Za-z_]\w*)\s*=\s*
    (?: '(?P<single>[^']*)' | "(?P<double>(?:[^"\\]|\\.)*)" | (?P<plain>(?!['"]).*?) )
    \s*(?:(?:^|(?<=\s))\#.*)?""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


def parse(text: str, file: str) -> dict[str, str]:
    """The values by name; the last one of a name counts. Raises SpecError with every finding."""
    values, findings = {}, []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            # The line may hold a secret: it is not repeated.
            message = "not a line of the form NAME=value"
            fix = "write NAME=value, with quotes around a value that holds quotes or ends in spaces"
            findings.append(Finding("dotenv", message, fix, file, number))
        else:
            values[match["name"]] = _value(match)
    if findings:
        raise SpecError(findings)
    return values


def read(path: Path) -> dict[str, str]:
    """The values in the file; none when there is no file."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise SpecError([Finding("dotenv", "not UTF-8 text", "save it as UTF-8", str(path))]) from None
    return parse(text, str(path))


def _value(match: re.Match[str]) -> str:
    if match["double"] is not None:
        return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[0]), match["double"])
    return match["single"] if match["single"] is not None else match["plain"]
