"""What a process tells control: what each turn came to, and how it is itself.

A part of the contract, which gives all of it; the standard library alone. In and out: values, JSON by the
codec.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .codec import FORMAT

OUTCOMES_PATH = "/v1/outcomes"
OUTCOMES_TYPE = "application/x-ndjson"
"""Of the control server: POST with one Outcome a line, `name` and `environment` as query, and the bearer
token of SHIPWAY_CONTROL_TOKEN.

The answer says what becomes of the lines, of all of them. 2xx: it keeps them, and they are forgotten here.
413: send fewer at once. 422: a line among them is no outcome; sent by itself it is given up. Anything else,
or nothing: all of them again later, not before `Retry-After` (seconds). So a line can come twice, even from
another process, and counts once: `Outcome.identity` tells. Lines come in no order to be relied on.
"""

REPLICAS_PATH = "/v1/replicas"
REPORT_EVERY_S = 10.0
"""Of the control server: POST with a ReplicaReport, `name` and `environment` as query, and the same token.

At start, when readiness changes, and this often besides. A replica that has not been heard of for three
times as long is away.
"""


@dataclass(frozen=True, slots=True)
class TokenCounts:
    input: int = 0
    output: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """One turn, one JSON line. Times are seconds since the epoch; `cost` is in US dollars."""

    conversation: str
    turn: int
    revision: str
    tenant: str | None
    first_seen: float
    started: float
    finished: float
    status: Literal["ok", "error", "denied", "cancelled"]
    latency_s: float
    first_token_s: float | None = None
    tokens: TokenCounts = field(default_factory=TokenCounts)
    cost: float | None = None
    tool_calls: int = 0
    tool_errors: int = 0
    score: float | None = None
    format: int = FORMAT

    @property
    def identity(self) -> tuple[str, str | None, str, int, float]:
        """Equal for two records of one turn, and for those alone: a turn that was denied takes no number,
        and a conversation that was deleted may begin again."""
        return (self.revision, self.tenant, self.conversation, self.turn, self.started)


@dataclass(frozen=True, slots=True)
class CheckReport:
    """One check of readiness; it stands as it does since `since`, in seconds since the epoch."""

    state: str
    since: float
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ReplicaReport:
    """What one process says of itself. `replica` is its own for life: where it runs, and a random part.

    `policy` is the ETag of control's policy that it enforces; None while it has none from there.
    """

    replica: str
    revision: str
    started: float
    ready: bool
    checks: dict[str, CheckReport] = field(default_factory=dict)
    policy: str | None = None
    format: int = FORMAT
