"""What changes while an agent runs: kill switches, limits, and restrictions laid over them.

A part of the contract, which gives all of it; the standard library alone. In and out: values, JSON by the
codec.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .codec import FORMAT


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the policy, per tenant; None is unlimited. Rates are (amount, seconds)."""

    requests: tuple[int, int] | None = None
    concurrency: int | None = None
    tokens: tuple[int, int] | None = None
    spend_usd: tuple[float, int] | None = None


@dataclass(frozen=True, slots=True)
class Kill:
    all: bool = False
    tenants: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    def rule(self, tool: str, server: str | None = None) -> str | None:
        """What switches a tool off, of an MCP server or of the agent itself: "servers", "tools", or nothing.

        `tools` names it alone, or as server/tool.
        """
        if server is not None and server in self.servers:
            return "servers"
        named = tool in self.tools or (server is not None and f"{server}/{tool}" in self.tools)
        return "tools" if named else None


@dataclass(frozen=True, slots=True)
class Policy:
    """policy.json. `model` switches among the declared fallbacks; None leaves the configured model.

    Limits of a tenant in `tenants` come before `limits`, one by one.
    """

    kill: Kill = field(default_factory=Kill)
    limits: Limits = field(default_factory=Limits)
    tenants: dict[str, Limits] = field(default_factory=dict)
    model: str | None = None
    format: int = FORMAT


RESTRICTION_S = 3600.0  # how long a restriction holds where nobody says how long
RESTRICTION_LIMIT_S = 7 * 86400.0  # what is to hold for longer belongs into the base


@dataclass(frozen=True, slots=True)
class Restriction:
    """The body of PUT /policy on the admin port: what is laid over the base, for `for_s` seconds.

    `by` and `reason` are what the caller says of itself; they go to the log.
    """

    policy: Policy
    for_s: float = RESTRICTION_S
    by: str = ""
    reason: str = ""
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Restricted:
    """A restriction that was taken: when, in seconds since the epoch, and from which address."""

    restriction: Restriction
    since: float
    peer: str
    format: int = FORMAT

    @property
    def until(self) -> float:
        """When it ends by itself."""
        return self.since + self.restriction.for_s


CONTROL_POLICY = "/v1/policy"
NO_POLICY = '"0"'  # the ETag while nobody has put one: what the agent has of its own holds
"""Where control has the policy of an agent: GET with `name` and `environment` as query, and a bearer token.

200 is a Policy with an ETag; 304 answers If-None-Match while nothing has changed. Everything else is a
failure, 404 included: an agent without a policy of its own gets an empty one.
"""
