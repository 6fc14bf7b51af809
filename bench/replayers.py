"""What is compared in replaying a model: ours, aimock, and vcrpy, each as its users run it.

In: the same answers, as recordings in each one's own format. Out: a server on loopback for the time of a
`with`; vcrpy is no server, so its programs are text that runs in an environment of its own.

The API is Chat Completions, which all of them know. A recorded answer is a stream of PIECES of text.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopback import free_port, wait

from processes import running

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/v1/chat/completions"
PIECE = 20  # characters; aimock cuts a text into pieces of this length
GAP_MS = 20.0
MODEL = "gpt-5"
AIMOCK = "@copilotkit/aimock"

Start = Callable[[Path, bool], AbstractContextManager["Replayer"]]
"""(directory of recordings, at the recorded pace) -> a running server."""


@dataclass(frozen=True)
class Replayer:
    """A server that runs: where, and the process."""

    port: int
    pid: int


@dataclass(frozen=True)
class Recorded:
    """A question and its answer: `pieces` texts of PIECE characters, GAP_MS apart. `padding` makes the
    request as long as an agent's is."""

    number: int
    pieces: int
    padding: int = 0

    @property
    def texts(self) -> list[str]:
        return [f"{self.number:05d} piece {i:06d} "[:PIECE].ljust(PIECE) for i in range(self.pieces)]

    @property
    def question(self) -> str:
        return f"question number {self.number:05d}"

    def body(self, *, stream: bool = True) -> dict[str, Any]:
        system = f"You are agent {self.number:05d}. " + "Be kind. " * (self.padding // 9)
        messages = [{"role": "system", "content": system}, {"role": "user", "content": self.question}]
        return {"model": MODEL, "stream": stream, "messages": messages}

    def request(self) -> bytes:
        """The whole HTTP request."""
        body = json.dumps(self.body()).encode()
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer none\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + body

    def events(self) -> list[tuple[float, str]]:
        """The stream as the API sends it."""
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": text} for text in self.texts]
        chunks = [self._chunk(delta, None) for delta in deltas] + [
            self._chunk({}, "stop"),
            "data: [DONE]\n\n",
        ]
        return [(i * GAP_MS, chunk) for i, chunk in enumerate(chunks)]

    def _chunk(self, delta: dict[str, Any], reason: str | None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        base = {"id": f"chatcmpl-{self.number}", "object": "chat.completion.chunk", "created": 0}
        return f"data: {json.dumps(base | {'model': MODEL, 'choices': [choice]})}\n\n"


# -- shipway -------------------------------------------------------------------------------------------------


def write_shipway(directory: Path, recorded: list[Recorded]) -> None:
    for one in recorded:
        document = {
            "format": 1,
            "request": {"method": "POST", "path": PATH, "body": one.body()},
            "response": {"status": 200, "events": one.events()},
        }
        (directory / f"{one.number:05d}.json").write_text(json.dumps(document, indent=1))


@contextmanager
def shipway(directory: Path, paced: bool) -> Iterator[Replayer]:
    port = free_port()
    speed = ("--speed", "1") if paced else ()
    command = (sys.executable, "-m", "shipway.replay", str(directory), "--port", str(port), *speed)
    with running(command) as process:
        wait(f"http://127.0.0.1:{port}/healthz")
        yield Replayer(port, process.pid)


# -- aimock --------------------------------------------------------------------------------------------------


def install_aimock(directory: Path) -> tuple[Path, str]:
    """Its program, and its version."""
    quiet = ("--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error")
    subprocess.run(("npm", "install", *quiet, "--prefix", str(directory), AIMOCK), check=True)
    package = directory / "node_modules" / AIMOCK
    version = json.loads((package / "package.json").read_text())["version"]
    return directory / "node_modules/.bin/llmock", version


def write_aimock(directory: Path, recorded: list[Recorded], *, paced: bool) -> None:
    """Its own pace is part of a fixture; one without is played at once."""
    for one in recorded:
        count = len(one.events())
        fixture: dict[str, Any] = {
            "match": {"userMessage": one.question, "systemMessage": one.body()["messages"][0]["content"]},
            "response": {"content": "".join(one.texts)},
            "chunkSize": PIECE,
        }
        if paced:
            gaps = [GAP_MS] * (count - 1)
            fixture["recordedTimings"] = {
                "ttftMs": 0,
                "interChunkDelaysMs": gaps,
                "totalDurationMs": sum(gaps),
            }
        (directory / f"{one.number:05d}.json").write_text(json.dumps({"fixtures": [fixture]}, indent=1))


def aimock(program: Path) -> Start:
    @contextmanager
    def start(directory: Path, _: bool) -> Iterator[Replayer]:
        port = free_port()
        command = (str(program), "-p", str(port), "-f", str(directory), "--log-level", "silent")
        with running(command) as process:
            wait(f"http://127.0.0.1:{port}/health")
            yield Replayer(port, process.pid)

    return start


# -- vcrpy ---------------------------------------------------------------------------------------------------

VCRPY_PLAY = """
import json, sys, time
import httpx, vcr

cassette, bodies = sys.argv[1], json.loads(sys.stdin.read())
options = {"serializer": "json", "record_mode": "none", "allow_playback_repeats": True,
           "match_on": ["method", "path", "body"]}
arrived = []
with vcr.use_cassette(cassette, **options), httpx.Client(trust_env=False) as client:
    for body in bodies:
        with client.stream("POST", "http://model.example" + PATH, json=body) as answer:
            assert answer.status_code == 200
            arrived.append([(time.perf_counter(), len(chunk)) for chunk in answer.iter_raw()])
rss = int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1])
print(json.dumps({"arrived": arrived, "rss_mb": rss / 1024}))
"""


def write_vcrpy(file: Path, recorded: list[Recorded]) -> None:
    """One cassette in its JSON form, which is its fastest."""
    interactions = [
        {
            "request": {
                "method": "POST",
                "uri": f"http://model.example{PATH}",
                "body": json.dumps(one.body(), separators=(",", ":"), ensure_ascii=False),
                "headers": {"content-type": ["application/json"]},
            },
            "response": {
                "status": {"code": 200, "message": "OK"},
                "headers": {"content-type": ["text/event-stream"]},
                "body": {"string": "".join(text for _, text in one.events())},
            },
        }
        for one in recorded
    ]
    file.write_text(json.dumps({"version": 1, "interactions": interactions}))


def play_vcrpy(python: Path, cassette: Path, asked: list[Recorded]) -> dict[str, Any]:
    """A program that plays each question once: when chunks arrived (s, bytes), and its RSS in MB."""
    program = VCRPY_PLAY.replace("PATH", repr(PATH))
    done = subprocess.run(
        (str(python), "-c", program, str(cassette)),
        input=json.dumps([one.body() for one in asked]),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"vcrpy: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
