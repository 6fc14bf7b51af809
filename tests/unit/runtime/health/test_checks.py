from __future__ import annotations

import asyncio

from shipway_runtime.contract import Secret
from shipway_runtime.health.checks import redacted
from shipway_runtime.health.readiness import Check
from shipway_runtime.secrets.declared import Secrets


def test_a_server_that_repeats_its_credential_is_shown_without_it(tmp_path):
    secrets = Secrets({"CRM": Secret("env")}, tmp_path, {"CRM": "hunter22"})

    async def probe():
        return "saw HTTP 500: Bearer hunter22 is not mine"

    assert asyncio.run(redacted(Check("mcp:crm", probe), secrets).probe()) == (
        "saw HTTP 500: Bearer [redacted] is not mine"
    )


def test_what_a_server_said_last_is_shown_without_it(tmp_path):
    secrets = Secrets({"CRM": Secret("env")}, tmp_path, {"CRM": "hunter22"})

    async def probe():
        return None

    said = {"server": {"last_error": "its last words: hunter22", "restarts": 3}}
    shown = redacted(Check("mcp:crm", probe, detail=lambda: said), secrets).detail()
    assert shown == {"server": {"last_error": "its last words: [redacted]", "restarts": 3}}
