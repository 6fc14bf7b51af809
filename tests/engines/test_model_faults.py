"""What the SDKs and frameworks of others raise when a model fails, read by the runtime: each in its own
environment, against a server that fails."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tests.installing import from_pypi

pytestmark = pytest.mark.network

PACKAGES = (
    "openai",
    "google-genai",
    "pydantic-ai-slim[openai,google]",
    "langchain-openai",
    "aiohttp",
    "requests",
)
RUNTIME = Path(__file__).parents[2] / "runtime/src"

SCRIPT = """
import asyncio, json, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.path.append(sys.argv[1])
from shipway_runtime.health.faults import find_fault

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(STATUS)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
    def log_message(self, *_): pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
GOOD = f"http://127.0.0.1:{server.server_port}"
NOBODY = "http://127.0.0.1:9"

def openai(url):
    from openai import OpenAI
    OpenAI(base_url=url, api_key="k", max_retries=0).responses.create(model="m", input="hi")

def genai(url):
    from google import genai
    from google.genai import types
    options = types.HttpOptions(base_url=url, retry_options=types.HttpRetryOptions(attempts=1))
    client = genai.Client(api_key="k", http_options=options)  # its connections end with it
    client.models.generate_content(model="m", contents="hi")

def pydantic_ai(url):
    from openai import AsyncOpenAI
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider
    provider = OpenAIProvider(openai_client=AsyncOpenAI(base_url=url, api_key="k", max_retries=0))
    Agent(OpenAIChatModel("m", provider=provider)).run_sync("hi")

def langchain(url):
    from langchain_openai import ChatOpenAI
    ChatOpenAI(model="m", base_url=url, api_key="k", max_retries=0).invoke("hi")

def aiohttp(url):
    import aiohttp
    async def post():
        async with aiohttp.ClientSession() as session, session.post(url) as response:
            response.raise_for_status()
    asyncio.run(post())

def requests(url):
    import requests
    requests.post(url, json={}).raise_for_status()

found = {}
for ask in (openai, genai, pydantic_ai, langchain, aiohttp, requests):
    for STATUS in (503, 429, 401, 400, 0):
        try:
            ask(GOOD if STATUS else NOBODY)
            said = "nothing raised"
        except Exception as error:
            fault = find_fault(error, "127.0.0.1")
            if fault is None:
                said = None if STATUS == 400 else repr(error)
            else:
                said = "refused" if fault.refused else fault.reason.partition(" (")[0]
        found.setdefault(ask.__name__, []).append(said)
print(json.dumps(found))
"""


def test_errors_of_sdks_and_frameworks(tmp_path: Path) -> None:
    python = from_pypi(tmp_path / "venv", *PACKAGES) / "python"
    done = subprocess.run(
        [python, "-c", SCRIPT, RUNTIME], capture_output=True, text=True, timeout=120, env={"NO_PROXY": "*"}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    expected = ["HTTP 503", "HTTP 429", "refused", None, "cannot be reached"]
    assert found == dict.fromkeys(found, expected)
    assert len(found) == 6
