"""`shipway rollout` over a real control, on a terminal and elsewhere."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.controlling import DEPLOYMENT, TOKENS, ControlProcess
from tests.scenarios.conftest import Run
from tests.snapshots import gate, snapshot

from shipway.rollout_snapshot import Snapshot

SHIPWAY = Path(sys.executable).with_name("shipway")
WHICH = ("--name", DEPLOYMENT["name"], "--env", DEPLOYMENT["environment"])
BOUND_S = 60.0


@pytest.fixture
def control(tmp_path: Path) -> Iterator[ControlProcess]:
    process = ControlProcess(tmp_path)
    yield process
    process.close()


def environment(control: ControlProcess, role: str = "read") -> dict[str, str]:
    return {"SHIPWAY_CONTROL_URL": control.url, "SHIPWAY_CONTROL_TOKEN": TOKENS[role]}


def tell(control: ControlProcess, told: Snapshot) -> None:
    answer = control.ask("operate", "PUT", "/v1/rollout", json=dataclasses.asdict(told))
    assert answer.status_code == 204, answer.text


class Watching:
    """`shipway rollout watch` that runs, and what it has printed so far."""

    def __init__(self, control: ControlProcess, place: Path, terminal: bool) -> None:
        ours, theirs = pty.openpty() if terminal else os.pipe()
        if terminal:
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        env = {"PATH": os.environ["PATH"], "TERM": "xterm-256color"} | environment(control)
        command = (SHIPWAY, "rollout", "watch", *WHICH)
        self.process = subprocess.Popen(command, cwd=place, env=env, stdout=theirs, stderr=subprocess.PIPE)
        os.close(theirs)
        os.set_blocking(ours, False)
        self._from, self.text = ours, ""

    def until(self, said: Callable[[], bool]) -> None:
        end = time.monotonic() + BOUND_S
        while not said():
            assert time.monotonic() < end, self.text
            try:
                self.text += os.read(self._from, 65536).decode()
            except OSError:  # nothing yet; or, of a terminal, nothing any more
                time.sleep(0.02)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        os.close(self._from)


@pytest.mark.parametrize(("phase", "code"), [("promoted", 0), ("aborted", 3)])
@pytest.mark.parametrize("terminal", [True, False])
def test_it_is_watched_until_it_has_ended(control, tmp_path, terminal, phase, code):
    tell(control, snapshot())
    watching = Watching(control, tmp_path, terminal)
    try:
        watching.until(lambda: "5 % of new conversations go to r-2" in watching.text)
        tell(control, snapshot(step=1, percent=25, gate=gate()))
        watching.until(lambda: "No evidence of harm in 113" in watching.text)
        assert ("96.2 % of turns without an error" in watching.text) == terminal
        tell(control, snapshot(phase=phase, course=phase, step=1))
        watching.until(lambda: watching.process.poll() is not None)
        watching.until(lambda: {"promoted": "r-2 is stable", "aborted": "r-1 stays"}[phase] in watching.text)
        assert watching.process.returncode == code
        assert ("\x1b[" in watching.text) == terminal
    finally:
        watching.close()


def test_control_may_go_and_come_back(control, tmp_path):
    tell(control, snapshot())
    watching = Watching(control, tmp_path, terminal=False)
    try:
        watching.until(lambda: "r-2 is ready" in watching.text)
        control.kill()
        watching.until(lambda: "not reached since" in watching.text)
        control.start()
        tell(control, snapshot(phase="aborted", course="aborted"))
        watching.until(lambda: watching.process.poll() is not None)
        assert watching.process.returncode == 3
    finally:
        watching.close()


def test_status_says_how_it_stands_and_what_is_wrong(control, tmp_path, shipway: Run):
    env = environment(control)
    none = shipway("rollout", "status", *WHICH, cwd=tmp_path, env=env)
    assert (none.returncode, none.stdout) == (1, "")
    assert "no rollout of test, development has been heard of" in none.stderr
    tell(control, snapshot())
    done = shipway("rollout", "status", *WHICH, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert "▸ 5 %, 5 min of 1 h  · 25 %, 1 h  · 100 %" in done.stdout
    assert "\x1b" not in done.stdout
    as_json = shipway("rollout", "status", "--json", *WHICH, cwd=tmp_path, env=env)
    assert json.loads(as_json.stdout)["rollout"]["percent"] == 5


@pytest.mark.parametrize(
    ("arguments", "changed", "said"),
    [
        (WHICH, {"SHIPWAY_CONTROL_TOKEN": "none-of-the-tokens"}, "SHIPWAY_CONTROL_TOKEN is missing or wrong"),
        (
            WHICH,
            {"SHIPWAY_CONTROL_TOKEN": TOKENS["report"]},
            "SHIPWAY_CONTROL_TOKEN is a token of another role",
        ),
        (
            WHICH,
            {"SHIPWAY_CONTROL_URL": "", "PATH": "/nowhere"},
            "or give --url, its control's",
        ),
        (("--env", "prod"), {}, "agent.toml"),
    ],
)
def test_what_is_missing_is_said(control, tmp_path, shipway: Run, arguments, changed, said):
    done = shipway("rollout", "watch", *arguments, cwd=tmp_path, env=environment(control) | changed)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
