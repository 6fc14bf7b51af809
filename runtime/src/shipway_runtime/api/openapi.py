"""The API as an OpenAPI document: what GET /openapi.json answers, and docs/reference/openapi.json.

In: the agent's name, and whether callers authenticate. Out: a dictionary. Shapes are in schemas.py. Written
by hand, held to the application by tests: each path is one of its routes, and what it answers fits.
`python -m shipway_runtime.api.openapi` prints it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..contract import CONVERSATION_HEADER, REVISION_HEADER
from . import paging, schemas
from .exchange import send_json
from .invocations import SESSION_HEADER

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from .exchange import Endpoint

ABOUT = """\
An agent behind OpenAI's Responses API. Any client of that API works, with this address as its base URL.
"""


def document(name: str, *, authenticated: bool) -> dict[str, Any]:
    """The document of the agent `name`."""
    made: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": name, "version": __version__, "description": ABOUT},
        "paths": {**_responses(), **_conversations(), **_models(), **_platforms(), **_health()},
        "components": {"schemas": schemas.ALL},
    }
    if authenticated:
        made["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"bearer": []}]
    return made


def serve(name: str, *, authenticated: bool) -> Endpoint:
    """The endpoint."""

    async def show(scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, document(name, authenticated=authenticated))

    return show


# -- Paths ---------------------------------------------------------------------------------------------------


def _responses() -> dict[str, Any]:
    ask = _operation(
        "Ask the agent: one turn, as JSON or, with `stream`, as events",
        _answer("Response", events=True),
        parameters=[_header(CONVERSATION_HEADER, schemas.CONVERSATION, "The conversation; the body may too")],
        body="Request",
    )
    one = [_path("response_id", "`resp_<conversation>_<turn>`")]
    return {
        "/v1/responses": {"post": ask | {"operationId": "createResponse"}},
        "/responses": {"post": ask | {"operationId": "createResponseAlias"}},
        "/v1/responses/{response_id}": {
            "parameters": one,
            "get": _operation("Read a response", _answer("Response")),
            "delete": _operation("Delete what was said in a turn", _answer("DeletedResponse")),
        },
        "/v1/responses/{response_id}/cancel": {
            "parameters": one,
            "post": _operation("End a turn that runs", _answer("Response")),
        },
        "/v1/responses/{response_id}/input_items": {
            "parameters": one,
            "get": _operation("What a turn was asked with", _answer("Items"), parameters=_paged()),
        },
    }


def _conversations() -> dict[str, Any]:
    one = _path("conversation_id", "Its name")
    item = _path("item_id", "`msg_<conversation>_<turn>_…`")
    conversation = _answer("Conversation")
    return {
        "/v1/conversations": {
            "post": _operation("Begin a conversation", conversation, body="NewConversation", required=False)
        },
        "/v1/conversations/{conversation_id}": {
            "parameters": [one],
            "get": _operation("Read what is noted on a conversation", conversation),
            "post": _operation("Note something on a conversation", conversation, body="ConversationUpdate"),
            "delete": _operation(
                "Delete a conversation with everything in it", _answer("DeletedConversation")
            ),
        },
        "/v1/conversations/{conversation_id}/items": {
            "parameters": [one],
            "get": _operation("The items of a conversation", _answer("Items"), parameters=_paged()),
            "post": _operation("Add messages", _answer("Items"), body="NewItems"),
        },
        "/v1/conversations/{conversation_id}/items/{item_id}": {
            "parameters": [one, item],
            "get": _operation("Read an item", _answer("Item")),
            "delete": _operation("Delete a message that was added", conversation),
        },
    }


def _models() -> dict[str, Any]:
    return {
        "/v1/models": {"get": _operation("The one model that is here: the agent", _answer("Models"))},
        "/v1/models/{model}": {
            "parameters": [_path("model", "Its name")],
            "get": _operation("Read what is known of it", _answer("Model")),
        },
    }


def _platforms() -> dict[str, Any]:
    session = schemas.text()
    return {
        "/invocations": {
            "post": _operation(
                "Ask the agent as Amazon Bedrock AgentCore does; with `Accept: text/event-stream` as events",
                _answer("Invocation", events=True),
                parameters=[_header(SESSION_HEADER, session, "AgentCore's session; names the conversation")],
                body="Prompt",
            )
        },
        "/ping": {"get": _public("Whether a turn runs, as AgentCore asks", _answer("Ping"))},
    }


def _health() -> dict[str, Any]:
    health = _answer("Health") | {"503": _answer("Health")["200"] | {"description": "It does not"}}
    words = {
        "/healthz": "Whether the process lives",
        "/readyz": "Whether it can answer",
        "/readiness": "The same, as Azure AI Foundry asks",
    }
    about = {"/openapi.json": {"get": _operation("This document", _answer("Document"))}}
    return {path: {"get": _public(summary, health)} for path, summary in words.items()} | about


# -- What they are made of ----------------------------------------------------------------------------------


def _operation(
    summary: str,
    responses: dict[str, Any],
    *,
    parameters: list[dict[str, Any]] | None = None,
    body: str | None = None,
    required: bool = True,
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "summary": summary,
        "responses": responses | {"default": _content("Error", "Refused or failed")},
    }
    if parameters:
        made["parameters"] = parameters
    if body:
        content = {"application/json": {"schema": _ref(body)}}
        made["requestBody"] = {"required": required, "content": content}
    return made


def _public(summary: str, responses: dict[str, Any]) -> dict[str, Any]:
    return _operation(summary, responses) | {"security": []}


def _answer(schema: str, *, events: bool = False) -> dict[str, Any]:
    made = _content(schema, "Done")
    if events:
        made["content"]["text/event-stream"] = {"schema": _ref("Event")}
        made["headers"] = {CONVERSATION_HEADER: {"schema": schemas.CONVERSATION}}
    made.setdefault("headers", {})[REVISION_HEADER] = {"schema": {"type": "string"}}
    return {"200": made}


def _content(schema: str, description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _ref(schema)}}}


def _ref(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}


def _path(name: str, description: str) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def _header(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": schema}


def _paged() -> list[dict[str, Any]]:
    schemas_of = {
        "limit": {"type": "integer", "minimum": 1, "maximum": paging.MOST, "default": paging.LIMIT},
        "order": {"enum": ["asc", "desc"], "default": "desc"},
        "after": {"type": "string"},
    }
    return [{"name": name, "in": "query", "schema": schema} for name, schema in schemas_of.items()]


if __name__ == "__main__":
    print(json.dumps(document("agent", authenticated=True), indent=2))
