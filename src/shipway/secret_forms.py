"""What secrets look like: forms that services give to their keys, and what tells a key from a placeholder.

In: bytes. Out: where secrets stand in them. The builder refuses files that hold one (build/secrets), the
replay never stores one (replay/secrecy.py).

Each row of FORMS is matched where its `start` stands, so a text is searched for fixed words only: about 25 ms
a megabyte. Rows are narrow on purpose: a build that fails for nothing teaches people to switch the scan off.
Sources: the services' own pages on the format of their keys.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of secret that says what it is: `start`, then `rest`. `kind` is how findings name it."""

    kind: str
    start: bytes
    rest: bytes
    """A regular expression, which is compiled when `start` is seen."""


_AFTER = rb"(?![\w/+-])"
"""Nothing of a key's alphabet may follow, or it is a part of something longer: a hash, a picture."""


def _form(kind: str, start: str, rest: str, after: bytes = _AFTER) -> Form:
    return Form(kind, start.encode(), re.escape(start.encode()) + rest.encode() + after)


FORMS: tuple[Form, ...] = (
    # models
    _form("Anthropic key", "sk-", r"ant-[a-z]{3,8}[0-9]{2}-(?P<body>[\w-]{32,200})"),
    _form("OpenAI key", "sk-", r"(?:proj|svcacct|admin)-(?P<body>[\w-]{40,200})"),
    _form("OpenRouter key", "sk-", r"or-v1-(?P<body>[0-9a-f]{64})"),
    _form("Langfuse key", "sk-", r"lf-(?P<body>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"),
    _form("key of a model API", "sk-", r"(?P<body>[A-Za-z0-9]{32,64})"),
    _form("Google API key", "AIza", r"(?P<body>[\w-]{35})"),
    _form("Groq key", "gsk_", r"(?P<body>[A-Za-z0-9]{48,60})"),
    _form("xAI key", "xai-", r"(?P<body>[A-Za-z0-9]{70,90})"),
    _form("Perplexity key", "pplx-", r"(?P<body>[A-Za-z0-9]{40,60})"),
    _form("Hugging Face token", "hf_", r"(?P<body>[A-Za-z]{34})"),
    _form("Replicate token", "r8_", r"(?P<body>[A-Za-z0-9]{37})"),
    _form("LangSmith key", "lsv2_", r"(?:pt|sk)_(?P<body>[0-9a-f]{32}_[0-9a-f]{10})"),
    _form("Tavily key", "tvly-", r"(?:dev-|prod-)?(?P<body>[A-Za-z0-9-]{30,60})"),
    # clouds and forges
    _form("AWS access key", "AKIA", r"(?P<body>[0-9A-Z]{16})"),
    _form("AWS access key", "ASIA", r"(?P<body>[0-9A-Z]{16})"),
    _form("Azure storage key", "AccountKey=", r"(?P<body>[A-Za-z0-9+/]{86}==)"),
    _form("DigitalOcean token", "dop_v1_", r"(?P<body>[0-9a-f]{64})"),
    _form("Databricks token", "dapi", r"(?P<body>[0-9a-f]{32})"),
    _form("GitHub token", "ghp_", r"(?P<body>[A-Za-z0-9]{36})"),
    _form("GitHub token", "gho_", r"(?P<body>[A-Za-z0-9]{36})"),
    _form("GitHub token", "ghs_", r"(?P<body>[A-Za-z0-9]{36})"),
    _form("GitHub token", "ghu_", r"(?P<body>[A-Za-z0-9]{36})"),
    _form("GitHub token", "ghr_", r"(?P<body>[A-Za-z0-9]{36,80})"),
    _form("GitHub token", "github_pat_", r"(?P<body>\w{60,90})"),
    _form("GitLab token", "glpat-", r"(?P<body>[\w-]{20,60}(?:\.[0-9a-z]{2}\.[0-9a-z]{6,12})?)"),
    # services and indexes
    _form("Slack token", "xox", r"[abeoprs]-(?P<body>[0-9]{6,14}-[\w-]{10,120})"),
    _form("Slack token", "xapp-", r"[0-9]-(?P<body>[A-Z0-9]{8,14}-[0-9]{8,14}-[0-9a-f]{40,80})"),
    _form("Slack webhook", "hooks.slack.com/services/", r"(?P<body>T\w{6,12}/B\w{6,12}/\w{20,30})"),
    _form("Stripe key", "sk_live_", r"(?P<body>[A-Za-z0-9]{20,120})"),
    _form("Stripe key", "rk_live_", r"(?P<body>[A-Za-z0-9]{20,120})"),
    _form("webhook signing secret", "whsec_", r"(?P<body>[A-Za-z0-9+/]{32,64}={0,2})"),
    _form("SendGrid key", "SG.", r"(?P<body>[\w-]{22}\.[\w-]{43})"),
    _form("npm token", "npm_", r"(?P<body>[A-Za-z0-9]{36})"),
    _form("PyPI token", "pypi-AgE", r"(?P<body>[\w-]{50,250})"),
    # anybody's
    _form("JSON web token", "eyJ", r"(?P<body>[\w-]{10,4000}\.eyJ[\w-]{10,8000}\.[\w-]{20,2000})"),
    _form(
        "private key",
        "-----BEGIN ",
        r"(?:[A-Z0-9]{2,10} )?PRIVATE KEY(?: BLOCK)?-----"
        r"""(?:\\+[rn]|[\s"'`+,()\\>|]|[A-Z][A-Za-z-]{3,12}: [^\r\n]{1,80}){1,60}"""
        r"(?P<body>[A-Za-z0-9+/=]{40})",
        after=b"",
    ),
    _form(
        "password in a URL",
        "://",
        r"""(?P<user>[^\s:/?#@"'`<>\\,;]{0,100}):(?P<body>[^\s/?#@"'`<>\\,]{3,200})@(?P<host>[\w.-]{1,200})""",
        after=b"",
    ),
    _form("authorization header", "Bearer ", r"(?P<body>[\w.~+/-]{20,500}=*)"),
    _form("authorization header", "Basic ", r"(?P<body>[A-Za-z0-9+/]{16,500}={0,2})"),
)

_BY_START = {form.start: [other for other in FORMS if other.start == form.start] for form in FORMS}
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
class Found:
    """A secret that stands at `start` to `end`; `body` is the part that nobody may see."""

    start: int
    end: int
    kind: str
    body: tuple[int, int]


def find(text: bytes) -> Iterator[Found]:
    """What has a form of the table and is no placeholder, form by form."""
    for word, forms in _BY_START.items():
        for start in occurrences(text, word):
            if _continues(text, start):
                continue
            for form in forms:
                if (found := _compiled(form.rest).match(text, start)) and _is_real(form.kind, found):
                    yield Found(start, found.end(), form.kind, found.span("body"))


@functools.cache
def _compiled(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern)


def occurrences(text: bytes, word: bytes) -> Iterator[int]:
    """Where `word` begins in `text`."""
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
    return bool(_PLACEHOLDER.search(value)) or is_well_known(value)


def is_well_known(value: str) -> bool:
    """Whether a value is everybody's default."""
    return value.lower() in _WELL_KNOWN or len(set(value)) < 4


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
