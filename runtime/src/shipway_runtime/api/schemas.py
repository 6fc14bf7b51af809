"""The shapes of the OpenAPI document: what goes in and out, as JSON Schema.

In: the limits of the modules that read. Out: `ALL`, name -> schema.
"""

from __future__ import annotations

from typing import Any

from . import input, openai  # noqa: A004 - OpenAI's word for it
from .conversations import MOST_ADDED

Schema = dict[str, Any]

CONVERSATION: Schema = {"type": "string", "pattern": f"^{openai.CONVERSATION.pattern}$"}
IGNORED = (
    *("model", "temperature", "top_p", "top_logprobs", "max_output_tokens", "max_tool_calls", "reasoning"),
    *("parallel_tool_calls", "tool_choice", "include", "truncation", "stream_options", "service_tier"),
    *("user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "context_management"),
)
"""Fields of a request that are accepted, whatever they hold: the agent chose its model and how to use it."""


def text(description: str = "", **more: Any) -> Schema:
    return {"type": "string"} | ({"description": description} if description else {}) | more


def _object(required: str, /, _closed: bool = True, **properties: Schema) -> Schema:
    """An object. `required` names fields, by spaces; `*` is all."""
    names = list(properties) if required == "*" else required.split()
    made: Schema = {"type": "object", "properties": properties, "required": names}
    return made | ({"additionalProperties": False} if _closed else {})


def _list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items} | more


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _is(value: str) -> Schema:
    return {"const": value}


