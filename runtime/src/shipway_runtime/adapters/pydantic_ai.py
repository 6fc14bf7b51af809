"""Agents of pydantic-ai, with `run_stream_events`.

In: an `Agent`, a subclass, or a wrapper of one. Out: text as it streams where the output is text, else the
output as JSON; tool calls and results; the usage of each request; the run's messages, for the next turn.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..context import Context
from ..dialogue import Dialogue, Memory, Message, Piece, ToolCall, ToolResult, Usage
from .frameworks import (
    Paragraphs,
    UnsuitableError,
    as_text,
    comes_from,
    find,
    model_settings,
    recall,
    refusal,
    tell_once,
)
from .kinds import Conversational

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping

KIND = "pydantic-ai"
MESSAGES = "pydantic_ai.messages"
CAPABILITIES = "pydantic_ai.capabilities"
PREFIXES = {"anthropic": "anthropic", "openai": "openai", "gemini": "google"}
"""Our names of providers -> what pydantic-ai writes before a model's name."""


def recognises(agent: Any) -> bool:
    return comes_from(agent, "pydantic_ai") and hasattr(agent, "run_stream_events")


def adapt(agent: Any) -> Conversational:
    _check_deps(agent.deps_type)

    async def converse(dialogue: Dialogue, ctx: Context) -> AsyncGenerator[Piece, None]:
        asked, prompt = _asked(dialogue)
        history, remembered = recall(dialogue, KIND, _read, _write)
        if (history or asked) and not remembered:
            (history or asked)[:0] = await _system(agent, ctx, prompt)
        name_servers(agent, ctx.mcp)
        run = _Run(agent, ctx)
        async with agent.run_stream_events(
            prompt, message_history=[*history, *asked], deps=ctx, **run.options(dialogue.instructions)
        ) as events:
            async for event in events:
                for piece in run.translate(event, events):
                    yield piece
        yield Memory(KIND, _dump([*asked, *run.result.new_messages()]))

    return Conversational(converse)


def _check_deps(wanted: Any) -> None:
    """Tools get our context as their `deps`: refuse an agent that needs something else."""
    open_ended = wanted in (type(None), Any) or getattr(wanted, "_is_protocol", False)
    if open_ended or (isinstance(wanted, type) and issubclass(Context, wanted)):
        return
    name = getattr(wanted, "__qualname__", str(wanted))
    raise UnsuitableError(
        f"an agent whose tools need deps_type={name}, which nobody here can make. Use "
        "deps_type=Context (from shipway_runtime.context import Context) and make it from `ctx.deps`, or "
        "name a function that runs the agent:\n\n"
        "    async def agent(messages, ctx):\n"
        f'        result = await helper.run(messages[-1]["content"], deps={name}(...))\n'
        "        return result.output\n"
    )


class _Run:
    """One turn: what the agent is run with, and what its events become."""

    def __init__(self, agent: Any, ctx: Context) -> None:
        self._agent, self._ctx = agent, ctx
        self._servers: dict[str, str] = {}  # tool -> MCP server
        self._prose = Paragraphs()
        self._responses = 0  # how many were counted
        self.result: Any = None
        # An output that is not text, or may be refused by a validator, is known at the end alone.
        self._streams = agent.output_type is str and not getattr(agent, "_output_validators", ())

    # -- What the agent is run with ----------------------------------------------------------------------

    def options(self, instructions: str | None) -> dict[str, Any]:
        options: dict[str, Any] = {"infer_name": False}
        if instructions:
            options["instructions"] = instructions
        if settings := model_settings(self._ctx, {"max_tokens": "max_tokens", "timeout": "timeout"}):
            options["model_settings"] = settings
        if model := _model(self._agent, self._ctx):
            options["model"] = model
        if hooks := find(CAPABILITIES, "Hooks"):
            options["capabilities"] = [
                hooks(prepare_tools=self._note_servers, before_tool_execute=self._permit)
            ]
        else:
            tell_once("this version of pydantic-ai has no hooks: single tools cannot be switched off")
        return options

    async def _note_servers(self, _run: Any, tools: list[Any]) -> list[Any]:
        origins = ((tool.name, getattr(tool, "toolset_id", "")) for tool in tools)  # since 2.0
        self._servers = {name: origin for name, origin in origins if origin in self._ctx.mcp}
        return tools

    async def _permit(self, _run: Any, *, call: Any, args: Any, **_: Any) -> Any:
        if not self._ctx.allows_tool(call.tool_name):
            kinds = (find("pydantic_ai.exceptions", name) for name in ("ToolFailed", "ModelRetry"))
            raise next(filter(None, kinds))(refusal(call.tool_name))  # the first is there since 2.0
        return args

    # -- What its events become --------------------------------------------------------------------------

    def translate(self, event: Any, events: Any) -> Iterator[Piece]:
        match event.event_kind:
            case "part_start" if event.part.part_kind == "text":
                yield from self._said(event.part.content)
            case "part_delta" if event.delta.part_delta_kind == "text":
                yield from self._said(event.delta.content_delta)
            case "function_tool_call":
                yield from self._used(events)
                self._prose.interrupt()
                call = event.part
                yield ToolCall(
                    call.tool_call_id,
                    call.tool_name,
                    call.args_as_json_str(),
                    self._servers.get(call.tool_name),
                )
            case "function_tool_result":
                part = getattr(event, "part", None) or event.result  # before 2.0
                failed = part.part_kind != "tool-return" or part.outcome != "success"
                shown = getattr(part, "model_response_str", None) or part.model_response  # of a retry
                yield ToolResult(part.tool_call_id, shown(), failed)
            case "agent_run_result":
                self.result = event.result
                yield from self._used(event.result)
                if not self._streams:
                    yield as_text(event.result.output)

    def _said(self, text: str) -> Iterator[str]:
        if self._streams and text:
            yield self._prose.say(text)

    def _used(self, run: Any) -> Iterator[Usage]:
        """The usage of each response that has not been counted yet; before 2.0 only a result has them."""
        messages = run.new_messages() if hasattr(run, "new_messages") else ()
        responses = [message for message in messages if message.kind == "response"]
        for response in responses[self._responses :]:
            usage = response.usage
            yield Usage(
                usage.input_tokens,
                usage.output_tokens,
                cached=usage.cache_read_tokens,
                reasoning=usage.details.get("reasoning_tokens", 0),
                model=response.model_name,
            )
        self._responses = len(responses)


