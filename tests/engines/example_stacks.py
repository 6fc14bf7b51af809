"""Each example as processes, `shipway up -d` in a copy of it, and what a caller is told.

In: a directory of examples/. Out: a `Stack`: its ports, its replay, its outcomes, logs and metrics.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from tests.ports import free_port

from shipway.local import state

SHIPWAY = Path(sys.executable).with_name("shipway")
PATIENCE_S = 180.0
MODEL_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class Told:
    """What a caller was told: `text`, and where the turn failed `code` and `message`."""

    text: str
    code: str | None
    message: str
    usage: dict[str, Any]


class Stack:
    """A running copy of an example. Its model has MODEL_TIMEOUT_S for a call; else nothing is changed."""

    def __init__(self, example: Path, root: Path) -> None:
        self.root = root
        shutil.copytree(example, root, ignore=shutil.ignore_patterns(".shipway", "__pycache__"))
        spec = root / "agent.toml"
        text = re.sub(r'(?m)^timeout = "60s"\n', "", spec.read_text())
        spec.write_text(text.replace("[model]\n", f'[model]\ntimeout = "{MODEL_TIMEOUT_S:g}s"\n'))
        if (seed := root / "seed.py").exists():
            subprocess.run((sys.executable, seed, root / ".shipway/data/repo"), check=True)
        self._env = {name: value for name, value in os.environ.items() if not name.startswith("SHIPWAY_")}
        self._env["SHIPWAY_CACHE"] = str(root.parent / "cache")

    def up(self) -> None:
        options = ("--engine", "processes", "--port", str(free_port()), "--wait-timeout", f"{PATIENCE_S:g}")
        done = self.run("up", "-d", *options)
        assert done.returncode == 0, done.stderr
        running = state.require(self.root)
        self.api, self.admin = (
            httpx2.Client(base_url=url, timeout=PATIENCE_S, trust_env=False)
            for url in (running.api, running.admin)
        )
        self.replay = next((p.address for p in running.processes if p.name == "replay"), None)
        self._processes = {process.name: process.pid for process in running.processes}

    def alive(self) -> bool:
        """Whether each process is still the one that was started."""
        return {p.name: p.pid for p in state.require(self.root).processes} == self._processes

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (SHIPWAY, *arguments),
            cwd=self.root,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def close(self) -> None:
        self.run("down")
        for name in ("api", "admin"):
            if client := getattr(self, name, None):
                client.close()

    def log(self, process: str) -> str:
        return (self.root / f".shipway/logs/{process}.log").read_text()

    def outcomes(self) -> list[dict[str, Any]]:
        return [json.loads(found) for found in re.findall(r'(?m)\{"conversation".*$', self.log("agent"))]

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        lines = self.admin.get("/metrics").text.splitlines()
        found = (line for line in lines if re.match(rf"{name}(\{{| )", line))
        return sum(float(line.rpartition(" ")[2]) for line in found if all(each in line for each in wanted))

    # -- Callers ---------------------------------------------------------------------------------------------

    def ask(self, question: str) -> Told:
        """As JSON."""
        answer = self.api.post("/v1/responses", json={"input": question}).json()
        return _told(answer)

    def ask_streaming(self, question: str) -> Told:
        with self.api.stream("POST", "/v1/responses", json={"input": question, "stream": True}) as answer:
            if answer.status_code != 200:
                answer.read()
                return _told(answer.json())
            events = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: {")]
        last = events[-1]
        assert last["type"] in ("response.completed", "response.failed"), last
        told = _told(last["response"])
        assert (told.code is None) == (last["type"] == "response.completed")
        pieces = "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")
        assert told.code or pieces == told.text
        return told

    def ask_application(self, question: str) -> Told:
        """What examples/06-own-app answers: text, piece by piece. It says that it failed by breaking off."""
        pieces: list[str] = []
        try:
            with self.api.stream("POST", "/chat", json={"message": question}) as answer:
                pieces += answer.iter_text()
        except httpx2.RemoteProtocolError:
            return Told("".join(pieces), "broken off", "", {})
        return Told("".join(pieces), None if answer.status_code == 200 else str(answer.status_code), "", {})


def _told(document: dict[str, Any]) -> Told:
    """Of a response object, or of an error instead of one."""
    items = [item for item in document.get("output", ()) if item["type"] == "message"]
    text = "".join(part["text"] for item in items for part in item["content"])
    error = document.get("error")
    assert error or document["status"] == "completed", document
    usage = document.get("usage") or {}
    return Told(text, error["code"], error["message"], usage) if error else Told(text, None, "", usage)
