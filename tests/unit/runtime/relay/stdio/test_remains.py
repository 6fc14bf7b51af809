"""No process of an MCP server outlives its relay, however that ends."""

import asyncio
import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys

import httpx2
import pytest

from shipway_runtime.contract import McpServer
from shipway_runtime.relay.stdio import remains
from shipway_runtime.relay.stdio.child import Child
from shipway_runtime.relay.stdio.remains import _Watch
from shipway_runtime.relay.stdio.watcher import Watcher

FAMILY = pathlib.Path(__file__).parents[1] / "family_server.py"

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="needs /proc"), pytest.mark.slow]


def family(pids, *kinds, name="toy", options=("--ignore-eof",)):
    command = (sys.executable, str(FAMILY), str(pids), ",".join(kinds), *options)
    return McpServer(name, "inside", command)


def ids(path):
    return [int(word) for word in path.read_text().split()]


def children(pid):
    found = []
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread may end meanwhile
            found += [int(word) for word in path.read_text().split()]
    return found


def watchers(pid):
    """Processes below `pid` that run remains.py."""
    lines = {child: pathlib.Path(f"/proc/{child}/cmdline").read_bytes() for child in children(pid)}
    return [child for child, line in lines.items() if b"remains.py" in line]


@contextlib.asynccontextmanager
async def alone(harness, server, *before):
    """A relay in a process of its own, once its server answers. Gives its process and the server's id."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    words = ["-m", "shipway_runtime.relay", server.name, "--port", str(port), "--", *server.command]
    process = await asyncio.create_subprocess_exec(*before, sys.executable, *words)
    try:
        async with asyncio.timeout(harness.BOUND), httpx2.AsyncClient(trust_env=False, verify=False) as http:
            while True:
                with contextlib.suppress(httpx2.TransportError):
                    if (await http.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200:
                        break
                await asyncio.sleep(0.02)
            yield process, http, f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def gone(harness, pids):
    await harness.until(lambda: not any(harness.alive(pid) for pid in pids))


def test_a_killed_relay_takes_its_servers_families_and_its_watcher_along(harness, tmp_path):
    async def scenario():
        server = family(tmp_path / "pids", "child", "group", "forked")
        async with alone(harness, server) as (process, _, _):
            all_of_them = [*ids(tmp_path / "pids"), *children(process.pid)]
            assert len(watchers(process.pid)) == 1
            assert len(all_of_them) == 3 + 2
            process.kill()
            await process.wait()
            await gone(harness, all_of_them)

    asyncio.run(scenario())


def test_a_relay_that_ends_in_order_leaves_nothing_either(harness, tmp_path):
    async def scenario():
        server = family(tmp_path / "pids", "child", "group", "forked", "session", options=())
        async with alone(harness, server) as (process, _, _):
            all_of_them = [*ids(tmp_path / "pids"), *children(process.pid)]
            process.terminate()
            assert await process.wait() == 0
            assert not any(harness.alive(pid) for pid in all_of_them)

    asyncio.run(scenario())


def test_a_killed_runtime_leaves_nothing(harness, start, tmp_path):
    servers = [family(tmp_path / name, "group", "forked", name=name) for name in ("one", "two")]
    manifest = [{"name": server.name, "shape": "inside", "command": server.command} for server in servers]
    running = start("async def agent(messages, ctx): return 'ok'", mcp=manifest)
    all_of_them = [*ids(tmp_path / "one"), *ids(tmp_path / "two"), *children(running.process.pid)]
    assert len(all_of_them) == 4 + 2 + 1
    running.process.kill()
    running.process.wait()
    asyncio.run(gone(harness, all_of_them))


def test_a_server_that_is_killed_alone_leaves_no_session_behind(harness, tmp_path):
    async def scenario():
        async with harness.running(family(tmp_path / "pids", "group", "forked", options=())) as relay:
            pid = (await relay.up()).pid
            old = ids(tmp_path / "pids")
            os.kill(pid, signal.SIGKILL)
            await harness.until(lambda: relay.relay.states()["toy"].restarts)
            assert not any(harness.alive(one) for one in old)
            await relay.up()
            await gone(harness, old)

    asyncio.run(scenario())


def test_what_went_to_another_session_is_ended_once_it_was_seen(harness, tmp_path):
    server = subprocess.Popen(
        family(tmp_path / "pids", "session").command, stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        asyncio.run(harness.until(lambda: (tmp_path / "pids").exists() and ids(tmp_path / "pids")))
        (other,) = ids(tmp_path / "pids")
        watch = _Watch()
        watch.hear(b"+%d" % server.pid)
        watch.look()
    finally:
        server.kill()
        server.communicate()
    assert harness.alive(other)
    watch.hear(b"-%d" % server.pid)
    assert not harness.alive(other)
    assert not watch.servers


def test_a_process_with_the_id_of_an_old_one_is_left_alone(harness):
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        assert remains.family({process.pid: b"1"}) == set()
        assert remains.family({process.pid: remains.started(process.pid)})
        remains.send([(process.pid, b"1")], signal.SIGKILL)
        assert harness.alive(process.pid)
    finally:
        process.kill()
        process.wait()


def test_a_watcher_that_is_killed_is_replaced_and_told_all(harness, tmp_path, monkeypatch):
    monkeypatch.setattr("shipway_runtime.relay.stdio.watcher._PAUSE", 0.0)

    async def scenario():
        watcher = Watcher()
        await watcher.start()
        child = await Child.spawn(family(tmp_path / "pids", "group"), dict(os.environ), watcher)
        try:
            old = await harness.until(lambda: watcher.pid)
            await harness.until(lambda: (tmp_path / "pids").exists() and ids(tmp_path / "pids"))
            os.kill(old, signal.SIGKILL)
            await harness.until(lambda: watcher.pid != old)
            await watcher.close()  # its pipe ends, and nobody said that the server has ended
            await gone(harness, ids(tmp_path / "pids"))
        finally:
            await child.end(0.5)
            await watcher.close()

    asyncio.run(scenario())


UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


def may_unshare():
    with contextlib.suppress(FileNotFoundError):
        return subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0
    return False


def process_1(pid):
    """Whether a process is the first of its own process namespace."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return [line.split()[-1] for line in lines if line.startswith("NSpid:")] == ["1"]


@pytest.mark.skipif(not may_unshare(), reason="no process namespace can be made here")
def test_process_1_needs_no_watcher_and_keeps_no_zombies(harness, tmp_path):
    async def scenario():
        server = family(tmp_path / "pids", "forked", "group")
        async with alone(harness, server, *UNSHARE) as (unshare, _, _):
            (relay,) = children(unshare.pid)
            assert watchers(relay) == []
            assert process_1(relay)
            before = set(children(relay))
            assert before
            for old in before:
                os.kill(old, signal.SIGKILL)
            await harness.until(lambda: not before & set(children(relay)))  # zombies are still children
            os.kill(relay, signal.SIGKILL)
            await unshare.wait()

    asyncio.run(scenario())
