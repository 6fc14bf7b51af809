"""One line of a suite while it is read: its keys, its checks, and what is wrong with them.

In: an object and where it stands. Out: values; findings are collected, and nothing is raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shipway.errors import Finding
from shipway.evals.checks import BY_EXPECTED, CHECKS, Check
from shipway.spec.words import listed, nearest, seen

JUDGE = "judge"


@dataclass(frozen=True, slots=True)
class Line:
    """An object of a suite's file."""

    file: str
    number: int
    data: Mapping[str, Any]


class Reading:
    """Reads one line; `findings` are its mistakes so far."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.findings: list[Finding] = []

    def finding(self, rule: str, message: str, fix: str) -> None:
        self.findings.append(Finding(rule, message, fix, self.line.file, self.line.number))

    def keys(self, known: tuple[str, ...]) -> None:
        """Nothing but these keys is there."""
        for key in self.line.data:
            if key not in known:
                close = nearest(key, known)
                message = f"unknown key `{key}`" + (f"; did you mean `{close}`?" if close else "")
                own = "" if "data" not in known else "; what is your own goes into `data`"
                self.finding("suite-case", message, f"known keys: {', '.join(known)}{own}")

    def text(self, key: str, what: str) -> str:
        """A text that has to be there, and has to say something."""
        value = self.line.data.get(key)
        if isinstance(value, str) and value.strip():
            return value
        found = f"`{key}` is {seen(value)}" if key in self.line.data else f"`{key}` is missing"
        self.finding("suite-case", f"{found}, expected {what}", f'write "{key}": "…"')
        return ""

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts that may be missing."""
        value = self.line.data.get(key, [])
        if isinstance(value, list) and all(isinstance(text, str) for text in value):
            return tuple(value)
        self.finding(
            "suite-case", f"`{key}` is {seen(value)}, expected a list of texts", f'write "{key}": ["…"]'
        )
        return ()

    def checks(self, given: Any, expected: Any) -> tuple[tuple[Check, ...], tuple[str, ...]]:
        """The checks of a list, and the rubrics among them."""
        if given is None:
            return (), ()
        if not isinstance(given, list):
            self.finding(
                "suite-check", f"`checks` is {seen(given)}, expected a list", 'write "checks": [{…}, {…}]'
            )
            return (), ()
        checks: list[Check] = []
        rubrics: list[str] = []
        for name, value in (named for one in given for named in self._named(one, expected)):
            if name == JUDGE:
                rubrics += self._rubric(value)
            elif name in CHECKS:
                checks += self._check(name, value)
            else:
                self._unknown(name)
        return tuple(checks), tuple(rubrics)

    def _named(self, one: Any, expected: Any) -> list[tuple[str, Any]]:
        """Name and value of what stands in a list of checks; a name alone looks for `expected`."""
        if isinstance(one, dict) and one:
            return list(one.items())
        if one == "no_error":
            return [("no_error", True)]
        if isinstance(one, str) and one in BY_EXPECTED:
            if expected is not None:
                return [(one, expected)]
            fix = f'add "expected", or write {{"{one}": …}}'
            self.finding("suite-check", f"`{one}` alone looks for `expected`, which is missing", fix)
        elif isinstance(one, str) and one in CHECKS:
            self.finding("suite-check", f"`{one}` says nothing of what it looks for", f'write {{"{one}": …}}')
        elif isinstance(one, str):
            self._unknown(one)
        else:
            message = f"a check is {seen(one)}, expected an object with its name"
            self.finding("suite-check", message, 'write {"contains": "…"}')
        return []

    def _rubric(self, value: Any) -> list[str]:
        if isinstance(value, str) and value.strip():
            return [value]
        self.finding(
            "suite-check", f"`judge` is {seen(value)}, expected what a good answer has", "say it in words"
        )
        return []

    def _check(self, name: str, value: Any) -> list[Check]:
        try:
            return [CHECKS[name].read(value)]
        except ValueError as error:
            expects = CHECKS[name].expects
            more = f": {error}" if str(error) else ""
            message = f"`{name}` is {seen(value)}, expected {expects}{more}"
            self.finding("suite-check", message, f'write {{"{name}": …}} with {expects}')
            return []

    def _unknown(self, name: str) -> None:
        known = [*CHECKS, JUDGE]
        close = nearest(name, known)
        message = f"no check `{name}`" + (f"; did you mean `{close}`?" if close else "")
        self.finding("suite-check", message, f"the checks are {listed(known, 'and')}")
