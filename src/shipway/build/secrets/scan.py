"""Texts that would go into an image -> findings for the secrets in them.

In: the name and bytes of a file, or what an image's config will say. Out: findings with file, line and
kind, never the value. Pure, so a caller may keep results by the file's digest and RULES. Placeholders pass;
so does a line that says `shipway: allow-secret` and why. What is looked for is in patterns.py.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from shipway.build.secrets.patterns import BARE, FORMS, HARMLESS, KEYS, NAMES, QUOTED
from shipway.errors import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shipway.plan.image import Process

RULES = 1
"""Part of every key of a scan: counts up when the same text could be judged otherwise than before."""
LINE = 10_000
"""Of a line, so many bytes after a secret are searched for the comment that allows it."""

_SNIFFED = 8192
_BY_START = {form.start: [other for other in FORMS if other.start == form.start] for form in FORMS}
_CODE = frozenset(
    {
        *("py", "pyi", "pyx", "js", "mjs", "cjs", "jsx", "ts", "tsx", "vue", "go", "rs", "rb", "php", "lua"),
        *("java", "kt", "scala", "cs", "c", "h", "cc", "cpp", "hpp", "swift", "css", "html", "sql", "json"),
    }
)
"""Files in which a value without quotes is an expression."""
_ALLOWED = re.compile(rb"shipway: allow-secret\b[ \t]*(?P<reason>[^\r\n]*)")
_PLACEHOLDER = re.compile(
    r"example|sample|changeme|change[-_]me|placeholder|dummy|fake|mock|redacted|replace|insert|your|todo"
    r"|not[-_]?a[-_]?real|x{4}|0{6}|\*{3}|\.{3}|…|123456|abcdef|[<>{}$%]",
    re.IGNORECASE,
)
"""`$`, `%`, `<` and braces: the value comes from elsewhere when somebody fills the text in."""
_WORD = re.compile(r"(?:[A-Za-z]*|[A-Z]*|[0-9]+)[0-9]{0,4}")
_WELL_KNOWN = frozenset(
    {
        *("pass", "passwd", "password", "secret", "token", "pwd", "hunter2", "admin", "root", "guest"),
        *(
            "test",
            "user",
            "postgres",
            "mysql",
            "redis",
            "rabbitmq",
            "minio",
            "minioadmin",
            "pw",
            "foo",
            "bar",
        ),
    }
)
_LOCAL = re.compile(
    r"localhost|127\..*|0\.0\.0\.0|host|hostname|server|proxy|.*\.(?:test|invalid|localhost)|(?:.*\.)?example\..*"
)
_CLAIMS = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "role", "scope"})
"""A token that an issuer made has one of these; what tutorials encode has not."""


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
    """The line and kind of each secret in a text, whatever stands beside it."""
    text = _text(data)
    found = _matches(text, quoted_only=_is_code(name))
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
    yield from _by_form(text)
    lower = text.lower()
    for name in NAMES:
        for start in _occurrences(lower, name):
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


def _by_form(text: bytes) -> Iterator[_Match]:
    for word, forms in _BY_START.items():
        for start in _occurrences(text, word):
            if _continues(text, start):
                continue
            for form in forms:
                if (found := form.rest.match(text, start)) and _is_real(form.kind, found):
                    yield _Match(start, found.end(), form.kind)


def _occurrences(text: bytes, word: bytes) -> Iterator[int]:
    start = text.find(word)
    while start >= 0:
        yield start
        start = text.find(word, start + len(word))


def _continues(text: bytes, start: int) -> bool:
    """Whether a word only goes on here: a letter or a digit is before, and at, the position."""
    return text[start : start + 1].isalnum() and text[start - 1 : start].isalnum()


# -- Judging: a real one, or a placeholder ---------------------------------------------------------------


def _is_real(kind: str, found: re.Match[bytes]) -> bool:
    body = found["body"].decode(errors="replace")
    if kind == "password in a URL":
        user, host = (found[group].decode(errors="replace") for group in ("user", "host"))
        return not (_LOCAL.fullmatch(host) or is_placeholder(body) or body == user)
    if kind == "JSON web token":
        return _is_token(found[0].decode())
    if kind == "authorization header":
        return is_random(body)
    return not is_placeholder(body) and _entropy(body) > 2.5


def is_placeholder(value: str) -> bool:
    """Whether a value stands for one that somebody has to fill in, or is everybody's default."""
    return bool(_PLACEHOLDER.search(value)) or value.lower() in _WELL_KNOWN or len(set(value)) < 4


def is_random(value: str) -> bool:
    """Whether a value is mixed as words, names, versions, paths and dates are not."""
    if len(value) < 12 or is_placeholder(value) or "://" in value or value.startswith(("/", ".", "~")):
        return False
    pieces = re.split(r"[^A-Za-z0-9]+", value)
    mixed = [piece for piece in pieces if not _WORD.fullmatch(piece)]
    return sum(map(len, mixed)) >= 8 and len(re.findall("[0-9]", value)) >= 2 and _entropy(value) > 3.0


def _entropy(value: str) -> float:
    """Shannon's, in bits a character."""
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values())


def _is_token(token: str) -> bool:
    """Whether a JSON web token has a header and claims, and is not the one of everybody's tutorial."""
    try:
        header, claims = (
            json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
            for part in token.split(".")[:2]
        )
    except (binascii.Error, ValueError):
        return False
    if not (isinstance(header, dict) and "alg" in header and isinstance(claims, dict)):
        return False
    return bool(_CLAIMS & claims.keys()) and claims.get("sub") != "1234567890"
