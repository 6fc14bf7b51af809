"""Evals of other frameworks: which are known, by the program that a command runs.

A framework is a file with a `Framework`, and a line in the table. Whatever else runs is judged by its exit
code; or by the report of pydantic-evals that it writes to the file of SHIPWAY_EVAL_RESULTS.

What goes wrong while the agent is asked is a failure of the case; what goes wrong while the answer is judged
is missing data, whatever the framework makes of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.evals.commands import deepeval, inspect_ai, promptfoo, pydantic_evals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipway.evals.commands.framework import Framework

FRAMEWORKS: Mapping[str, Framework] = {
    "promptfoo": promptfoo.FRAMEWORK,
    "inspect": inspect_ai.FRAMEWORK,
    "deepeval": deepeval.FRAMEWORK,
}
ANY = pydantic_evals.FRAMEWORK
"""Of a program that is none of these."""
