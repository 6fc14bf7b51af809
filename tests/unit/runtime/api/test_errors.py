from __future__ import annotations

import re
from pathlib import Path

import pytest

import shipway_runtime
from shipway_runtime import turn
from shipway_runtime.api.errors import ApiError
from shipway_runtime.health.faults import Fault
from shipway_runtime.health.watched import ModelError


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "server_error"),
        (503, "server_error"),
    ],
)
def test_types_are_openais(status, kind):
    document = ApiError(status, "no", code="because", param="input").document()
    assert document == {"message": "no", "type": kind, "code": "because", "param": "input"}


@pytest.mark.parametrize(
    ("error", "status", "headers"),
    [
        (turn.DrainingError("x"), 503, {"retry-after": "1"}),
        (turn.UnknownTurnError("x"), 404, {}),
        (ModelError(Fault("down", retry_s=2), acted=False), 503, {"retry-after": "2"}),
        (ModelError(Fault("down"), acted=True), 503, {"x-should-retry": "false"}),
        (ModelError(Fault("key", refused=True), acted=False), 500, {"x-should-retry": "false"}),
        (turn.AgentError("x"), 500, {"x-should-retry": "false"}),
        (turn.UnkeptError("x"), 500, {"x-should-retry": "false"}),
        (turn.CutOffError("x"), 503, {"x-should-retry": "false"}),
        (turn.TurnTimeoutError("x"), 504, {"x-should-retry": "false"}),
        (turn.TurnCancelledError("x"), 409, {"x-should-retry": "false"}),
    ],
)
def test_only_what_did_nothing_yet_may_be_asked_again(error, status, headers):
    """OpenAI's SDKs repeat 408, 409, 429 and 5xx by themselves, unless they are told."""
    made = ApiError.of(error)
    assert (made.status, made.headers) == (status, headers)


def test_every_code_is_in_the_reference():
    package = Path(shipway_runtime.__file__).parent
    sources = [*package.glob("api/*.py"), package / "turn.py", package / "health/watched.py"]
    text = "".join(path.read_text() for path in sources)
    page = (Path(__file__).parents[4] / "docs/reference/api.md").read_text()
    codes = set(re.findall(r'\bcode ?= ?"(\w+)"', text))
    assert len(codes) > 20
    assert [code for code in sorted(codes) if f"`{code}`" not in page] == []
