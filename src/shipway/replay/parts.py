"""Large texts of recordings, apart: files in `parts/`, named by their digest, that recordings refer to.

In: JSON values. Out: the same with `{"$part": NAME}` in place of each large text, and the files' bytes; and
back. Base64 is kept decoded, so that a picture is a picture: `{"$part": "….png", "base64": PREFIX}`. A key
`$part` of real data gets one more `$` in front, so that nothing is taken for what it is not.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

DIRECTORY = "parts"
LARGE = 16_384
"""Characters; a longer text has a file of its own."""

_MARK = "$part"
_REAL = re.compile(r"\$+part")
_NAME = re.compile(r"[0-9a-f]{32}\.[a-z0-9]{1,5}")
_BASE64 = re.compile(r"(?P<prefix>(?:data:[^,]{1,100};base64,)?)(?P<body>[A-Za-z0-9+/]+={0,2})")
_ESCAPED_BYTES = re.compile("[\udc80-\udcff]")
"""How bytes that are no UTF-8 stand in a text (surrogateescape)."""
_KINDS = (
    (b"\x89PNG", "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"GIF8", "gif"),
    (b"%PDF", "pdf"),
    (b"ID3", "mp3"),
    (b"\xff\xfb", "mp3"),
    (b"OggS", "ogg"),
)


class PartError(ValueError):
    """A part that a recording refers to is not there, or is not what it was."""


def split(value: Any, files: dict[str, bytes]) -> Any:
    """`value` with references in place of large texts; their bytes are added to `files` by name."""
    if isinstance(value, str):
        return _set_apart(value, files)
    if isinstance(value, list | tuple):
        return [split(item, files) for item in value]
    if isinstance(value, dict):
        return {_escape(key): split(item, files) for key, item in value.items()}
    return value


def join(value: Any, read: Callable[[str], bytes]) -> Any:
    """The value that was split; `read` gives the bytes of a file by name. Raises PartError."""
    if isinstance(value, list):
        return [join(item, read) for item in value]
    if not isinstance(value, dict):
        return value
    if _MARK in value:
        return _put_back(value, read)
    return {key[1:] if _REAL.fullmatch(key) else key: join(item, read) for key, item in value.items()}


def refers(text: str) -> bool:
    """Whether the text of a recording may refer to parts, or escape what would look like it."""
    return '$part"' in text


def name(content: bytes, kind: str) -> str:
    return f"{hashlib.sha256(content).hexdigest()[:32]}.{kind}"


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def check(file: str, content: bytes) -> None:
    """Raises PartError where a file is not what its name says."""
    if name(content, "")[:-1] != file.partition(".")[0]:
        raise PartError(f"{DIRECTORY}/{file} was changed: it is not what was recorded")


def _escape(key: str) -> str:
    return f"${key}" if _REAL.fullmatch(key) else key


def _set_apart(text: str, files: dict[str, bytes]) -> Any:
    if len(text) <= LARGE and not _ESCAPED_BYTES.search(text):
        return text
    if (found := _BASE64.fullmatch(text)) and (content := _decode(found["body"])) is not None:
        file = name(content, _kind(content))
        files[file] = content
        return {_MARK: file, "base64": found["prefix"]}
    try:
        content = text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return text
    if content.decode(errors="surrogateescape") != text:
        return text
    file = name(content, "txt" if not _ESCAPED_BYTES.search(text) else _kind(content))
    files[file] = content
    return {_MARK: file}


def _decode(body: str) -> bytes | None:
    """The bytes, where base64 of them is `body` again."""
    try:
        content = base64.b64decode(body, validate=True)
    except binascii.Error:
        return None
    return content if base64.b64encode(content).decode() == body else None


def _kind(content: bytes) -> str:
    if content[:4] == b"RIFF":
        return "webp" if content[8:12] == b"WEBP" else "wav"
    return next((kind for start, kind in _KINDS if content.startswith(start)), "bin")


def _put_back(reference: dict[str, Any], read: Callable[[str], bytes]) -> str:
    file, prefix = reference[_MARK], reference.get("base64")
    known = isinstance(file, str) and is_name(file) and isinstance(prefix, str | None)
    if not known or set(reference) - {_MARK, "base64"}:
        raise PartError(f"{reference!r:.100} is not a reference to a part")
    content = read(file)
    check(file, content)
    if prefix is None:
        return content.decode(errors="surrogateescape")
    return f"{prefix}{base64.b64encode(content).decode()}"
