"""No value of a secret comes out of the process, however it fails: each kind of secret has a canary, each
kind of failure is provoked, and everything that can be read from outside is searched."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, quote_plus

import httpx2
import pytest
from tests.token_server import TokenServer
from tests.unit.runtime.conftest import Running, write_agent

CANARIES = {
    name: f"canary/{name.lower()}+{n}é=ten-thousand"
    for n, name in enumerate(("ENV_KEY", "FILE_KEY", "CRM_SECRET", "MCP_KEY", "IDENTITY", "PASSWORD"))
} | {name: f"canary-{name.lower()}-ten-thousand" for name in ("ANTHROPIC_API_KEY", "CRM", "ADMIN", "API_KEY")}
"""Some hold what is escaped on the way; those that go into headers cannot."""

AGENT = """
import asyncio, ctypes, logging, os, sys, threading, traceback, warnings
import anthropic, httpx2

client = anthropic.AsyncAnthropic(max_retries=0)
KEYS = {name: os.environ[name] for name in ("ENV_KEY", "FILE_KEY", "CRM_SECRET", "DATABASE_URL")}

class Weird:
    def __repr__(self): return f"Weird({KEYS})"
    def __del__(self): raise ValueError(str(KEYS))

async def agent(messages, ctx):
    what = messages[-1]["content"]
    keys = KEYS | {"CRM": ctx.secret("CRM")}
    if what == "raise":
        raise ValueError(f"the keys are {keys}", Weird())
    if what == "group":
        raise ExceptionGroup("all", [KeyError(value) for value in keys.values()])
    if what == "print":
        print(os.environ, dict(os.environ), keys, flush=True)
        print(repr(keys), file=sys.stderr)
        sys.stderr.write(str(keys)); sys.__stdout__.write(str(keys))
    if what == "log":
        logging.getLogger("theirs").error("%s and %r", keys, Weird(), extra={"keys": keys, "weird": Weird()})
        logging.basicConfig(stream=sys.stdout, force=True, format="%(message)s")
        logging.error(keys["ENV_KEY"])
        warnings.warn(str(keys))
        asyncio.get_running_loop().call_exception_handler({"message": str(keys), "extra": Weird()})
    if what == "traceback":
        try:
            raise KeyError(str(keys))
        except KeyError:
            traceback.print_exc()
    if what == "thread":
        def work(): raise RuntimeError(str(keys))
        thread = threading.Thread(target=work, name=keys["ENV_KEY"]); thread.start(); thread.join()
    if what == "task":
        async def work(): raise RuntimeError(str(keys))
        asyncio.create_task(work()); await asyncio.sleep(0.01)
        import gc; gc.collect()
    if what == "model":
        await client.messages.create(model="m", max_tokens=1, messages=messages)
    if what == "url":
        async with httpx2.AsyncClient(trust_env=False) as http:
            await http.get("http://127.0.0.1:9/", params=keys, headers={"x-key": keys["CRM"]})
    if what == "exit":
        sys.exit(str(keys))
    if what == "identity":
        raise PermissionError(open(os.environ["ANTHROPIC_IDENTITY_TOKEN_FILE"]).read())
    if what == "crash":
        ctypes.string_at(0)
    return "done"
"""

IMPORT = """
import os
try:
    raise KeyError(os.environ["ENV_KEY"])
except KeyError as error:
    raise ValueError(str(dict(os.environ))) from error
"""

TALKATIVE = """
import os, sys
print(os.environ, file=sys.stderr, flush=True)
print(os.environ["MCP_KEY"], flush=True)
sys.exit(os.environ["MCP_KEY"])
"""


class Echo(ThreadingHTTPServer):
    """A model API and an MCP server that quote what they were sent, and fail."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length") or 0))
                body = json.dumps({"error": {"type": "api_error", "message": str(self.headers)}}).encode()
                self.send_response(500)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def broker() -> Iterator[TokenServer]:
    server = TokenServer()
    yield server
    server.close()


def forms(value: str) -> set[bytes]:
    """A value as it may stand in a text, or in a header."""
    encoded = base64.b64encode(value.encode()).decode().rstrip("=")
    plain = {
        value,
        repr(value)[1:-1],
        json.dumps(value)[1:-1],
        quote(value),
        quote(value, safe=""),
        quote_plus(value),
    }
    return {form.encode() for form in {*plain, encoded, value.encode().hex()}}


def found(texts: dict[str, bytes]) -> list[str]:
    """Where a canary is, with what is around it; places in the text, in which values were put in quotes."""
    return [
        f"{name} in {where}: …{text[max(0, at.start() - 80) : at.end() + 20]!r}"
        for where, text in texts.items()
        for name, value in CANARIES.items()
        for form in forms(value)
        if (at := re.search(re.escape(form), text))
    ]


