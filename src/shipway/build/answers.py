"""What indexes and registries answer, kept in the cache for a day, and longer while none can be reached.

In: where the answer is kept, and the question. Out: the answer, the text of a JSON object; one that is kept
and damaged counts as none.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from shipway.build.cache import read_record
from shipway.errors import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shipway.build.cache import Cache

FRESH_S = 86_400
"""How long an answer counts as today's."""


def answer(
    kept: Path, ask: Callable[[], str], name: str, cache: Cache, say: Callable[[str], None], fresh_s: float
) -> str:
    """The kept answer when it is younger than `fresh_s` seconds, else a new one.

    When `ask` raises UnreachableError an older one counts, and it is said; without one it is raised.
    """
    last = read_record(kept, dict)
    age = time.time() - kept.stat().st_mtime if last else 0.0
    if last and age < fresh_s:
        return json.dumps(last)
    try:
        text = ask()
    except UnreachableError:
        if last is None:
            raise
        say(f"no index answers: {name} as resolved {age / 3600:.0f} hours ago")
        return json.dumps(last)
    cache.write_text(kept, text)
    return text
