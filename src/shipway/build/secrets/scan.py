"""Texts that would go into an image -> findings for the secrets in them.

In: the name and bytes of a file, or what an image's config will say. Out: findings with file, line and
kind, never the value. Pure, so a caller may keep results by the file's digest and RULES. Placeholders pass;
so does a line that says `shipway: allow-secret` and why. What is looked for is in patterns.py and
shipway/secret_forms.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from shipway import secret_forms
from shipway.build.secrets.patterns import BARE, HARMLESS, KEYS, NAMES, QUOTED
from shipway.errors import Finding
from shipway.secret_forms import is_random, occurrences

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shipway.plan.image import Process

RULES = 1
"""Part of every key of a scan: counts up when the same text could be judged otherwise than before."""
LINE = 10_000
"""Of a line, so many bytes after a secret are searched for the comment that allows it."""

_SNIFFED = 8192
_CODE = frozenset(
    {
        *("py", "pyi", "pyx", "js", "mjs", "cjs", "jsx", "ts", "tsx", "vue", "go", "rs", "rb", "php", "lua"),
        *("java", "kt", "scala", "cs", "c", "h", "cc", "cpp", "hpp", "swift", "css", "html", "sql", "json"),
    }
)
"""Files in which a value without quotes is an expression."""
_ALLOWED = re.compile(rb"shipway: allow-secret\b[ \t]*(?P<reason>[^\r\n]*)")


@dataclass(frozen=True, slots=True)
class _Match:
    start: int
    end: int
    kind: str


def scan_file(name: str, data: bytes) -> tuple[Finding, ...]:
    """The secrets in one file, by line, one finding a line and kind. Binary files have none."""
    findings: list[Finding] = []
    seen: set[tuple[int, str]] = set()
    text = _text(data)
    line, counted = 1, 0
    for match in sorted(_matches(text, quoted_only=_is_code(name)), key=lambda match: match.start):
        line, counted = line + text.count(b"\n", counted, match.start), match.start
        if (line, match.kind) not in seen:
            seen.add((line, match.kind))
            findings += _judged(name, line, match.kind, _permit(text, match))
    return tuple(findings)


def find_secrets(name: str, data: bytes) -> Iterator[tuple[int, str]]:
    """The line and kind of each secret in a text, but for those that its line allows with a reason."""
    text = _text(data)
    found = [m for m in _matches(text, quoted_only=_is_code(name)) if not _permit(text, m)]
    yield from sorted({(text.count(b"\n", 0, match.start) + 1, match.kind) for match in found})


def names_a_secret(name: str) -> bool:
    """Whether a variable of this name is given a secret: OPENAI_API_KEY is, NEXT_TOKEN is not."""
    lower = name.lower().encode()
    end = next((word for word in NAMES if lower.endswith(word)), None)
    return end is not None and _is_for_secrets(end, lower[: -len(end)])


def scan_config(process: Process, labels: Mapping[str, str], manifest: str = "") -> tuple[Finding, ...]:
    """The secrets in what an image says about itself: variables, labels, entry point, `shipway.json`."""
    texts = {
        **{f"the variable {name}": f"{name}={value}" for name, value in process.env.items()},
        **{f"the label {name}": f"{name}={value}" for name, value in labels.items()},
        "the entry point": _as_lines(process.entrypoint),
        "the manifest, made from agent.toml,": manifest,
    }
    return tuple(
        Finding(
            "secret-in-config",
            f"{where} holds what looks like a secret ({kind}); everybody who can pull the image can read it",
            f"{_FIX}; in agent.toml, name the secret instead of writing it",
        )
        for where, text in texts.items()
        for kind in sorted({match.kind for match in _matches(text.encode(), quoted_only=False)})
    )


def _as_lines(words: Sequence[str]) -> str:
    """Each word, and each pair of neighbours: `--api-key VALUE` is as good as `--api-key=VALUE`."""
    return "\n".join([*words, *(f"{one}={other}" for one, other in pairwise(words))])


_FIX = "declare it under [secrets] and read it when the agent runs; if it was committed, replace it"


def _judged(name: str, line: int, kind: str, permit: str | None) -> Iterator[Finding]:
    message = f"this looks like a secret ({kind}), and the file would go into the image"
    if permit is None:
        allow = "if it is none, end the line with `# shipway: allow-secret` and why"
        yield Finding("secret-in-file", message, f"{_FIX}; {allow}", name, line)
    elif not permit:
        message = f"{message}; `shipway: allow-secret` is there without a reason"
        yield Finding("secret-in-file", message, "write why after `shipway: allow-secret`", name, line)


def _permit(text: bytes, match: _Match) -> str | None:
    """The reason that the rest of the line gives for what stands there; None where it does not allow it."""
    rest = text[match.end : match.end + LINE].partition(b"\n")[0]
    found = _ALLOWED.search(rest)
    return re.sub(r"[^\w]+", " ", found["reason"].decode(errors="replace")).strip() if found else None


def _text(data: bytes) -> bytes:
    """What there is to read: nothing of a binary file; UTF-16, as PowerShell writes it, as UTF-8."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace").encode()
    return b"" if b"\0" in data[:_SNIFFED] else data


def _is_code(name: str) -> bool:
    return PurePosixPath(name).suffix.lower().lstrip(".") in _CODE


# -- Looking ---------------------------------------------------------------------------------------------


def _matches(text: bytes, *, quoted_only: bool) -> Iterator[_Match]:
    yield from (_Match(found.start, found.end, found.kind) for found in secret_forms.find(text))
    lower = text.lower()
    for name in NAMES:
        for start in occurrences(lower, name):
            end = start + len(name)
            if not _is_for_secrets(name, lower[max(0, start - 20) : start]):
                continue
            found = QUOTED.match(text, end) or (None if quoted_only else BARE.match(text, end))
            if found and is_random(found["body"].decode(errors="replace")):
                yield _Match(start, found.end(), "assigned to a name for secrets")


def _is_for_secrets(name: bytes, before: bytes) -> bool:
    """Whether what stands before the name makes it one of secrets: `api_key` is, `next_token` is not."""
    stem = before.rstrip(b"_-")
    return not (stem.endswith(HARMLESS) or b"::" in before) and (name != b"key" or stem.endswith(KEYS))
