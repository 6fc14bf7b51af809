"""The server that the official conformance suite expects, made with mcp 2.x: over HTTP, or over stdio.

    python conformance_server.py [--port PORT]

What each tool, prompt and resource has to do is written in the suite's own scenario descriptions.
"""

import argparse
import asyncio
import base64
import json
from typing import Annotated, Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.server.streamable_http import EventMessage, EventStore
from mcp.types import (
    AudioContent,
    Completion,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequestParams,
)
from pydantic import BaseModel, Field, WithJsonSchema

IMAGE = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(16)).decode()
AUDIO = base64.b64encode(b"RIFF\x04\x00\x00\x00WAVE").decode()


class Events(EventStore):
    """Every event of every stream, so that a client may take up one that was closed."""

    def __init__(self) -> None:
        self._events: list[tuple[str, Any]] = []

    async def store_event(self, stream_id: str, message: Any) -> str:
        self._events.append((stream_id, message))
        return str(len(self._events))

    async def replay_events_after(self, last_event_id: str, send_callback: Any) -> str | None:
        seen = int(last_event_id)
        stream = self._events[seen - 1][0]
        for number, (other, message) in enumerate(self._events[seen:], seen + 1):
            if other == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


server = MCPServer("conformance")


def tool(function: Any) -> Any:
    """Register a tool under its function's name; the suite wants descriptions, whatever they say."""
    return server.tool(description=function.__name__)(function)


def prompt(function: Any) -> Any:
    return server.prompt(description=function.__name__)(function)


# -- Content -------------------------------------------------------------------------------------------------


def image() -> ImageContent:
    return ImageContent(type="image", data=IMAGE, mime_type="image/png")


def embedded(uri: str, mime_type: str, text: str) -> EmbeddedResource:
    contents = TextResourceContents(uri=uri, mime_type=mime_type, text=text)
    return EmbeddedResource(type="resource", resource=contents)


@tool
def test_simple_text() -> str:
    return "This is a simple text response for testing."


@tool
def test_image_content() -> list[ImageContent]:
    return [image()]


@tool
def test_audio_content() -> list[AudioContent]:
    return [AudioContent(type="audio", data=AUDIO, mime_type="audio/wav")]


@tool
def test_embedded_resource() -> list[EmbeddedResource]:
    return [embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")]


@tool
def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
    resource = embedded("test://mixed-content-resource", "application/json", '{"test": "data", "value": 123}')
    return [TextContent(type="text", text="Multiple content types test:"), image(), resource]


@tool
def test_error_handling() -> str:
    raise RuntimeError("This tool intentionally returns an error for testing")


SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


@tool
def json_schema_2020_12_tool(name: str = "") -> str:
    return name


server._tool_manager._tools["json_schema_2020_12_tool"].parameters = SCHEMA


# -- Notifications -------------------------------------------------------------------------------------------


@tool
async def test_tool_with_logging(ctx: Context) -> str:
    for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(text)
        await asyncio.sleep(0.02)
    return "Tool with logging executed successfully"


@tool
async def test_logging_tool(ctx: Context) -> str:
    await ctx.info("one line")
    return "logged"


@tool
async def test_tool_with_progress(ctx: Context) -> str:
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100, f"Completed step {done} of 100")
        await asyncio.sleep(0.02)
    return "done"


@tool
async def test_reconnection(ctx: Context) -> str:
    await ctx.close_sse_stream()
    await asyncio.sleep(0.2)
    return "Reconnection test completed"


@tool
async def test_trigger_tool_change(ctx: Context) -> str:
    await ctx.notify_tools_changed()
    return "changed"


@tool
async def test_trigger_prompt_change(ctx: Context) -> str:
    await ctx.notify_prompts_changed()
    return "changed"


# -- Questions to the client, as of 2025 ---------------------------------------------------------------------


@tool
async def test_sampling(prompt: str, ctx: Context) -> str:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
    result = await ctx.session.create_message([message], max_tokens=100, related_request_id=ctx.request_id)
    return f"LLM response: {getattr(result.content, 'text', result.content)}"


class Answer(BaseModel):
    username: str = Field(description="User's response")
    email: str = Field(description="User's email address")


class Defaults(BaseModel):
    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: Annotated[
        str,
        WithJsonSchema({"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"}),
    ] = "active"
    verified: bool = True


def titled(*values: str) -> list[dict[str, str]]:
    return [{"const": value, "title": value.title()} for value in values]


OPTIONS = ["option1", "option2", "option3"]


class Enums(BaseModel):
    untitledSingle: Annotated[str, WithJsonSchema({"type": "string", "enum": OPTIONS})]
    titledSingle: Annotated[str, WithJsonSchema({"type": "string", "oneOf": titled(*OPTIONS)})]
    legacyEnum: Annotated[
        str, WithJsonSchema({"type": "string", "enum": OPTIONS, "enumNames": ["One", "Two", "Three"]})
    ]
    untitledMulti: Annotated[
        list[str], WithJsonSchema({"type": "array", "items": {"type": "string", "enum": OPTIONS}})
    ]
    titledMulti: Annotated[list[str], WithJsonSchema({"type": "array", "items": {"anyOf": titled(*OPTIONS)}})]


