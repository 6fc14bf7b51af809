from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from shipway_runtime.telemetry import logs


@pytest.fixture
def configured():
    """`configure` for one test; the process's logging is put back afterwards."""
    root, factory = logging.getLogger(), logging.getLogRecordFactory()
    before = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in ("uvicorn", "httpx2")}
    yield lambda **given: logs.configure(
        redact=lambda text: text.replace("hunter2", "[redacted]"), revision="r-1", **given
    )
    logging.setLogRecordFactory(factory)
    root.handlers[:], root.level = before
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def fail():
    raise ValueError("hunter2")


def test_json_lines_hold_no_secret(configured, capsys):
    configured(plain=False)
    log = logging.getLogger("theirs")
    log.warning("key %s", "hunter2")
    try:
        fail()
    except ValueError:
        log.exception("failed")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert lines[0].pop("time").endswith("Z")
    assert lines[0] == {
        "level": "warning",
        "logger": "theirs",
        "message": "key [redacted]",
        "revision": "r-1",
    }
    assert lines[1]["exception"].endswith("ValueError: [redacted]")


def test_what_a_line_is_given_beside_its_message_becomes_keys(configured, capsys):
    configured(plain=False)
    fields = {"tool": "find", "took": 0.5, "seen": {"key": ["hunter2", None, True]}, "at": Path("/hunter2")}
    logging.getLogger("theirs").info("done", extra=fields | {"level": 11, "time": 12})
    line = json.loads(capsys.readouterr().err)
    assert (line["tool"], line["took"], line["level"]) == ("find", 0.5, "info")
    assert line["seen"] == {"key": ["[redacted]", None, True]}
    assert line["at"] == "/[redacted]"
    assert line["time"].endswith("Z")
    assert list(line)[:5] == ["time", "level", "logger", "message", "revision"]


def test_handlers_that_the_agent_adds_are_covered(configured, capsys):
    configured(plain=True)
    log = logging.getLogger("theirs")
    handler = logging.StreamHandler()
    log.addHandler(handler)
    try:
        try:
            fail()
        except ValueError:
            log.exception("key %s", "hunter2")
    finally:
        log.removeHandler(handler)
    err = capsys.readouterr().err
    assert err.count("ValueError: [redacted]") == 2
    assert "hunter2" not in err


def test_a_message_with_wrong_arguments_raises_nothing(configured, capsys, monkeypatch):
    configured(plain=True)
    monkeypatch.setattr(logging, "raiseExceptions", False)
    logging.getLogger("theirs").warning("%d", "text")