def start(
    place: Path, source: str, echo: Echo, broker: TokenServer, storage: dict[str, str] | None = None
) -> Running:
    (place / "secrets").mkdir(parents=True)
    for name in ("FILE_KEY", "CRM_SECRET", "MCP_KEY"):
        (place / "secrets" / name).write_text(CANARIES[name] + "\n")
    (place / "identity").write_text(CANARIES["IDENTITY"])
    password = quote(CANARIES["PASSWORD"], safe="")
    digest = hashlib.sha256(CANARIES["API_KEY"].encode()).hexdigest()
    crm = {"token_url": broker.url, "client_id": "support", "client_secret": "CRM_SECRET"}
    files, env = (
        ("FILE_KEY", "CRM_SECRET", "MCP_KEY"),
        ("ENV_KEY", "DATABASE_URL", "ANTHROPIC_API_KEY", "KEYS", "ANTHROPIC_IDENTITY_TOKEN_FILE"),
    )
    settings = {
        "secrets": {name: {"source": "file"} for name in files}
        | {name: {"source": "env"} for name in env}
        | {"CRM": {"source": "broker", "broker": crm}},
        "api": {"auth": "keys", "keys": "KEYS"},
        "storage": {"path": str(place / "data")} | (storage or {}),
        "model": {"provider": "anthropic", "name": "m"},
        "health": {"when_model_down": "degraded"},
    }
    command = [sys.executable, "-c", TALKATIVE]
    inside = {"name": "talk", "shape": "inside", "command": command, "secrets": ["MCP_KEY"], "optional": True}
    service = {"name": "crm", "shape": "service", "url": echo.url, "auth": "CRM", "optional": True}
    service["headers"] = {"x-key": "ANTHROPIC_API_KEY"}
    write_agent(place, source, {"settings": settings, "mcp": [inside, service]})
    given = {
        "SHIPWAY_ENV": "prod",
        "SHIPWAY_SECRETS": str(place / "secrets"),
        "SHIPWAY_STORAGE": str(place / "data"),
        "SHIPWAY_ADMIN_TOKEN": CANARIES["ADMIN"],
        "TMPDIR": str(place / "tmp"),
        "ENV_KEY": CANARIES["ENV_KEY"],
        "ANTHROPIC_API_KEY": CANARIES["ANTHROPIC_API_KEY"],
        "ANTHROPIC_BASE_URL": echo.url,
        "ANTHROPIC_IDENTITY_TOKEN_FILE": str(place / "identity"),
        "DATABASE_URL": f"postgresql://user:{password}@127.0.0.1:9/db?application_name=x",
        "KEYS": f"acme sha256:{digest}",
    }
    (place / "tmp").mkdir()
    return Running(place, given)


ASKED = (
    "raise",
    "group",
    "print",
    "log",
    "traceback",
    "thread",
    "task",
    "model",
    "url",
    "exit",
    "identity",
    "crash",
)


def converse(running: Running, asked: tuple[str, ...]) -> dict[str, bytes]:
    """Every failure, and what callers see of it."""
    headers = {"authorization": f"Bearer {CANARIES['API_KEY']}"}
    wrong = {"authorization": f"Bearer {CANARIES['API_KEY']}x"}
    seen = {"a refusal": running.api.post("/v1/responses", json={}, headers=wrong).content}
    for what in asked:
        for stream in (False, True):
            try:
                response = running.api.post(
                    "/v1/responses", json={"input": what, "stream": stream}, headers=headers
                )
                seen[f"the answer to {what}"] = response.content + str(response.headers).encode()
            except httpx2.TransportError:
                assert what == "crash"
        if what == "raise":
            seen |= admin(running)
    return seen


def admin(running: Running) -> dict[str, bytes]:
    """All of the admin port, as nobody and as the admin, and what it shows of the process to everybody."""
    paths = re.findall(r"/\w+", running.admin.get("/").json()["error"])
    assert len(paths) >= 5
    seen = {}
    for token in ("", f"Bearer {CANARIES['ADMIN']}", f"Bearer {CANARIES['ADMIN']}x"):
        for path in paths:
            for method in ("GET", "PUT", "POST"):
                headers = {"authorization": token} if token else {}
                seen[f"{method} {path}"] = running.admin.request(method, path, headers=headers).content
    for name in ("cmdline", "status", "stat", "comm", "maps"):
        seen[f"/proc: {name}"] = Path(f"/proc/{running.process.pid}/{name}").read_bytes()
    return seen


def left(running: Running) -> dict[str, bytes]:
    """What the process wrote."""
    files = [*(running.place / "data").rglob("*"), *(running.place / "tmp").rglob("*")]
    files += [running.stdout, running.stderr, *running.place.glob("core*")]
    return {str(file): file.read_bytes() for file in files if file.is_file()}


def test_no_canary_comes_out(tmp_path: Path, echo: Echo, broker: TokenServer) -> None:
    secret, token = CANARIES["CRM_SECRET"], CANARIES["CRM"]
    broker.answers = [
        broker.fixed(400, {"error": f"invalid {secret}", "error_description": secret}),
        broker.fixed(200, {"access_token": token, "token_type": "Bearer", "expires_in": 3600}),
    ]
    talking = start(tmp_path / "talking", AGENT, echo, broker)
    importing = start(tmp_path / "importing", IMPORT, echo, broker)
    storing = start(tmp_path / "storing", AGENT, echo, broker, {"url_secret": "DATABASE_URL"})
    processes = (talking, importing, storing)
    try:
        talking.wait_ready()
        storing.wait_for(lambda: storing.get_admin("/readyz") == 503, "unreadiness for want of a database")
        storing.wait_for(lambda: b"storage" in storing.admin.get("/readyz").content, "its check")
        texts = {f"talking: {k}": v for k, v in converse(talking, ASKED).items()}
        texts |= {f"storing: {k}": v for k, v in converse(storing, ("raise",)).items()}
        storing.terminate()
        assert (importing.exit_code(), storing.exit_code()) == (1, 0)
        assert talking.exit_code() < 0, "it crashed"
    finally:
        for running in processes:
            running.close()
    texts |= {name: text for running in processes for name, text in left(running).items()}
    log = talking.log() + talking.stdout.read_text()
    for spoken in (
        "Segmentation fault",
        "KeyError",
        "uncaught RuntimeError in the thread",
        "[talk] environ",
        "[redacted]",
    ):
        assert spoken in log
    assert "ValueError" in importing.log()
    assert found(texts) == []
