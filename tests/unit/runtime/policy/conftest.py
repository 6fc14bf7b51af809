"""A control server on loopback, and deployments as values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.control_server import ControlServer

from shipway_runtime import config
from shipway_runtime.config import Deployment


@pytest.fixture
def control() -> Iterator[ControlServer]:
    server = ControlServer()
    yield server
    server.close()


Deploy = Callable[..., Deployment]


@pytest.fixture
def deploy(tmp_path: Path) -> Deploy:
    """A deployment, from a manifest's settings and variables."""

    def make(environ: dict[str, str] | None = None, **manifest: Any) -> Deployment:
        path = tmp_path / "shipway.json"
        path.write_text(json.dumps({"name": "test", "entrypoint": "a:b"} | manifest))
        given = {"SHIPWAY_MANIFEST": str(path), "SHIPWAY_STORAGE": str(tmp_path / "data")}
        given |= {"SHIPWAY_POLICY": str(tmp_path / "policy.json"), "SHIPWAY_ENV": "development"}
        return config.read(given | (environ or {}))

    return make