# -- Messages -----------------------------------------------------------------------------------------------


def _asked(dialogue: Dialogue) -> tuple[list[Any], str | None]:
    """What this turn adds: messages, and the user's own as the prompt, if it is the last."""
    *before, last = dialogue.new
    if last["role"] == "user":
        return _write(before), last["content"]
    return _write(dialogue.new), None


def _write(messages: list[Message]) -> list[Any]:
    """Plain messages as pydantic-ai's."""
    made = []
    for message in messages:
        if message["role"] == "assistant":
            parts = [find(MESSAGES, "TextPart")(message["content"])]
            made.append(find(MESSAGES, "ModelResponse")(parts=parts))
        else:
            part = "SystemPromptPart" if message["role"] == "system" else "UserPromptPart"
            made.append(find(MESSAGES, "ModelRequest")(parts=[find(MESSAGES, part)(message["content"])]))
    return made


def _read(data: Any) -> list[Any]:
    messages: list[Any] = find(MESSAGES, "ModelMessagesTypeAdapter").validate_python(data)
    return messages


def _dump(messages: list[Any]) -> Any:
    """Messages as JSON, without instructions: each turn has its own."""
    dumped = json.loads(find(MESSAGES, "ModelMessagesTypeAdapter").dump_json(messages))
    return [{key: value for key, value in message.items() if key != "instructions"} for message in dumped]


async def _system(agent: Any, ctx: Context, prompt: str | None) -> list[Any]:
    """The agent's system prompt: with a history it adds none by itself."""
    parts = await agent.system_prompt_parts(deps=ctx, prompt=prompt)
    return [find(MESSAGES, "ModelRequest")(parts=parts)] if parts else []


# -- Model and MCP servers ----------------------------------------------------------------------------------


def _model(agent: Any, ctx: Context) -> Any:
    """What to run instead of the agent's own model; None where that is the one agent.toml names."""
    if ctx.model is None:
        return None
    own = agent.model
    while hasattr(own, "wrapped"):  # instrumented, limited in concurrency
        own = own.wrapped
    if own is None:
        return f"{PREFIXES.get(ctx.model.provider, 'openai')}:{ctx.model.name}"
    prefix, colon, name = own.rpartition(":") if isinstance(own, str) else ("", "", own.model_name)
    if name == ctx.model.name:
        return None
    return f"{prefix}{colon}{ctx.model.name}" if isinstance(own, str) else _renamed(own, ctx.model.name)


def _renamed(own: Any, name: str) -> Any:
    """The same kind of model with the same connection, under another name."""
    try:
        return type(own)(name, provider=own.provider, settings=own.settings)
    except (TypeError, AttributeError):
        tell_once(
            "agent.toml names the model %s, but a %s cannot be switched to another: the agent keeps its own",
            *(name, type(own).__qualname__),
        )
        return None


def name_servers(agent: Any, mcp: Mapping[str, str]) -> None:
    """Give the toolsets of our MCP servers the servers' names as ids, where the agent gave none."""
    names = {url: name for name, url in mcp.items()}

    def visit(toolset: Any) -> None:
        url = getattr(getattr(getattr(toolset, "client", None), "transport", None), "url", None)
        if (name := names.get(str(url))) and toolset.id in (None, urlsplit(str(url)).hostname):
            toolset.id = name

    for toolset in agent.toolsets if names else ():
        toolset.apply(visit)
