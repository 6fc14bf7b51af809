"""The checks that a suite may name: one file a family, one line each in the table.

In: a value from the suite, read once. Out: a `Check`, which looks at an `Answer` and gives a `Mark`. A new
check is a class with `read` and `look`, and a line below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from shipway.evals.checks.contains import Contains, NotContains
from shipway.evals.checks.cost import Cost
from shipway.evals.checks.equals import Equals
from shipway.evals.checks.json_path import JsonPath
from shipway.evals.checks.latency import Latency
from shipway.evals.checks.no_error import NoError
from shipway.evals.checks.regex import Regex
from shipway.evals.checks.tools import ToolCalled, ToolNotCalled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipway.evals.answer import Answer
    from shipway.evals.mark import Mark


class Check(Protocol):
    """What has to be true of an answer."""

    expects: ClassVar[str]
    """What the suite is to write, in words; findings and the reference print it."""

    @classmethod
    def read(cls, value: Any) -> Check:
        """The check that a suite's value asks for. Raises ValueError, which may say more than `expects`."""
        ...

    def look(self, answer: Answer) -> Mark: ...


CHECKS: Mapping[str, type[Check]] = {
    "contains": Contains,
    "not_contains": NotContains,
    "equals": Equals,
    "regex": Regex,
    "json_path": JsonPath,
    "tool_called": ToolCalled,
    "tool_not_called": ToolNotCalled,
    "latency": Latency,
    "cost": Cost,
    "no_error": NoError,
}

BY_EXPECTED = frozenset({"contains", "not_contains", "equals", "regex", "judge"})
"""What may stand alone, as a text in `checks`, and then looks for the case's `expected`."""
