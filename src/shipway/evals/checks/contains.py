"""`contains`, `not_contains`: texts that the answer has, or has not. Case does not count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from shipway.evals.checks.equals import shortened
from shipway.evals.mark import Mark

if TYPE_CHECKING:
    from shipway.evals.answer import Answer


@dataclass(frozen=True, slots=True)
class Contains:
    """Every text is in the answer."""

    texts: tuple[str, ...]
    expects: ClassVar[str] = "a text, or a list of texts"

    @classmethod
    def read(cls, value: Any) -> Contains:
        return cls(texts(value))

    def look(self, answer: Answer) -> Mark:
        said = answer.text.casefold()
        absent = [text for text in self.texts if text.casefold() not in said]
        return Mark("contains", not absent, _words("does not say", absent, answer))


@dataclass(frozen=True, slots=True)
class NotContains:
    """None of the texts is in the answer."""

    texts: tuple[str, ...]
    expects: ClassVar[str] = Contains.expects

    @classmethod
    def read(cls, value: Any) -> NotContains:
        return cls(texts(value))

    def look(self, answer: Answer) -> Mark:
        said = answer.text.casefold()
        there = [text for text in self.texts if text.casefold() in said]
        return Mark("not_contains", not there, _words("says", there, answer))


def texts(value: Any) -> tuple[str, ...]:
    """A text or several, none of them empty. Raises ValueError."""
    found = (value,) if isinstance(value, str) else value
    if not isinstance(found, list | tuple) or not found or not all(isinstance(t, str) and t for t in found):
        raise ValueError
    return tuple(found)


def _words(verb: str, found: list[str], answer: Answer) -> str:
    if not found:
        return ""
    return f"{verb} {', '.join(map(shortened, found))}: {shortened(answer.text)}"
