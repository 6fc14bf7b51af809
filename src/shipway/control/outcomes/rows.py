"""Outcomes as they come in, and as they are kept: a turn a line, each counted once.

In: NDJSON, as runtimes send it. Out: outcomes, or Refused with the first line that is none; rows, and sums.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipway.control import deployments
from shipway.control.deployments import Deployment
from shipway.control.gates.watermarks import Watermarks
from shipway.control.http.answers import Refused
from shipway.control.outcomes import minutes, tally
from shipway_runtime import contract
from shipway_runtime.contract import ContractError, Outcome, TokenCounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shipway.control.store.database import Row, Transaction

MOST_LINES = 5_000  # of one request
_NAMED = tuple(name for name in Outcome.__slots__ if name not in ("tokens", "format"))
_TEXT = 256  # characters of a name
_COUNT = 10**9  # tokens of a turn; a thousand million such turns can be added up
_AMOUNT = 1e11  # seconds since the epoch, for some thousand years

_INSERT = """
INSERT INTO main.outcome (identity, deployment, revision, tenant, conversation, turn, first_seen, started,
    finished, status, latency_s, first_token_s, input, output, cost, tool_calls, tool_errors, score,
    watermark)
VALUES (:identity, :deployment, :revision, :tenant, :conversation, :turn, :first_seen, :started,
    :finished, :status, :latency_s, :first_token_s, :input, :output, :cost, :tool_calls, :tool_errors, :score,
    :watermark)
"""
_AFTER = f"""
SELECT id, watermark, {", ".join(_NAMED)}, input, output FROM main.outcome
WHERE deployment = :deployment AND id > :number ORDER BY id LIMIT :limit
"""  # noqa: S608 - names of columns


@dataclass(frozen=True, slots=True)
class Taken:
    """Outcomes of one deployment that one request brought."""

    deployment: Deployment
    outcomes: tuple[Outcome, ...]
    at: float


@dataclass(frozen=True, slots=True)
class Kept:
    """An outcome in the database: its number, and the watermark of its deployment when it came."""

    number: int
    watermark: float
    outcome: Outcome


def read(body: bytes) -> tuple[Outcome, ...]:
    """The outcomes of a request. Raises Refused."""
    lines = [line for line in body.split(b"\n") if line.strip()]
    if len(lines) > MOST_LINES:
        raise Refused(413, "too_large", f"at most {MOST_LINES} lines at once; saw {len(lines)}")
    return tuple(_line(line, number) for number, line in enumerate(lines, 1))


def _line(line: bytes, number: int) -> Outcome:
    try:
        outcome = contract.decode(Outcome, line, f"line {number}")
    except (ContractError, UnicodeError) as error:
        raise Refused(422, "no_outcome", str(error)[:500]) from None
    if problem := next(_problems(outcome), None):
        raise Refused(422, "no_outcome", f"line {number}: {problem}")
    return outcome


def _problems(outcome: Outcome) -> Iterator[str]:
    """What JSON's types do not tell, and no database or sum would stand."""
    names = {"conversation": outcome.conversation, "revision": outcome.revision, "tenant": outcome.tenant}
    for key, name in names.items():
        if name is not None and not (0 < len(name) <= _TEXT and name.isprintable()):
            yield f"{key}: expected 1 to {_TEXT} printable characters"
    amounts = (outcome.first_seen, outcome.started, outcome.finished, outcome.latency_s)
    options = (outcome.first_token_s or 0, outcome.cost or 0)
    if not all(0 <= amount < _AMOUNT for amount in (*amounts, *options)):
        yield "times, seconds and cost: expected numbers from 0"
    tokens = outcome.tokens
    counts = (outcome.turn, tokens.input, tokens.output, outcome.tool_calls, outcome.tool_errors)
    if not all(0 <= count < _COUNT for count in counts):
        yield "turn, tokens and tool calls: expected whole numbers from 0"
    if outcome.score is not None and not 0 <= outcome.score <= 1:
        yield "score: expected a number from 0 to 1"


def join(several: Iterable[Taken]) -> list[Taken]:
    """What several requests brought, in one for each deployment."""
    found: dict[Deployment, list[Taken]] = {}
    for taken in several:
        found.setdefault(taken.deployment, []).append(taken)
    return [
        Taken(
            deployment,
            tuple(outcome for taken in those for outcome in taken.outcomes),
            max(taken.at for taken in those),
        )
        for deployment, those in found.items()
    ]


def identity(outcome: Outcome) -> str:
    """What is equal for two records of one turn of a deployment."""
    return hashlib.blake2b(json.dumps(outcome.identity).encode(), digest_size=16).hexdigest()


def keep(
    transaction: Transaction,
    taken: Taken,
    watermarks: Watermarks = Watermarks(),  # noqa: B008 - a frozen value
    keep_s: float = math.inf,
) -> int:
    """Keep the outcomes that are not there yet, and sum them up; returns how many those were.

    What is older than `keep_s` is not kept: it may have been there, and been pruned.
    """
    found = {identity(outcome): outcome for outcome in taken.outcomes if outcome.finished > taken.at - keep_s}
    deployment = deployments.keep(transaction, taken.deployment, taken.at)
    found = {f"{deployment}-{key}": outcome for key, outcome in found.items()}
    there = tally.there(transaction, "identity", "identity IN ({})", list(found))
    new = {key: outcome for key, outcome in found.items() if key not in there}
    if not new:
        return 0
    tally.add(transaction, deployment, list(new.values()))
    minutes.add(transaction, deployment, list(new.values()))
    newest = max(outcome.finished for outcome in new.values())
    watermark = watermarks.move(transaction, deployment, newest, taken.at)
    placed = {"deployment": deployment, "watermark": watermark}
    transaction.change_each(_INSERT, (_row(key, outcome) | placed for key, outcome in new.items()))
    for revision in {outcome.revision for outcome in new.values()}:
        deployments.see(transaction, deployment, revision, taken.at)
    return len(new)


def after(transaction: Transaction, deployment: int, number: int, limit: int) -> list[Kept]:
    """The next outcomes of a deployment in the order of arrival, after the one of this number."""
    rows = transaction.rows(_AFTER, deployment=deployment, number=number, limit=limit)
    return [Kept(row[0], row[1], _outcome(row[2:])) for row in rows]


def _outcome(row: Row) -> Outcome:
    *named, tokens_in, tokens_out = row
    return Outcome(**dict(zip(_NAMED, named, strict=True)), tokens=TokenCounts(tokens_in, tokens_out))


def _row(key: str, outcome: Outcome) -> dict[str, Any]:
    named: dict[str, Any] = {name: getattr(outcome, name) for name in _NAMED}
    tokens = outcome.tokens
    return named | {"identity": key, "input": tokens.input, "output": tokens.output}
