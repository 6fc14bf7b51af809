"""The table in docs/reference/faults.md is what the SDKs of others do: they are run through every fault.

SHIPWAY_WRITE_GOLDEN=1 writes it anew.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.installing import from_pypi
from tests.replaying import Replay

from shipway.replay.faults.kinds import KINDS

pytestmark = pytest.mark.network

CLIENT = Path(__file__).with_name("fault_sdks.py")
PAGE = Path("docs/reference/faults.md")
SDKS = ("anthropic==2.12.0", "openai==3.54.0", "google-genai==3.6.1")
BEGIN = """\
| fault | asks for | Anthropic | OpenAI Responses | Chat Completions | Gemini |
|---|---|---|---|---|---|
"""
WHOLE = "One two three four five six seven eight nine ten."
APIS = ("/v1/messages", "/v1/responses", "/v1/chat/completions", "/v1/models/m")
HEADERS = (
    *("rate-limit;retry_after=0.1", "overloaded", "server-error", "refused", "error-event"),
    *("cut", "cut;at=0", "early-end", "hang", "hang;at=0.5"),
    *("slow-start;seconds=4", "slow-stream;seconds=0.05"),
    *("malformed-json", "wrong-usage", "wrong-usage;usage=absent"),
)


@pytest.fixture
def replays(tmp_path: Path) -> Iterator[tuple[Replay, Replay]]:
    """One to ask for streams, one for JSON: each counts its requests."""
    (tmp_path / "scripted.toml").write_text(f'[[reply]]\nsay = "{WHOLE}"\n')
    servers = Replay(tmp_path), Replay(tmp_path)
    yield servers
    for server in servers:
        if server.process.poll() is None:
            server.stop()


def table(results: list[list[str]], replays: tuple[Replay, Replay]) -> str:
    outcomes = {(api, header, form): outcome for api, header, form, outcome in results}
    rows = []
    for header in HEADERS:
        streamed, plain = (
            " | ".join(cell(outcomes[api, header, form], tried(server, api, header)) for api in APIS)
            for form, server in zip(("stream", "json"), replays, strict=True)
        )
        forms = {"either": plain} if streamed == plain else {"a stream": streamed, "JSON": plain}
        rows += [f"| `{header}` | {form} | {cells} |\n" for form, cells in forms.items()]
    return "".join(rows)


def cell(outcome: str, tries: int) -> str:
    shown = {"part": "**a part, and no error**", "nothing": "**no text, and no error**"}
    said = shown.get(outcome) or (outcome if outcome == "whole" else f"`{outcome.partition('.')[2]}`")
    return said if tries == 1 else f"{tries} x {said}" if "`" in said else f"{said} after {tries}"


def tried(server: Replay, api: str, header: str) -> int:
    """How many requests the replay has had for it."""
    said = f", fault {header.replace(';', ' ')} (header)"
    return sum(api in line and said in line for line in server.lines)


def test_the_table_is_what_sdks_do(replays: tuple[Replay, Replay], tmp_path: Path) -> None:
    python = from_pypi(tmp_path / "venv", *SDKS) / "python"
    stream, plain = replays
    done = subprocess.run(
        (python, CLIENT, stream.url, plain.url, *HEADERS),
        capture_output=True,
        text=True,
        timeout=180,
        env={"NO_PROXY": "*"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for server in replays:
        server.stop()  # and all of its lines are there
    made = table(json.loads(done.stdout), replays)
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    assert begin, f"{PAGE} has no table that begins with\n{BEGIN}"
    written = re.match(r"(\|.*\n)*", rest)[0]
    if os.environ.get("SHIPWAY_WRITE_GOLDEN"):
        PAGE.write_text(before + begin + made + rest.removeprefix(written))
    else:
        assert written == made


def test_every_kind_is_in_it() -> None:
    assert {header.partition(";")[0] for header in HEADERS} == set(KINDS)


def test_the_page_names_these_versions() -> None:
    assert all(sdk.replace("==", " ") in PAGE.read_text() for sdk in SDKS)