NULL: Schema = {"type": "null"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
BOOLEAN: Schema = {"type": "boolean"}
METADATA: Schema = {
    "type": "object",
    "maxProperties": openai.MAX_PAIRS,
    "propertyNames": {"maxLength": openai.MAX_KEY},
    "additionalProperties": {"type": "string", "maxLength": openai.MAX_VALUE},
}

# -- What goes in --------------------------------------------------------------------------------------------

PARTS = [
    _object(f"type {field}", False, **{"type": _is(kind), field: text()})
    for kind, field in input.TEXT_PARTS.items()
]
INPUT_MESSAGE = _object(
    "role content",
    False,
    type=_is("message"),
    role={"enum": list(input.ROLES)},
    content={"anyOf": [text(), _list({"anyOf": PARTS})]},
)
CONVERSATION_GIVEN = {
    "anyOf": [CONVERSATION, _object("id", False, id=CONVERSATION), NULL],
    "description": "The conversation to go on with; begun where there is none of that name",
}
REQUEST = _object(
    "input",
    False,
    input={
        "anyOf": [
            text(minLength=1),
            _list(_ref("InputMessage"), minItems=1, maxItems=input.MAX_ITEMS),
        ],
        "description": "A text, or messages. Other items of earlier responses are left out, before a message",
    },
    stream=_or_null(BOOLEAN),
    store=_or_null(BOOLEAN) | {"description": "Whether the turn can be continued and read later"},
    instructions=_or_null(text()) | {"description": "A system message for this turn alone"},
    previous_response_id=_or_null(text()) | {"description": "The response to go on from"},
    conversation=CONVERSATION_GIVEN,
    metadata=_or_null(METADATA),
    text=_or_null(_object("", False, format=_or_null(_object("type", False, type=_is("text"))))),
    tools=_or_null(_list({}, maxItems=0)) | {"description": "The agent has its own"},
    background=_or_null({"const": False}),
    prompt=NULL,
    **{name: {"description": "Accepted; the agent decides"} for name in IGNORED},
) | {
    "not": {
        "required": ["conversation", "previous_response_id"],
        "properties": {"conversation": {"not": NULL}, "previous_response_id": {"not": NULL}},
    }
}
ADDED = _list(_ref("InputMessage"), maxItems=MOST_ADDED)

# -- What comes out ------------------------------------------------------------------------------------------

STATUS = {"enum": ["in_progress", "completed", "incomplete", "failed", "cancelled"]}
MESSAGE = _object(
    "*",
    id=text(),
    type=_is("message"),
    status=STATUS,
    role={"enum": ["user", "assistant", "system"]},
    content=_list(
        _object(
            "type text",
            type={"enum": ["input_text", "output_text"]},
            text=text(),
            annotations=_list({}),
            logprobs=_list({}),
        )
    ),
)
MCP_CALL = _object(
    "*",
    id=text(),
    type=_is("mcp_call"),
    status=STATUS,
    server_label=text("The MCP server, or the agent for a tool of its own"),
    name=text(),
    arguments=text("JSON"),
    output=_or_null(text()),
    error=_or_null(_object("*", type=_is("mcp_tool_execution_error"), content=_list({"type": "object"}))),
    approval_request_id=NULL,
) | {"description": "A tool that the agent has run: nothing to do for a client"}
USAGE = _object(
    "*",
    input_tokens=WHOLE,
    input_tokens_details=_object("*", cached_tokens=WHOLE, cache_write_tokens=WHOLE),
    output_tokens=WHOLE,
    output_tokens_details=_object("*", reasoning_tokens=WHOLE),
    total_tokens=WHOLE,
)
RESPONSE = _object(
    "*",
    id=text("`resp_<conversation>_<turn>`"),
    object=_is("response"),
    created_at=WHOLE,
    status=STATUS,
    background={"const": False},
    completed_at=_or_null(WHOLE),
    error=_or_null(_object("code message", code=text(), message=text(), type=text("Our own code"))),
    incomplete_details=NULL,
    instructions=_or_null(text()),
    model=text(),
    conversation=_object("*", id=CONVERSATION),
    output=_list({"anyOf": [_ref("Message"), _ref("McpCall")]}),
    parallel_tool_calls=BOOLEAN,
    previous_response_id=_or_null(text()),
    temperature=NULL,
    text=_object("*", format=_object("*", type=_is("text"))),
    tool_choice=text(),
    tools=_list({}, maxItems=0),
    top_p=NULL,
    truncation=text(),
    usage=_or_null(_ref("Usage")),
    metadata=METADATA,
)
MODEL = _object("*", id=text(), object=_is("model"), created=WHOLE, owned_by=text())

ALL: dict[str, Schema] = {
    "Request": REQUEST,
    "InputMessage": INPUT_MESSAGE,
    "Response": RESPONSE,
    "Item": {"anyOf": [_ref("Message"), _ref("McpCall")]},
    "Message": MESSAGE,
    "McpCall": MCP_CALL,
    "Usage": USAGE,
    "Items": _object(
        "*", object=_is("list"), data=_list(_ref("Item")), first_id=text(), last_id=text(), has_more=BOOLEAN
    ),
    "DeletedResponse": _object("*", id=text(), object=_is("response"), deleted={"const": True}),
    "NewConversation": _object("", False, metadata=_or_null(METADATA), items=_or_null(ADDED)),
    "ConversationUpdate": _object("metadata", False, metadata=METADATA),
    "NewItems": _object("items", False, items=ADDED | {"minItems": 1}),
    "Conversation": _object(
        "*", id=CONVERSATION, object=_is("conversation"), created_at=WHOLE, metadata=METADATA
    ),
    "DeletedConversation": _object(
        "*", id=CONVERSATION, object=_is("conversation.deleted"), deleted={"const": True}
    ),
    "Models": _object("*", object=_is("list"), data=_list(_ref("Model"))),
    "Model": MODEL,
    "Prompt": {
        "description": 'The agent gets `prompt` where there is one, else everything as text: {"prompt": "hi"}'
    },
    "Invocation": _object("*", response=text(), status=_is("success")),
    "Ping": _object("*", status={"enum": ["Healthy", "HealthyBusy"]}, time_of_last_update=WHOLE),
    "Event": _object("data", False, event=text(), data=text("JSON")) | {"description": "One event"},
    "Health": {"type": "object"},
    "Document": {"type": "object"},
    "Error": _object(
        "error",
        error=_object(
            "*",
            message=text(),
            type={
                "enum": [
                    *("invalid_request_error", "authentication_error", "permission_error"),
                    *("rate_limit_error", "server_error"),
                ]
            },
            code=_or_null(text()),
            param=_or_null(text()),
        ),
    ),
}
