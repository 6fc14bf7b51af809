"""What changes in a text from run to run though nobody changed anything: it is replaced by a placeholder.

In: a string. Out: the string with `<time>`, `<date>`, `<uuid>`, `<tmp>`, `<port>`, `<address>`, `<epoch>` and
`<duration>` where such values stood. `anywhere` replaces what only machines write; `result` is for results of
tools, where a day, an age and a duration are the tool's and not the question.

A rule belongs here when it is met in requests of real frameworks, and when two questions of people cannot
differ in it alone.
"""

from __future__ import annotations

import functools
import re

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)[a-z]*\.?"
_DAY = r"(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?"
_ISO_DATE = r"\d{4}-\d{2}-\d{2}"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?: ?[AaPp][Mm]\b)?"
_ZONE = r"(?: ?(?:Z\b|UTC\b|GMT\b|[+-]\d{2}:?\d{2}\b))"
_NUMBERS = r"(?:\d{1,2}[/.]\d{1,2}[/.]\d{4}|\d{4}/\d{2}/\d{2})"
_WORDY = rf"(?:{_DAY},? )?(?:{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}|\d{{1,2}} {_MONTH} \d{{4}})"

_TIME = re.compile(
    rf"\b{_ISO_DATE}(?:T\d{{2}}:\d{{2}}(?::\d{{2}}(?:[.,]\d{{1,9}})?)?{_ZONE}?"
    rf"| \d{{2}}:\d{{2}}(?::\d{{2}}(?:[.,]\d{{1,9}})?{_ZONE}?|{_ZONE}))"
    rf"|\b{_DAY},? (?:\d{{1,2}} {_MONTH}|{_MONTH} +\d{{1,2}}) (?:\d{{4}} )?\d{{2}}:\d{{2}}:\d{{2}}"
    rf"{_ZONE}?(?: [A-Z]{{3,4}})?(?: \d{{4}})?"
)
"""A moment as programs print it: ISO 8601 with a time of day, RFC 2822, `date`. People leave out the T, the
seconds and the zone: `2026-11-29 14:00` may be what was asked for."""

_TODAY = re.compile(
    r"\b(?P<said>(?:today(?:['’]s)?|current(?:ly)?|now)"  # noqa: RUF001 - the apostrophe that editors put in
    r"(?:[\s_]|date and time|time and date|date|day|time|is|it|utc|[:=,\"*`(])*?)"
    rf"(?P<day>(?:{_DAY},? )?(?:{_ISO_DATE}|{_NUMBERS})|{_WORDY}"
    rf"|\d{{1,2}}:\d{{2}}:\d{{2}}|(?<=time is ){_CLOCK}|(?<=time: ){_CLOCK})"
    rf"(?:,?(?: at)? {_CLOCK}{_ZONE}?)?",
    re.IGNORECASE,
)
"""A date that is said to be today's: system prompts have one. Others, and days without a year, stay."""

_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE)
_TMP = re.compile(
    r"(?:/private)?(?:/var/folders/\w+/[\w+-]+/T|/var/tmp|/tmp)"
    r"/(?:tmp[._]?[A-Za-z0-9_]{6,12}|pytest-of-[\w-]+/pytest-\d+)(?![A-Za-z0-9_])"
    r"|(?<=/)-tmp-tmp[A-Za-z0-9]{6,12}(?![A-Za-z0-9])"  # Claude Code's name for such a directory
)
_PORT = re.compile(
    r"(?<=localhost:|127\.0\.0\.1:)(?:3[2-9]|[456]\d)\d{3}\b|(?<=\[::1\]:)(?:3[2-9]|[456]\d)\d{3}\b"
)
_BILLING = re.compile(r"x-anthropic-billing-header:[^\n]*")  # of Claude Code, another one in every request
_ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,16}\b", re.IGNORECASE)

_REMEMBERED = 32_000  # characters; not what holds a picture

_DATE = re.compile(rf"\b{_ISO_DATE}\b")
_WEEKDAY = re.compile(r"\b(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b")
_MINUTE = re.compile(rf"\b{_ISO_DATE} \d{{2}}:\d{{2}}\b")
_EPOCH = re.compile(r"(?<![\w.-])1[5-9]\d{8}(?:\d{3})?(?:\.\d+)?(?![\w-])")
_DURATION = re.compile(
    r"(?<![\w.])\d+(?:\.\d+ ?(?:s|sec|seconds)|(?:\.\d+)? ?(?:ms|µs|us|ns|milliseconds))\b"
)


def anywhere(text: str) -> str:
    """`text` without moments, today's date, UUIDs, temporary paths, passing ports and addresses."""
    return _known(text) if len(text) <= _REMEMBERED else _anywhere(text)


def _anywhere(text: str) -> str:
    if "-" in text or ":" in text:
        text = _UUID.sub("<uuid>", _TIME.sub("<time>", text))
    if _speaks_of_today(text):
        text = _TODAY.sub(r"\g<said><date>", text)
    if "tmp" in text or "/T/" in text:
        text = _TMP.sub("<tmp>", text)
    if "localhost:" in text or "127.0.0.1:" in text or "[::1]:" in text:
        text = _PORT.sub("<port>", text)
    if "x-anthropic-billing-header:" in text:
        text = _BILLING.sub("<billing>", text)
    return _ADDRESS.sub("at <address>", text) if "at 0x" in text else text


_known = functools.lru_cache(maxsize=256)(_anywhere)
"""A prompt and the turns before come back with every request."""


def _speaks_of_today(text: str) -> bool:
    lower = text.lower()
    return "today" in lower or "current" in lower or "now" in lower


def result(text: str) -> str:
    """`text`, the result of a tool, also without epochs and durations."""
    text = _MINUTE.sub("<time>", anywhere(text))
    return _DURATION.sub("<duration>", _EPOCH.sub("<epoch>", text))


def holds_time(text: str) -> bool:
    """Whether a moment was replaced in it, or is still to be."""
    return "<time>" in text or _TIME.search(text) is not None or _MINUTE.search(text) is not None


def undated(text: str) -> str:
    """`text` without dates and weekdays: beside a moment, they say the same thing once more."""
    return _WEEKDAY.sub("<weekday>", _DATE.sub("<date>", text))
