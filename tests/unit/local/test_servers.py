"""What `shipway status` makes of a check, the relay's view and a sidecar's own."""

from __future__ import annotations

from typing import Any

from shipway.local.servers import list_servers


def check(
    state: str = "up", *, shape: str = "inside", error: str | None = None, **more: Any
) -> dict[str, Any]:
    relay = {"state": state, "since": 5.0, "last_error": None, "last_error_at": None}
    found = {"state": state, "since": 1.0, "last_error": error, "shape": shape, "protocol": "2026-07-28"}
    return found | {"restarts": 0, "pid": 7, "server": relay | more.pop("server", {})} | more


def one(found: dict[str, Any], sidecars: dict[str, dict[str, Any]] | None = None) -> Any:
    document = {"checks": {"agent": {"state": "up"}, "mcp:time": found, "draining": {"state": "no"}}}
    (server,) = list_servers(document, sidecars or {})
    return server


def test_nothing_is_known_of_an_agent_that_does_not_answer() -> None:
    assert list_servers(None, {}) == []


def test_the_relay_sees_a_restart_before_the_check_does() -> None:
    seen = {"state": "starting", "since": 9.0, "last_error": "exited with code 7", "last_error_at": 8.0}
    server = one(check(server=seen, restarts=1, required=False))
    assert (server.name, server.state, server.since, server.restarts) == ("time", "starting", 9.0, 1)
    assert (server.last_error, server.last_error_at) == ("exited with code 7", 8.0)
    assert server.optional


def test_only_the_check_sees_one_that_hangs() -> None:
    server = one(check("down", error="did not answer ping within 2 s", server={"state": "up"}))
    assert (server.state, server.since, server.last_error) == ("down", 1.0, "did not answer ping within 2 s")


def test_a_sidecar_knows_itself_best() -> None:
    itself = {"state": "up", "since": 6.0, "last_error": "was ended by SIGKILL", "last_error_at": 6.0}
    itself |= {"restarts": 2, "protocol": "2025-11-25", "pid": 12}
    server = one(check(shape="sidecar"), {"time": itself})
    assert (server.restarts, server.protocol, server.pid, server.since) == (2, "2025-11-25", 12, 6.0)
    assert server.last_error == "was ended by SIGKILL"


def test_nobody_here_counts_the_restarts_of_a_service() -> None:
    assert one(check(shape="service")).restarts is None
    assert one(check(shape="sidecar")).restarts is None
