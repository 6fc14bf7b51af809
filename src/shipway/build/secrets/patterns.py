"""Names that are given secrets, and how a value stands after one, in any language.

The forms of secrets themselves, whatever they are assigned to, are in shipway/secret_forms.py.
"""

from __future__ import annotations

import re

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
