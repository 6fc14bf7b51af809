"""What every kind of test may ask for: engines that are really there, and free ports."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
from tests import ports

hypothesis.settings.register_profile("shipway", deadline=None)  # a slow machine is no failure
hypothesis.settings.register_profile("quick", deadline=None, max_examples=10)
hypothesis.settings.load_profile("shipway")

PLACES = ("/usr/bin", "/usr/local/bin", "/usr/sbin", "/usr/lib/postgresql/*/bin")
"""Looked into beside PATH: Debian keeps some servers out of it."""


PROCESSES = {"start", "start_shared", "control", "start_control", "postgres_server", "docker"}
"""Fixtures that start processes."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that use one of PROCESSES are `slow`: no part of `make check`."""
    for item in items:
        if PROCESSES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def engine() -> Callable[[str], str]:
    """The path of a program that works here; else the test is skipped, or fails if engines are required."""
    return _engine


def _engine(program: str) -> str:
    for path in _places(program):
        if _works(program, path):
            return path
    reason = f"{program} is not installed, or does not answer"
    if os.environ.get("SHIPWAY_REQUIRE_ENGINES"):
        pytest.fail(f"{reason}, and SHIPWAY_REQUIRE_ENGINES is set")
    pytest.skip(reason)


def _places(program: str) -> list[str]:
    found = shutil.which(program)
    others = [str(p) for place in PLACES for p in sorted(Path("/").glob(f"{place[1:]}/{program}"))]
    return [*([found] if found else []), *others]


def _works(program: str, path: str) -> bool:
    if program == "mount":  # of a disk that a test may fill: root's, and not every container's
        with tempfile.TemporaryDirectory() as place:
            mounted = (
                subprocess.run((path, "-t", "tmpfs", "tmpfs", place), capture_output=True).returncode == 0
            )
            return mounted and subprocess.run(("umount", place)).returncode == 0
    if program != "docker":
        return True
    try:
        return subprocess.run((path, "info"), capture_output=True, timeout=20).returncode == 0
    except subprocess.TimeoutExpired:
        return False


@pytest.fixture
def free_port() -> Callable[[], int]:
    """See `tests.ports`."""
    return ports.free_port
