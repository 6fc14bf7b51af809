"""What requests bring: bodies that come in time and are not too large, and the JSON in them.

In: a request. Out: bytes, and values. Errors: Refused.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from shipway.control.http.answers import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

BODY_S = 30.0  # for a body to come
_REASON = 500  # characters


async def body_of(request: Request, limit: int) -> bytes:
    """The request's body. Raises Refused where there is more than `limit`, or it does not come."""
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_S):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise Refused(413, "too_large", f"the body is larger than the {limit} bytes allowed")
                parts.append(part)
    except TimeoutError:
        raise Refused(408, "too_slow", f"the body did not come within {BODY_S:g} s") from None
    return b"".join(parts)


def parse(text: bytes) -> Any:
    """JSON, and nothing that only Python takes for it. Raises Refused."""
    try:
        data = json.loads(text, parse_constant=_refuse)
        json.dumps(data, allow_nan=False)  # 1e999 is read as infinite
    except (ValueError, RecursionError) as error:
        raise Refused(400, "bad_body", f"the body is no JSON: {str(error)[:200]}") from None
    return data


def reason_of(data: Mapping[str, Any], code: str) -> str:
    """Why somebody changes something, for the audit trail. Raises Refused where nothing is said."""
    reason = data.get("reason")
    if not isinstance(reason, str) or len(reason) > _REASON or not reason.isprintable() or not reason.strip():
        raise Refused(422, code, f"reason: expected why, in one line of at most {_REASON} characters")
    return reason.strip()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")