async def elicit(ctx: Context, message: str, schema: type[BaseModel]) -> str:
    result = await ctx.elicit(message, schema)
    content = result.data.model_dump_json() if result.action == "accept" else "{}"
    return f"action={result.action}, content={content}"


@tool
async def test_elicitation(message: str, ctx: Context) -> str:
    return f"User response: {await elicit(ctx, message, Answer)}"


@tool
async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
    return f"Elicitation completed: {await elicit(ctx, 'Check the defaults', Defaults)}"


@tool
async def test_elicitation_sep1330_enums(ctx: Context) -> str:
    return f"Elicitation completed: {await elicit(ctx, 'Choose', Enums)}"


# -- Questions to the client, as of 2026 ---------------------------------------------------------------------


def question(message: str, key: str) -> ElicitRequest:
    schema = {"type": "object", "properties": {key: {"type": "string"}}, "required": [key]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def sample(text: str) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=text))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=100))


def asked(ctx: Context, state: str | None = None, **requests: Any) -> InputRequiredResult | None:
    """What to ask, unless all of it has been answered."""
    if ctx.input_responses and set(requests) <= set(ctx.input_responses):
        return None
    return InputRequiredResult(input_requests=requests, request_state=state)


def answers(ctx: Context) -> str:
    responses = ctx.input_responses or {}
    return json.dumps({key: value.model_dump(mode="json") for key, value in responses.items()})


def ask(name: str, state: str | None = None, **requests: Any) -> None:
    """A tool that asks once, and then tells what it was told."""

    @server.tool(name, description=name)
    async def asking(ctx: Context) -> str | InputRequiredResult:
        return asked(ctx, state, **requests) or f"state-ok {answers(ctx)}"


ask("test_input_required_result_elicitation", user_name=question("What is your name?", "name"))
ask("test_input_required_result_sampling", capital_question=sample("What is the capital of France?"))
ask("test_input_required_result_list_roots", client_roots=ListRootsRequest())
ask("test_input_required_result_request_state", "opaque", confirm=question("Please confirm", "ok"))
ask("test_input_required_result_tampered_state", "sealed", confirm=question("Please confirm", "ok"))
ask(
    "test_input_required_result_multiple_inputs",
    "all three",
    user_name=question("What is your name?", "name"),
    greeting=sample("Generate a greeting"),
    client_roots=ListRootsRequest(),
)
ask("test_input_required_result_capabilities", capital_question=sample("What is the capital of France?"))
ask("test_streaming_elicitation", user_name=question("What is your name?", "name"))


@tool
async def test_input_required_result_multi_round(ctx: Context) -> str | InputRequiredResult:
    if ctx.request_state is None:
        return InputRequiredResult(
            input_requests={"step1": question("Step 1: What is your name?", "name")}, request_state="one"
        )
    if ctx.request_state == "one":
        return InputRequiredResult(
            input_requests={"step2": question("Step 2: Which color?", "color")}, request_state="two"
        )
    return "done"


@prompt
async def test_input_required_result_prompt(ctx: Context) -> list[UserMessage] | InputRequiredResult:
    more = asked(ctx, user_context=question("What context should the prompt use?", "context"))
    return more or [UserMessage(answers(ctx))]


# -- Resources, prompts, completions -------------------------------------------------------------------------


@server.resource("test://static-text")
def static_text() -> str:
    return "This is the content of the static text resource."


@server.resource("test://static-binary", mime_type="image/png")
def static_binary() -> bytes:
    return base64.b64decode(IMAGE)


@server.resource("test://template/{id}/data", mime_type="application/json")
def template(id: str) -> str:  # noqa: A002 - named by the suite's URI
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


@server.resource("test://watched-resource")
def watched() -> str:
    return "Watched resource content"


@prompt
def test_simple_prompt() -> str:
    return "This is a simple prompt for testing."


@prompt
def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


@prompt
def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:
    resource = embedded(resourceUri, "text/plain", "Embedded resource content for testing.")
    return [UserMessage(resource), UserMessage("Please process the embedded resource above.")]


@prompt
def test_prompt_with_image() -> list[UserMessage]:
    return [UserMessage(image()), UserMessage("Please analyze the image above.")]


@server.completion()
async def complete(ref: Any, argument: Any, context: Any) -> Completion:
    return Completion(values=["paris", "park"], total=2, has_more=False)


async def acknowledge(ctx: Any, params: Any) -> EmptyResult:
    return EmptyResult()


for method, params in (
    ("logging/setLevel", SetLevelRequestParams),
    ("resources/subscribe", SubscribeRequestParams),
    ("resources/unsubscribe", UnsubscribeRequestParams),
):
    server._lowlevel_server.add_request_handler(method, params, acknowledge)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    if port := parser.parse_args().port:
        server.run("streamable-http", port=port, event_store=Events(), retry_interval=100)
    else:
        server.run("stdio")


if __name__ == "__main__":
    main()
