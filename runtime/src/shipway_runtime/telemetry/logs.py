"""Log lines: plain in development, JSON elsewhere, on stderr.

In: log records of everybody in the process. Out: lines without the value of any secret. The redaction sits
where records are made, so handlers and formatters that the agent installs are covered too, and so are
formatted tracebacks.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import TYPE_CHECKING, Any

from . import current

if TYPE_CHECKING:
    from collections.abc import Callable

FIELDS = "shipway"
"""The attribute of a record for `current.fields`. One attribute: `extra` may not repeat any name it finds."""
_encode = json.JSONEncoder(ensure_ascii=False).encode
_SHORT = 8  # characters of a conversation's id, for people

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", FIELDS}
"""What every record has; whatever else one has, `extra` has brought."""


def configure(*, plain: bool, revision: str, redact: Callable[[str], str]) -> None:
    """Set up logging for the process: call once, before anything logs."""
    logging.setLogRecordFactory(_redacting(redact))
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Plain() if plain else Json(revision, redact))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it logs every request, URLs included


class Plain(logging.Formatter):
    """`12:00:00 INFO shipway: message`, for people; during a turn `shipway [8f3a1c2d]: message`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s%(where)s: %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        fields = getattr(record, FIELDS, {})
        conversation = fields.get("conversation") or vars(record).get("conversation")
        record.where = f" [{str(conversation)[:_SHORT]}]" if conversation else ""
        return super().formatMessage(record)


class Json(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, logger, message, revision, and exception.

    During a turn conversation, turn, trace_id and span_id follow, and what a record was given as `extra`.
    """

    def __init__(self, revision: str, redact: Callable[[str], str] = str) -> None:
        super().__init__()
        self._revision = revision
        self._redact = redact
        self._second = (-1, "")  # the last one that was spelled: most lines share it with another

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": f"{self._spell(int(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {"revision": self._revision} if self._revision else {}
        if record.exc_text:
            line["exception"] = record.exc_text
        line |= getattr(record, FIELDS, {})
        for key, value in vars(record).items():
            if key not in _STANDARD and key not in line:
                line[key] = self._clean(value)
        return _encode(line)

    def _spell(self, second: int) -> str:
        known, text = self._second
        if second != known:
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = (second, text)
        return text

    def _clean(self, value: Any) -> Any:
        """A value as JSON has it, without secrets; the redaction of records does not see `extra`."""
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, dict):
            return {self._redact(str(key)): self._clean(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._clean(item) for item in value]
        return self._redact(str(value))


def _redacting(redact: Callable[[str], str]) -> Callable[..., logging.LogRecord]:
    formatter = logging.Formatter()

    def make(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = logging.LogRecord(*args, **kwargs)
        if fields := current.fields():
            setattr(record, FIELDS, fields)
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - arguments that do not fit: the handler reports it, as ever
            return record
        if (clean := redact(message)) != message:
            record.msg, record.args = clean, None
        if record.exc_info and record.exc_info[0] is not None:
            # Formatters use a cached text before they format the exception themselves.
            record.exc_text = redact(formatter.formatException(record.exc_info))
        return record

    return make
