from __future__ import annotations

import asyncio

from shipway_runtime.health import readiness as health
from shipway_runtime.health.readiness import Check, CheckState, Readiness


def states_after(*errors):
    state = CheckState()
    seen = []
    for error in errors:
        state.record(error)
        seen.append(state.state)
    return seen


def test_the_first_success_counts_at_once():
    assert states_after("no", None) == ["starting", "up"]


def test_what_was_wrong_before_it_first_worked_is_no_error():
    state = CheckState()
    state.record("not asked yet")
    state.record(None)
    assert (state.state, state.last_error) == ("up", None)


def test_three_failures_to_down_two_successes_to_up():
    assert states_after(None, "a", "b", None) == ["up"] * 4
    assert states_after(None, "a", "b", "c", None, None) == ["up", "up", "up", "down", "down", "up"]
    assert states_after("a", "b", "c") == ["starting", "starting", "down"]


def test_since_moves_with_the_state_alone():
    state = CheckState()
    state.record(None)
    since = state.since
    state.record("a")
    assert (state.since, state.last_error) == (since, "a")


def readiness_after(checks, *, imported=True, draining=False):
    """The document once every check was probed three times."""
    probes = dict.fromkeys((check.name for check in checks), 0)

    def counted(check):
        async def probe():
            probes[check.name] += 1
            return await check.probe()

        return Check(check.name, probe, check.required, check.detail)

    async def run():
        readiness = Readiness(0.001, draining=lambda: draining)
        if imported:
            readiness.agent_imported()
        running = asyncio.create_task(readiness.run([counted(check) for check in checks]))
        async with asyncio.timeout(20):
            while min(probes.values(), default=9) < 4:
                await asyncio.sleep(0.001)
        running.cancel()
        return readiness.document()

    return asyncio.run(run())


async def fine():
    return None


async def broken():
    raise OSError("no route")


def test_ready():
    status, document = readiness_after([Check("model", fine, detail=lambda: {"extra": 1})])
    assert (status, document["status"]) == (200, "ready")
    assert document["checks"]["model"]["state"] == "up"
    assert document["checks"]["model"]["extra"] == 1
    assert document["checks"]["draining"] == {"state": "no"}


def test_a_required_check_that_is_down():
    status, document = readiness_after([Check("model", broken), Check("secrets", fine)])
    assert (status, document["status"]) == (503, "unready")
    assert document["checks"]["model"]["last_error"] == "OSError: no route"


def test_an_optional_check_that_is_down_degrades():
    status, document = readiness_after([Check("mcp:git", broken, required=False)])
    assert (status, document["status"]) == (200, "degraded")
    assert document["checks"]["mcp:git"]["required"] is False


def test_before_the_import_and_while_draining_nothing_is_ready():
    assert readiness_after([], imported=False)[0] == 503
    assert readiness_after([], draining=True)[0] == 503
    assert readiness_after([])[0] == 200


def test_a_check_that_hangs_fails_alone(monkeypatch):
    monkeypatch.setattr(health, "TIMEOUT_S", 0.001)

    async def hang():
        await asyncio.sleep(600)

    _, document = readiness_after([Check("slow", hang), Check("quick", fine)])
    assert document["checks"]["slow"]["last_error"] == "no answer within 0.001 s"
    assert document["checks"]["quick"]["state"] == "up"
