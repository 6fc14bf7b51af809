"""The engine's API: its times, and engines that are none."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from shipway.errors import RolloutError
from shipway.rollout.docker.api import Engine, labelled, seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-30T03:00:00Z", 1796007600.0),
        ("2026-11-30T03:00:00.5Z", 1796007600.5),
        ("2026-11-30T03:00:00.123456789Z", 1796007600.123456789),
        ("0001-01-01T00:00:00Z", None),
    ],
)
def test_a_time_of_the_engine(text: str, expected: float | None) -> None:
    assert seconds(text) == expected


def test_a_filter_names_every_label() -> None:
    assert labelled({"a.b": "c", "d": ""}) == '{"label": ["a.b=c", "d="]}'


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # a socket that httpcore forgets
def test_an_engine_that_is_not_there_is_one_clear_message(tmp_path: Path) -> None:
    engine = Engine(str(tmp_path / "docker.sock"))
    with pytest.raises(RolloutError, match=r"the container engine does not answer at .*docker.sock"):
        engine.find("/version")
    engine.close()
    gc.collect()
