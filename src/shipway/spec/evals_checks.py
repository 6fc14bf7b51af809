"""Rules for [evals]."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.errors import Finding
    from shipway.spec.merge import Merged
    from shipway.spec.model import Spec


def commands_are_words(spec: Spec, merged: Merged) -> Iterator[Finding]:
    """A command is run as it stands, without a shell."""
    if spec.evals is None or spec.evals.command is None:
        return
    try:
        reason = "" if shlex.split(spec.evals.command) else "it is empty"
    except ValueError as error:
        reason = str(error)
    if reason:
        path = ("evals", "command")
        message = f"`{merged.name(path)}` is no command: {reason}"
        yield merged.finding("evals-command", path, message, "write its words as in a shell")


def commands_score_by_themselves(spec: Spec, merged: Merged) -> Iterator[Finding]:
    if spec.evals is None or spec.evals.command is None:
        return
    for key in ("scorer", "judge"):
        if getattr(spec.evals, key):
            path = ("evals", key)
            message = f"`{merged.name(path)}` is never asked: `evals.command` scores its own cases"
            yield merged.finding("evals-command", path, message, f"remove `{key}`, or `command`")


def live_gates_have_a_scorer(spec: Spec, merged: Merged) -> Iterator[Finding]:
    path = ("rollout", "gates", "live")
    if spec.rollout and spec.rollout.gates.live and not spec.live:
        message = "`rollout.gates.live` compares scores of real turns, and nothing gives any"
        fix = 'name a function that does: [evals] live = "evals.live:score", or remove the gate'
        yield merged.finding("gate-unscored", path, message, fix)


EVALS_RULES = (commands_are_words, commands_score_by_themselves, live_gates_have_a_scorer)
