"""When a fault is made: a rule, as a [[fault]] table, a command or a request's header has it.

In: keys and values. Out: a `Rule`, or what is wrong with them. `KEYS` is the one list of keys; kinds.py says
which parameters a kind takes.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from shipway.errors import Finding
from shipway.replay.faults.kinds import KINDS, USAGES, Fault

if TYPE_CHECKING:
    from shipway.replay.apis.provider import LastMessage

RULE = "replay-fault"


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a rule: what it is, whether a value is right, what is right in words, and what it is for."""

    kind: type[str] | type[int] | type[float]
    fits: Callable[[Any], bool]
    expected: str
    about: str


def _text(about: str) -> Key:
    return Key(str, bool, "text", about)


def _count(about: str) -> Key:
    return Key(int, lambda value: value >= 1, "a whole number from 1", about)


def _seconds(about: str) -> Key:
    return Key(float, lambda value: 0 <= value <= 3600, "seconds, from 0 to 3600", about)


def _share(about: str) -> Key:
    return Key(float, lambda value: 0 <= value <= 1, "a number from 0 to 1", about)


KEYS: dict[str, Key] = {
    "when": _text("Regular expression: requests whose last message is the user's, and matches."),
    "when_tool": _text("Requests that bring this tool's result; `when` is then searched in it."),
    "when_model": _text("Regular expression: requests to such a model."),
    "every": _count("Every so many of these requests: 3 is the third, the sixth, …"),
    "probability": _share("With this probability; the same for the same `seed`."),
    "seed": Key(int, lambda _: True, "a whole number", "Another one gives other luck; default: 0."),
    "times": _count("So many times, then no more."),
    "retry_after": _seconds("Of rate-limit, overloaded, server-error: seconds until to come back."),
    "seconds": _seconds("Of slow-start: until the first byte. Of slow-stream: between two events."),
    "at": _share("How much of the answer comes before it goes wrong."),
    "status": Key(int, lambda value: 400 <= value <= 599, "an HTTP status from 400 to 599", "Of refused."),
    "usage": Key(str, lambda value: value in USAGES, f"one of {', '.join(USAGES)}", "Of wrong-usage."),
}
"""Besides `kind`."""

_CHOOSING = ("when", "when_tool", "when_model", "every", "probability", "seed", "times")


class RuleError(ValueError):
    """A rule that cannot be: the message says why, `fix` what to do."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Rule:
    """Which requests a fault is for. `place` says who asked for it: "scripted.toml:7", "on demand"."""

    place: str
    fault: Fault
    when: re.Pattern[str] | None = None
    when_tool: str | None = None
    when_model: re.Pattern[str] | None = None
    every: int = 1
    probability: float = 1.0
    seed: int = 0
    times: int | None = None

    @property
    def choice(self) -> str:
        """Which requests it is for, as it was written: `when='refund' times=2`; empty for all."""
        given: dict[str, Any] = {
            "when": self.when and self.when.pattern,
            "when_tool": self.when_tool,
            "when_model": self.when_model and self.when_model.pattern,
        }
        given |= {"every": self.every if self.every > 1 else None, "times": self.times}
        given |= {"probability": self.probability, "seed": self.seed} if self.probability < 1 else {}
        return " ".join(f"{name}={value!r}" for name, value in given.items() if value is not None)

    def concerns(self, model: str, last: LastMessage | None) -> bool:
        """Whether it is about such a request. Conditions are read as in a scripted reply."""
        if self.when_model and not self.when_model.search(model):
            return False
        if self.when is None and self.when_tool is None:
            return True
        if last is None or (self.when_tool is None and last.results):
            return False
        text = last.text if self.when_tool is None else last.results.get(self.when_tool)
        return text is not None and (self.when is None or self.when.search(text) is not None)

    def draws(self, key: str, count: int) -> bool:
        """Whether luck has it, for the `count`th request with this key: the same whenever it is asked."""
        if self.probability >= 1:
            return True
        drawn = hashlib.sha256(f"{self.seed} {self.fault.kind} {count} {key}".encode()).digest()
        return int.from_bytes(drawn[:8], "big") / 2**64 < self.probability


def make(keys: Mapping[str, Any], place: str) -> Rule:
    """The rule of these keys and values, `kind` among them. Raises RuleError."""
    given = dict(keys)
    kind = given.pop("kind", None)
    if kind not in KINDS:
        seen = "no kind" if kind is None else f"the kind {kind!r}"
        raise RuleError(f"expected a kind of fault, saw {seen}", f"use one of {', '.join(KINDS)}")
    takes = (*_CHOOSING, *KINDS[kind].defaults)
    for name, value in given.items():
        if name not in takes:
            raise RuleError(f"{kind} has no key {name}", f"use {', '.join(takes)}")
        _check(name, value)
    for name in given.keys() & {"when", "when_model"}:
        given[name] = _pattern(name, given[name])
    chosen = {name: value for name, value in given.items() if name in _CHOOSING}
    parameters = dict(KINDS[kind].defaults) | {n: v for n, v in given.items() if n not in _CHOOSING}
    return Rule(place, Fault(kind, **parameters), **chosen)


def _check(name: str, value: Any) -> None:
    key = KEYS[name]
    right = (int, float) if key.kind is float else key.kind
    if isinstance(value, bool) or not isinstance(value, right) or not key.fits(value):
        fix = "see docs/reference/faults.md"
        raise RuleError(f"{name}: expected {key.expected}, saw {value!r}", fix)


def _pattern(name: str, text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        fix = "correct it; a literal ( or ? is written \\( or \\?"
        raise RuleError(f"{name}: not a regular expression: {error}", fix) from None


# -- [[fault]] tables, and the header of a request -----------------------------------------------------------


def read(text: str, file: str) -> tuple[list[Rule], list[Finding]]:
    """The rules of one file in their order; `file` names it in findings. What is no TOML, scripts/ says."""
    try:
        tables = tomllib.loads(text).get("fault", [])
    except tomllib.TOMLDecodeError:
        return [], []
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        return [], [Finding(RULE, "fault: expected [[fault]] tables", "write [[fault]]", file)]
    lines = [i for i, line in enumerate(text.splitlines(), 1) if re.match(r"\s*\[\[\s*fault\s*\]\]", line)]
    rules, findings = [], []
    for index, table in enumerate(tables):
        line = lines[index] if index < len(lines) else 0
        try:
            rules.append(make(table, f"{PurePath(file).name}:{line}"))
        except RuleError as error:
            findings.append(Finding(RULE, str(error), error.fix, file, line))
    return rules, findings


def read_header(value: str) -> Rule:
    """`cut`, or `cut;at=0.2`: the fault for the request that says so. Raises RuleError."""
    kind, *pairs = (part.strip() for part in value.split(";"))
    keys: dict[str, Any] = {"kind": kind}
    for pair in pairs:
        name, _, written = pair.partition("=")
        if name in _CHOOSING:
            raise RuleError(f"{name}: a header is for its own request, and chooses none", "leave it out")
        keys[name] = _value(name, written)
    return make(keys, "header")


def _value(name: str, written: str) -> Any:
    try:
        return KEYS[name].kind(written) if name in KEYS else written
    except ValueError:
        return written
