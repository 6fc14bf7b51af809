"""GET /v1/models: the one model that is here, which is the agent.

In: its name and who owns it. Out: OpenAI's list, so that programs that look for a model first find one.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .errors import ApiError
from .exchange import send_json

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


class Models:
    """Two endpoints. `owner` is the agent's name."""

    def __init__(self, model: str, owner: str) -> None:
        self._model = model
        self._document: dict[str, Any] = {
            "id": model,
            "object": "model",
            "created": int(time.time()),
            "owned_by": owner,
        }

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, {"object": "list", "data": [self._document]})

    async def show(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path_params"]["model"] != self._model:
            message = f"there is one model here, {self._model}"
            raise ApiError(404, message, code="model_not_found", param="model")
        await send_json(send, self._document)
