"""What a recording never holds: the project's secrets, the keys of requests, and whatever looks like a key.

In: texts, JSON values, chunks of a stream. Out: the same with `<secret NAME>` or `<secret>` in place of each.
What is declared is found as it is and JSON-escaped, URL-encoded or in base64; what is not is found by its
form (shipway/secret_forms.py). Requests are changed in the same way while replaying, so they match.
"""

from __future__ import annotations

import base64
import json
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

from shipway import secret_forms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_SHORTEST = 8  # characters of a declared secret; what is shorter is found in ordinary words
_SHORTEST_KEY = 16  # of a key in a header: placeholders of a replay are shorter
_NESTED = 3  # strings of JSON within each other: arguments of a tool call are one in another
_KEY_HEADERS = ("authorization", "x-api-key", "x-goog-api-key", "api-key")
_NAMED = frozenset({"password in a URL", "authorization header", "Azure storage key"})
"""Kinds of which only the body is secret; what stands before it says what it is."""
_ESCAPES = (b"\\n", b"\\r", b"\\t", b"\\b", b"\\f")
_UNICODE = re.compile(rb"\\u[0-9a-fA-F]{4}")
_REST_OF_PEM = re.compile(rb"""(?:\\+[rn]|[\s"'`+,()\\>|]|[A-Za-z0-9+/=])*""")

Span = tuple[int, int, str]
"""Start, end, and the secret's name; empty for one that nobody declared."""


class Secrets:
    """The values that are looked for, by name. `weak` are names whose values are too common for that."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self.weak = tuple(name for name, value in (values or {}).items() if _is_weak(value.strip()))
        self._forms = {
            form: name
            for name, value in (values or {}).items()
            if name not in self.weak
            for form in _forms(value.strip())
        }

    def with_keys(self, headers: Mapping[str, str], target: str) -> Secrets:
        """Also the keys that a request brings: in its headers, or in its query as Gemini takes them."""
        found = Secrets()
        keys = [headers.get(name, "").rpartition(" ")[2] for name in _KEY_HEADERS]
        keys += [value for name, value in parse_qsl(urlsplit(target).query) if name == "key"]
        long = (key for key in keys if len(key) >= _SHORTEST_KEY)
        found._forms = {form: "" for key in long for form in _forms(key)} | self._forms
        return found

    def hide(self, value: Any) -> Any:
        """A JSON value without secrets: in its texts, keys of objects included."""
        if isinstance(value, str):
            return self._hide_text(value)
        if isinstance(value, list):
            return [self.hide(item) for item in value]
        if isinstance(value, dict):
            return {self._hide_text(key): self.hide(item) for key, item in value.items()}
        return value

    def hide_in_chunks(self, chunks: Sequence[bytes]) -> list[bytes]:
        """A stream without secrets, cut as it was: a secret on a border is replaced where it begins."""
        stream = b"".join(chunks)
        spans = self.find(stream)
        ends, position = [], 0
        for chunk in chunks:
            position += len(chunk)
            ends.append(position)
        return [
            _replace(stream, spans, end - len(chunk), end) for chunk, end in zip(chunks, ends, strict=True)
        ]

    def find(self, text: bytes) -> list[Span]:
        """Where secrets stand, in order and apart from each other."""
        found = [*self._declared(text), *_by_form(text)]
        spans: list[Span] = []
        for start, end, name in sorted(found, key=lambda span: (span[0], -span[1], not span[2])):
            if not spans or start >= spans[-1][1]:
                spans.append((start, end, name))
            elif end > spans[-1][1]:
                spans[-1] = (spans[-1][0], end, spans[-1][2] or name)
        return spans

    def are_in_pieces_of(self, events: Iterable[Any]) -> bool:
        """Whether a secret comes together from what several events of a stream add to the same text."""
        texts: dict[str, list[str]] = defaultdict(list)
        for event in events:
            leaves = list(_leaves(event))
            places = ",".join(f"{path}={value}" for path, value in leaves if path.endswith("index"))
            for path, value in leaves:
                if isinstance(value, str):
                    texts[f"{path} {places}"].append(value)
        return any(self.find("".join(pieces).encode(errors="replace")) for pieces in texts.values())

    def _hide_text(self, text: str) -> str:
        content = text.encode(errors="surrogatepass")
        spans = self.find(content)
        return _replace(content, spans, 0, len(content)).decode(errors="surrogatepass") if spans else text

    def _declared(self, text: bytes) -> Iterator[Span]:
        for form, name in self._forms.items():
            for start in secret_forms.occurrences(text, form):
                yield start, start + len(form), name


NONE = Secrets()


def named(names: Iterable[str], environ: Mapping[str, str]) -> Secrets:
    """The secrets that are in these variables; a variable that is not set is none."""
    return Secrets({name: environ[name] for name in names if environ.get(name)})


def _is_weak(value: str) -> bool:
    return len(value) < _SHORTEST or secret_forms.is_well_known(value)


def _replace(text: bytes, spans: Sequence[Span], start: int, end: int) -> bytes:
    """text[start:end] without the spans; each is replaced where it begins."""
    parts, position = [], start
    for first, last, name in spans:
        if last <= start or first >= end:
            continue
        parts.append(text[position : max(first, position)])
        if first >= start:
            parts.append(f"<secret {name}>".encode() if name else b"<secret>")
        position = min(last, end)
    return b"".join([*parts, text[position:end]])


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]")
    else:
        yield path, value


# -- The same secret, written in other ways ------------------------------------------------------------------


def _forms(value: str) -> Iterator[bytes]:
    yield from _written(value)
    try:
        password = urlsplit(value).password if "://" in value else None
    except ValueError:
        return
    if password and not _is_weak(password):
        yield from _written(password)


def _written(value: str) -> Iterator[bytes]:
    """In JSON, also within strings of JSON; in a URL; in base64, wherever in a longer text it is."""
    escaped = {value: None, value.replace("/", "\\/"): None}
    for _ in range(_NESTED):
        for text in list(escaped):
            escaped |= {json.dumps(text, ensure_ascii=only)[1:-1]: None for only in (True, False)}
    odd = "surrogateescape"  # a variable of the environment need not be UTF-8
    urls = [quote(value, errors=odd), quote(value, safe="", errors=odd), quote_plus(value, errors=odd)]
    urls += [re.sub("%..", lambda match: match[0].lower(), url) for url in urls]
    for text in dict.fromkeys([*escaped, *urls]):
        yield text.encode(errors=odd)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            whole = encode(bytes(before) + value.encode(errors=odd))
            end = whole.rstrip(b"=")
            yield end[(0, 2, 3)[before] : len(end) - (whole != end)]


def _by_form(text: bytes) -> Iterator[Span]:
    """By what it looks like. Escapes of JSON are no letters: a key may stand right after a line's end."""
    plain = text
    for escape in _ESCAPES:
        plain = plain.replace(escape, b"  ")
    plain = _UNICODE.sub(b" " * 6, plain)
    for found in secret_forms.find(plain):
        start, end = found.body if found.kind in _NAMED else (found.start, found.end)
        if found.kind == "private key" and (rest := _REST_OF_PEM.match(plain, found.end)):
            end = rest.end()
        yield start, end, ""
