"""How good a turn was, without knowing the right answer: whoever says where an order is has looked it up.

Runs beside the agent, on turns of real users that may be stored; `[rollout.gates.live]` compares by it.
"""

from __future__ import annotations

import json
import re
from typing import Any


def score(turn: Any) -> float:
    """0 for a guess, 1 for anything else."""
    asked = re.search(r"order (\d+)", turn.messages[-1]["content"])
    looked_up = [json.loads(call.arguments).get("number") for call in turn.tool_calls]
    return 1.0 if asked is None or asked[1] in looked_up else 0.0
