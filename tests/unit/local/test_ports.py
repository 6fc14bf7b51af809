from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from shipway.errors import StackError
from shipway.local import ports
from shipway.plan.servers import ServerProgram
from shipway.plan.stack import Agent, Resources, Sidecar, StackPlan
from shipway_runtime import contract


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def stack(api: int, *sidecars: int) -> StackPlan:
    agent = Agent(
        entrypoint="a:agent",
        image="a",
        ports={"api": api, "admin": api, "relay": api},
        env={},
        secrets={},
        mcp=(),
        inside={},
        resources=Resources(100, 1),
        replicas=1,
        grace_s=1.0,
    )
    beside = tuple(
        Sidecar(f"s{n}", "a", ServerProgram("command", argv=("x",)), port, {}, {}, False, False)
        for n, port in enumerate(sidecars)
    )
    return StackPlan("a", "development", contract.Config("development", contract.Settings()), agent, beside)


def test_a_port_that_is_taken_is_not_free(listener: socket.socket) -> None:
    assert not ports.is_free(listener.getsockname()[1])


def test_the_holder_is_named(listener: socket.socket) -> None:
    found = ports.holder(listener.getsockname()[1])
    assert found
    assert found.pid == os.getpid()
    assert "python" in found.command


def test_nobody_holds_a_free_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert ports.holder(port) is None


def test_the_ports_of_the_api_and_the_rest_never_meet(listener: socket.socket) -> None:
    taken = listener.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as other:
        free = other.getsockname()[1]
    chosen = ports.choose(stack(free, taken, taken))
    numbers = [chosen.api, chosen.admin, chosen.relay, chosen.replay, *chosen.sidecars.values()]
    assert chosen.api == free
    assert taken not in numbers
    assert len(set(numbers)) == len(numbers)


def test_the_others_keep_their_distance_to_the_api() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    plan = stack(8080, 8100)
    plan = replace(plan, agent=replace(plan.agent, ports={"api": 8080, "admin": 8081, "relay": 8082}))
    chosen = ports.choose(plan, api=free)
    assert free < chosen.admin < chosen.relay < chosen.replay < chosen.sidecars["s0"] < free + 100


def test_the_apis_port_is_never_moved_silently(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with pytest.raises(StackError) as caught:
        ports.choose(stack(8080), api=port)
    assert f"port {port} is in use by pid {os.getpid()} (" in str(caught.value)
    assert "--port" in caught.value.hint
