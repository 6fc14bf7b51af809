"""The page's files over HTTP.

In: nothing; the files lie beside this module. Out: routes, `/` and `/page/FILE`, which need no token: there
is nothing secret in them. What a browser is told forbids it every script, style and request that is not
control's own.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

POLICY = "; ".join(
    (
        "default-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "object-src 'none'",
        "require-trusted-types-for 'script'",
    )
)

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}


def routes() -> list[Route]:
    """A route for each file of the page. Raises OSError when the installation has lost one."""
    places = sorted(place for place in Path(__file__).parent.iterdir() if place.suffix in TYPES)
    return [
        Route("/" if place.name == "index.html" else f"/page/{place.name}", _serve(place), methods=["GET"])
        for place in places
    ]


def _serve(place: Path) -> Callable[[Request], Awaitable[Response]]:
    """Answers with one file, which a browser asks for again and gets when it has changed."""
    content = place.read_bytes()
    headers = {**HEADERS, "etag": f'"{hashlib.sha256(content).hexdigest()[:16]}"'}

    async def serve(request: Request) -> Response:
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=TYPES[place.suffix])

    return serve
