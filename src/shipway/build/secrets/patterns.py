"""What secrets look like: a table of forms that services give to their keys.

Each row is matched where its `start` stands, so a file is searched for fixed words only: about 25 ms a
megabyte. Rows are narrow on purpose: a build that fails for nothing teaches people to switch the scan off.
Sources: the services' own pages on the format of their keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of secret that says what it is: `start`, then `rest`. `kind` is how findings name it."""

    kind: str
    start: bytes
    rest: re.Pattern[bytes]


_AFTER = rb"(?![\w/+-])"
"""Nothing of a key's alphabet may follow, or it is a part of something longer: a hash, a picture."""


def _form(kind: str, start: str, rest: str, after: bytes = _AFTER) -> Form:
    return Form(kind, start.encode(), re.compile(re.escape(start.encode()) + rest.encode() + after))


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

NAMES = (b"password", b"passwd", b"passphrase", b"secret", b"token", b"credential", b"key")
"""What a name ends with, in lower case, that is given a secret. The value decides whether it is one."""
KEYS = (b"api", b"access", b"secret", b"private", b"auth", b"signing", b"encryption", b"account")
"""What stands before `key` in such a name; between them may be `_` or `-`."""
HARMLESS = (
    b"next",
    b"page",
    b"pagination",
    b"continuation",
    b"request",
    b"update",
    b"sync",
    b"public",
    b"publickey",
)
"""What stands before `token` or `key` in names of what is handed to everybody."""

_STANDS = (
    rb"""["'\])]{0,3}[ \t]{0,20}"""
    rb"""(?::[ \t]{0,4}[\w.\[\]| ]{1,40})?(?:=(?!=)|:=?|=>|(?<=["']),)[ \t]{0,20}[rbuRBU]{0,2}"""
)
QUOTED = re.compile(_STANDS + rb"""(?P<quote>["'`])(?P<body>[^"'`\s\\]{12,200})(?P=quote)""")
"""After a name, in any language: `= "value"`, `: "value"`, `: str = "value"`, `", "value"`."""
BARE = re.compile(
    rb"""[ \t]{0,20}[:=][ \t]{0,20}(?P<body>[^\s"'`\\,;()\[\]{}]{12,200})[ \t]*(?=[\r\n#]|\Z)"""
)
"""After a name, where values go without quotes: YAML, INI, `.env`, Dockerfiles, text."""
