"""The official conformance suite: through the relay every check has the verdict that it has without.

The server under it is conformance_server.py: over HTTP behind the relay's proxy, over stdio behind the relay
as the server's only client. What differs in the second form is listed here, each with its reason.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.installing import from_npm, node
from tests.ports import free_port
from tests.relaying import BOUND, answering, process, running, until

from shipway_runtime.contract import McpServer

pytestmark = pytest.mark.network

SERVER = Path(__file__).with_name("conformance_server.py")
PACKAGE = "npm:@modelcontextprotocol/conformance"
STABLE, NEXT = "0.1.16", "0.2.0-alpha.12"
RUNS = ((STABLE, "2025-11-25"), (NEXT, "2026-07-28"))
Verdicts = Mapping[str, list[tuple[str, str]]]


class Suite:
    """Both versions of the suite, and Node to run them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._node = node(directory / "node")
        packages = [f"suite-{version}@{PACKAGE}@{version}" for version in (STABLE, NEXT)]
        self._modules = from_npm(directory, *packages)
        self._runs = 0

    async def run(self, version: str, protocol: str, url: str) -> Verdicts:
        """The checks of every scenario with their verdicts."""
        self._runs += 1
        out = self._directory / f"run-{self._runs}"
        program = self._modules / f"suite-{version}" / "dist" / "index.js"
        options = ("--url", url, "--suite", "all", "--spec-version", protocol, "-o", out)
        words = [str(word) for word in (self._node, program, "server", *options)]
        pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.STDOUT}
        suite = await asyncio.create_subprocess_exec(*words, **pipes)
        try:
            async with asyncio.timeout(4 * BOUND):
                talk, _ = await suite.communicate()
        finally:
            if suite.returncode is None:
                suite.kill()
                await suite.wait()
        assert out.is_dir(), talk.decode()
        return {name_of(path): verdicts_of(path) for path in out.glob("*/checks.json")}


def name_of(checks: Path) -> str:
    return re.sub(r"^server-(.*)-20\d\d-.*$", r"\1", checks.parent.name)


def verdicts_of(checks: Path) -> list[tuple[str, str]]:
    """Without what the suite only notes on the way."""
    found = json.loads(checks.read_text())
    return sorted((check["id"], check["status"]) for check in found if check["status"] != "INFO")


@dataclass(frozen=True)
class Direct:
    """A run of the suite against the HTTP server itself."""

    version: str
    protocol: str
    verdicts: Verdicts


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    return Suite(tmp_path_factory.mktemp("conformance"))


@asynccontextmanager
async def http_server() -> AsyncIterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    async with process(sys.executable, SERVER, "--port", port):
        await answering(url)
        yield url


@pytest.fixture(scope="module", params=RUNS, ids=" ".join)
def direct(request: pytest.FixtureRequest, suite: Suite) -> Direct:
    async def run() -> Verdicts:
        async with http_server() as url:
            return await suite.run(*request.param, url)

    return Direct(*request.param, asyncio.run(run()))


def failures(verdicts: Verdicts) -> set[str]:
    """The checks that failed, as scenario/check."""
    return {
        f"{scenario}/{check}"
        for scenario, checks in verdicts.items()
        for check, status in checks
        if status == "FAILURE"
    }


def test_the_server_itself_conforms(direct: Direct) -> None:
    assert len(direct.verdicts) >= 30
    if direct.protocol != "2026-07-28":  # of which the SDK leaves something out, too
        assert failures(direct.verdicts) == set()


def test_behind_the_proxy_every_check_has_the_verdict_that_it_has_without(
    suite: Suite, direct: Direct
) -> None:
    async def run() -> Verdicts:
        async with http_server() as url, running(McpServer("c", "service", url=url)) as (_, base):
            return await suite.run(direct.version, direct.protocol, base + "c")

    assert asyncio.run(run()) == direct.verdicts


def test_a_stdio_server_behind_the_relay_conforms_as_it_does_over_http(suite: Suite, direct: Direct) -> None:
    async def run() -> Verdicts:
        async with running(McpServer("c", "inside", (sys.executable, str(SERVER)))) as (relay, base):
            await until(lambda: relay.states()["c"].state == "up")
            return await suite.run(direct.version, direct.protocol, base + "c")

    relayed = asyncio.run(run())
    assert set(relayed) == set(direct.verdicts)
    assert failures(relayed) <= failures(direct.verdicts)
