"""Agents of the OpenAI Agents SDK, with `Runner.run_streamed`.

In: an `Agent`, with whatever it hands off to. Out: text as it streams where the output is text, else the
output as JSON; tool calls and results; the usage of each response; the run's items, for the next turn. MCP
servers that nobody has connected are connected once, for as long as the process lives.
"""

from __future__ import annotations

import asyncio
import copy
import json
import re
from typing import TYPE_CHECKING, Any

from ..dialogue import Dialogue, Memory, Message, Piece, ToolCall, ToolResult, Usage
from .frameworks import Paragraphs, as_text, find, model_settings, recall, refusal, tell_once
from .kinds import Conversational

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from ..context import Context

KIND = "openai-agents"
FAILED = "An error occurred while running the tool"
"""How the SDK's own message to the model begins when a tool raised: there is no other mark of it."""
ITEM = re.compile(r"message|compaction|item_reference|mcp_\w+|\w+_call(_output)?")
"""Types of items that a memory may hold."""


def recognises(agent: Any) -> bool:
    kind = find("agents", "Agent")
    return find("agents", "Runner") is not None and isinstance(kind, type) and isinstance(agent, kind)


def adapt(agent: Any) -> Conversational:
    servers = _Servers()

    async def converse(dialogue: Dialogue, ctx: Context) -> AsyncGenerator[Piece, None]:
        agents = _reachable(agent)
        _guard(agents)
        await servers.connect(agents)
        history, _ = recall(dialogue, KIND, _read, _write)
        told = _write([{"role": "system", "content": dialogue.instructions}] if dialogue.instructions else [])
        asked = _write(dialogue.new)
        result = find("agents", "Runner").run_streamed(
            agent, [*history, *told, *asked], context=ctx, run_config=_config(agent, ctx)
        )
        turn = _Turn(agent, _server_names(agents, ctx))
        try:
            async for event in result.stream_events():
                for piece in turn.translate(event):
                    yield piece
            for piece in turn.finish(result):
                yield piece
            yield Memory(KIND, _keep([*asked, *(item.to_input_item() for item in result.new_items)]))
        finally:
            result.cancel()  # stops the model's request when nobody waits any more; else does nothing

    return Conversational(converse)


class _Turn:
    """What the events of one run become."""

    def __init__(self, agent: Any, servers: dict[str, str]) -> None:
        self._servers = servers
        self._prose = Paragraphs()
        self._streams = agent.output_type in (None, str)

    def translate(self, event: Any) -> Iterator[Piece]:
        if event.type == "raw_response_event":
            yield from self._raw(event.data)
        elif event.type == "run_item_stream_event":
            yield from self._item(event.name, event.item)

    def finish(self, result: Any) -> Iterator[Piece]:
        if getattr(result, "interruptions", None):
            names = ", ".join(item.name or "a tool" for item in result.interruptions)
            raise RuntimeError(
                f"the run waits for somebody to approve {names}; there is no way to do that here"
            )
        if not self._streams:
            yield as_text(result.final_output)

    def _raw(self, data: Any) -> Iterator[Piece]:
        if data.type in ("response.output_text.delta", "response.refusal.delta"):
            if self._streams and data.delta:
                yield self._prose.say(data.delta)
        elif data.type in ("response.completed", "response.incomplete") and (usage := data.response.usage):
            yield Usage(
                usage.input_tokens,
                usage.output_tokens,
                cached=_detail(usage.input_tokens_details, "cached_tokens"),
                reasoning=_detail(usage.output_tokens_details, "reasoning_tokens"),
                model=data.response.model,
            )

    def _item(self, name: str, item: Any) -> Iterator[Piece]:
        if name == "handoff_occured":  # the SDK's spelling
            self._prose.interrupt()
        elif name == "tool_called":
            self._prose.interrupt()
            call = item.raw_item
            tool = _of(call, "name") or _of(call, "type") or "tool"
            origin = getattr(getattr(item, "tool_origin", None), "mcp_server_name", None)
            yield ToolCall(
                _call_id(call), tool, as_text(_of(call, "arguments") or {}), self._servers.get(origin or "")
            )
        elif name == "tool_output":
            output = _shown(item.output)
            refused = output.endswith(refusal(""))
            yield ToolResult(_call_id(item.raw_item), output, refused or output.startswith(FAILED))


def _shown(output: Any) -> str:
    """A tool's output; that of an MCP server is a part, or a list of parts."""
    parts = output if isinstance(output, list) else [output]
    return "\n".join(
        str(_of(part, "text")) if _of(part, "type") == "text" else as_text(part) for part in parts
    )


def _of(item: Any, name: str) -> Any:
    return item.get(name) if isinstance(item, dict) else getattr(item, name, None)


def _call_id(item: Any) -> str:
    return str(_of(item, "call_id") or _of(item, "id") or "")


def _detail(details: Any, name: str) -> int:
    return getattr(details, name, 0) or 0


