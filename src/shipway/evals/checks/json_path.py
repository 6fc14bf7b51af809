"""`json_path`: values inside an answer that is JSON, found by JSON pointers (RFC 6901).

`{"/order/items/0/sku": "A-17"}`: at each pointer is this value. A pointer is the small, exact part of what
"JSON path" means elsewhere: one place, no wildcards, a standard. An answer may wrap its JSON in a Markdown
fence, as models do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from shipway.evals.checks.equals import same, shortened
from shipway.evals.mark import Mark

if TYPE_CHECKING:
    from shipway.evals.answer import Answer

_FENCE = re.compile(r"```(?:json)?\s*\n(.*?)\n\s*```", re.DOTALL)


@dataclass(frozen=True, slots=True)
class JsonPath:
    """At each pointer stands its value."""

    values: Mapping[str, Any]
    expects: ClassVar[str] = 'JSON pointers with their values, such as {"/order/status": "open"}'

    @classmethod
    def read(cls, value: Any) -> JsonPath:
        if not isinstance(value, dict) or not value:
            raise ValueError
        for pointer in value:
            if pointer and not pointer.startswith("/"):
                raise ValueError(f'the pointer {pointer} does not begin with "/"')
        return cls(value)

    def look(self, answer: Answer) -> Mark:
        try:
            document = read_json(answer.text)
        except ValueError:
            return Mark("json_path", False, f"is not JSON: {shortened(answer.text)}")
        wrong = [
            words for pointer, value in self.values.items() if (words := _differs(document, pointer, value))
        ]
        return Mark("json_path", not wrong, "; ".join(wrong))


def read_json(text: str) -> Any:
    """The JSON that a text is, or that its one fence holds. Raises ValueError."""
    try:
        return json.loads(text)
    except ValueError:
        fenced = _FENCE.findall(text)
        if len(fenced) != 1:
            raise
        return json.loads(fenced[0])


def _differs(document: Any, pointer: str, value: Any) -> str:
    try:
        found = find(document, pointer)
    except LookupError:
        return f"{pointer} is not there"
    return "" if same(found, value) else f"{pointer} is {json.dumps(found, ensure_ascii=False)}"


def find(document: Any, pointer: str) -> Any:
    """What a JSON pointer leads to. Raises LookupError."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, list) and re.fullmatch(r"0|[1-9]\d*", key):
            document = document[int(key)]
        elif isinstance(document, dict):
            document = document[key]
        else:
            raise LookupError(pointer)
    return document
