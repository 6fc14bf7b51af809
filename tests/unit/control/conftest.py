"""A control for a test, and outcomes for it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.controlling import ControlProcess

AT = float(int(time.time()) - 3600)
Make = Callable[..., ControlProcess]


@pytest.fixture
def start_control(tmp_path: Path) -> Iterator[Make]:
    """`start_control()` starts one in this test's directory; all are closed at the end."""
    started: list[ControlProcess] = []

    def start(**more: Any) -> ControlProcess:
        started.append(ControlProcess(tmp_path, **more))
        return started[-1]

    yield start
    for control in started:
        control.close()


@pytest.fixture
def control(start_control: Make) -> ControlProcess:
    return start_control()


def outcome(conversation: str = "c", turn: int = 1, **more: Any) -> dict[str, Any]:
    """An outcome as a document."""
    return {
        "conversation": conversation,
        "turn": turn,
        "revision": "r-1",
        "tenant": None,
        "first_seen": AT,
        "started": AT + turn,
        "finished": AT + turn + 0.5,
        "status": "ok",
        "latency_s": 0.5,
    } | more


def lines(*outcomes: dict[str, Any]) -> bytes:
    """They, as a request has them."""
    return b"".join(json.dumps(one).encode() + b"\n" for one in outcomes)
