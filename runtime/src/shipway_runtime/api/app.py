"""The API's application: every path of port 8080.

In: the turns of an agent, and the two health documents, which come from the same caches as on the admin
port. Out: an ASGI application.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import openapi
from .archive import Archive
from .conversations import Conversations
from .exchange import send_json
from .invocations import Invocations
from .models import Models
from .responses import Responses
from .routes import Routes

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from ..conversations.store import Store
    from ..health.heart import Document
    from ..turns import Turns
    from .exchange import Endpoint


def build(
    turns: Turns,
    store: Store,
    *,
    name: str,
    model: str,
    body_limit: int,
    authenticated: bool,
    alive: Callable[[], Document],
    ready: Callable[[], Document],
) -> Routes:
    """The application that serves `turns` of the agent `name`, and what `store` has kept of them."""
    responses = Responses(turns, store, model=model, label=name, body_limit=body_limit)
    archive = Archive(turns, store, model=model)
    conversations = Conversations(store, body_limit=body_limit)
    invocations = Invocations(turns, body_limit=body_limit)
    models = Models(model, name)
    return Routes(
        {
            "/v1/responses": {"POST": responses},
            "/responses": {"POST": responses},
            "/v1/responses/{response_id}": {"GET": archive.show, "DELETE": archive.delete},
            "/v1/responses/{response_id}/cancel": {"POST": archive.cancel},
            "/v1/responses/{response_id}/input_items": {"GET": archive.inputs},
            "/v1/conversations": {"POST": conversations.create},
            "/v1/conversations/{conversation_id}": {
                "GET": conversations.show,
                "POST": conversations.update,
                "DELETE": conversations.delete,
            },
            "/v1/conversations/{conversation_id}/items": {
                "GET": conversations.list_items,
                "POST": conversations.add_items,
            },
            "/v1/conversations/{conversation_id}/items/{item_id}": {
                "GET": conversations.show_item,
                "DELETE": conversations.delete_item,
            },
            "/v1/models": {"GET": models.list},
            "/v1/models/{model}": {"GET": models.show},
            "/invocations": {"POST": invocations},
            "/openapi.json": {"GET": openapi.serve(name, authenticated=authenticated)},
            "/ping": {"GET": invocations.ping},
            "/healthz": {"GET": _show(alive)},
            "/readyz": {"GET": _show(ready)},
            "/readiness": {"GET": _show(ready)},
        }
    )


def _show(document: Callable[[], Document]) -> Endpoint:
    async def show(scope: Scope, receive: Receive, send: Send) -> None:
        status, content = document()
        await send_json(send, content, status)

    return show
