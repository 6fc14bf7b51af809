"""The real command line, in projects that a test writes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

SHIPWAY = Path(sys.executable).with_name("shipway")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def shipway() -> Run:
    """Run `shipway ARGUMENT…` in a directory; returns what it printed and its exit code."""

    def run(*arguments: str, cwd: Path, env: Mapping[str, str] = {}) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (SHIPWAY, *arguments),
            cwd=cwd,
            env=os.environ | {"COLUMNS": "200"} | dict(env),
            capture_output=True,
            text=True,
            timeout=400,
        )

    return run


@pytest.fixture
def project(tmp_path: Path) -> Callable[[Mapping[str, str]], Path]:
    """Write a project's files; returns its directory."""

    def write(files: Mapping[str, str]) -> Path:
        directory = tmp_path / "project"
        for name, text in files.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(text)
        return directory

    return write
