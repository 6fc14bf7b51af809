from __future__ import annotations

import pytest

from shipway_runtime import turn
from shipway_runtime.api.errors import ApiError


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