# -- What the agent is run with -----------------------------------------------------------------------------


def _reachable(agent: Any) -> list[Any]:
    """The agent, and those it may hand off to or use as tools."""
    found: list[Any] = []
    waiting = [agent]
    while waiting:
        one = waiting.pop()
        if one is None or any(one is known for known in found):
            continue
        found.append(one)
        for handoff in one.handoffs:
            reference = getattr(handoff, "_agent_ref", None)
            waiting.append(handoff if recognises(handoff) else reference() if reference else None)
        waiting += [getattr(tool, "_agent_instance", None) for tool in one.tools]
    return found


def _config(agent: Any, ctx: Context) -> Any:
    options: dict[str, Any] = {"group_id": ctx.conversation}
    settings = model_settings(ctx, {"max_tokens": "max_tokens"})
    if timeout := model_settings(ctx, {"timeout": "timeout"}):
        settings["extra_args"] = timeout
    if settings:
        options["model_settings"] = find("agents", "ModelSettings")(**settings)
    if ctx.model and (model := _model(agent.model, ctx.model.name)):
        options["model"] = model
    return find("agents", "RunConfig")(**options)


def _model(own: Any, name: str) -> Any:
    """What to run instead of the agent's own model; None where that is the one agent.toml names."""
    if own is None or isinstance(own, str):
        prefix, slash, last = (own or "").rpartition("/")
        return None if name in (own, last) else f"{prefix}{slash}{name}"
    if own.model == name:
        return None
    other = copy.copy(own)  # the same client
    other.model = name
    return other


def _guard(agents: list[Any]) -> None:
    """Have every tool ask whether it may run: the agents' own, and those of their MCP servers."""
    if find("agents", "ToolInputGuardrail") is None:
        tell_once(
            "this version of openai-agents has no guardrails of tools: single tools cannot be switched off"
        )
        return
    for agent in agents:
        for tool in (*agent.tools, *agent.mcp_servers):
            guards = getattr(tool, "tool_input_guardrails", None) or []
            if hasattr(tool, "tool_input_guardrails") and not any(g.name == "shipway" for g in guards):
                guardrail = find("agents", "ToolInputGuardrail")(_permit, name="shipway")
                tool.tool_input_guardrails = [guardrail, *guards]


def _permit(data: Any) -> Any:
    """A guardrail: the turn's context says whether the operator lets the tool run."""
    output = find("agents", "ToolGuardrailFunctionOutput")
    if data.context.context.allows_tool(data.context.tool_name):
        return output.allow()
    return output.reject_content(refusal(data.context.tool_name))


# -- MCP servers --------------------------------------------------------------------------------------------


class _Servers:
    """Connects MCP servers that nobody has connected. Each is held by a task of its own, because a connection
    must be closed where it was opened; the tasks end with the loop."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[asyncio.Future[None], asyncio.Task[None]]] = {}

    async def connect(self, agents: list[Any]) -> None:
        servers = [server for agent in agents for server in agent.mcp_servers]
        await asyncio.gather(
            *(self._hold(server) for server in servers if getattr(server, "session", 0) is None)
        )

    async def _hold(self, server: Any) -> None:
        opened, _ = self._held.get(id(server), (None, None))
        if opened is None or (opened.done() and opened.exception()):
            opened = asyncio.get_running_loop().create_future()
            self._held[id(server)] = opened, asyncio.create_task(_connected(server, opened))
        await asyncio.shield(opened)


async def _connected(server: Any, opened: asyncio.Future[None]) -> None:
    try:
        async with server:
            opened.set_result(None)
            await asyncio.Event().wait()
    except Exception as error:
        if opened.done():
            raise
        opened.set_exception(error)


def _server_names(agents: list[Any], ctx: Context) -> dict[str, str]:
    """What the SDK calls a server -> what agent.toml calls it."""
    names = {url: name for name, url in ctx.mcp.items()}
    found = {}
    for server in (server for agent in agents for server in agent.mcp_servers):
        url = str(getattr(server, "params", {}).get("url"))
        if name := names.get(url) or (server.name if server.name in ctx.mcp else None):
            found[server.name] = name
    return found


# -- Items --------------------------------------------------------------------------------------------------


def _write(messages: list[Message]) -> list[Any]:
    return [dict(message) for message in messages]


def _keep(items: list[Any]) -> Any:
    """Items as JSON, as another process, another model or a later day can send them again: without reasoning,
    and without the ids by which the provider knows an item for a while."""
    kept = [item for item in json.loads(as_text(items)) if item.get("type") != "reasoning"]
    for item in kept:
        if item.get("type") in ("message", "function_call"):
            item.pop("id", None)
    return kept


def _read(data: Any) -> list[Any]:
    for item in data:
        kind = item.get("type", "message")
        if not ITEM.fullmatch(kind) or (kind == "message" and not isinstance(item.get("role"), str)):
            raise ValueError(f"an item of type {kind}")
    return list(data)
