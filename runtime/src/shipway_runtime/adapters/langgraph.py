"""Compiled graphs of LangGraph, and agents of LangChain's `create_agent`, with `astream`.

In: a graph whose state has `messages`. Out: the text of models as it streams, or what a node says; tool calls
and results; the usage of each response; the messages that were added, for the next turn. A graph with a
checkpointer keeps its state itself, and the turn remembers its checkpoint alone: so a turn that failed leaves
nothing behind, and a client that goes back to an earlier turn continues from there.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..context import Context, current
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
    from collections.abc import AsyncGenerator, Iterator

KIND = "langgraph"
MESSAGES = "langchain_core.messages"
MODES = ["messages", "updates", "values"]
TOOLS = "tools:"
"""How a step inside a tool begins in the path of a message: models that tools ask do not talk to the user."""


def recognises(agent: Any) -> bool:
    if comes_from(agent, "langgraph"):
        return hasattr(agent, "astream") or hasattr(agent, "compile")
    return comes_from(agent, "langchain_core") and hasattr(agent, "astream")


def adapt(graph: Any) -> Conversational:
    _check(graph)
    for node in _tool_nodes(graph):
        _guard(node)

    async def converse(dialogue: Dialogue, ctx: Context) -> AsyncGenerator[Piece, None]:
        start = await _start(graph, dialogue, ctx)
        turn = _Turn(start.known)
        stream = graph.astream(
            start.input, start.config, stream_mode=MODES, subgraphs=True, **_context(graph, ctx)
        )
        async with contextlib.aclosing(stream) as events:
            async for namespace, mode, data in events:
                for piece in turn.translate(namespace, mode, data):
                    yield piece
        for piece in turn.finish():
            yield piece
        yield Memory(KIND, await start.remember(graph, turn.state))

    return Conversational(converse)


def _check(graph: Any) -> None:
    """Refuse what is not a graph that is ready to run on messages."""
    if not hasattr(graph, "astream"):
        raise UnsuitableError(
            "a graph that is not compiled yet; name what its compile() gives: graph = builder.compile()"
        )
    channels = getattr(graph, "channels", None)
    if channels is None or "messages" not in channels:
        there = ", ".join(sorted(name for name in channels or () if name.isidentifier() and name[0] != "_"))
        seen = f" but {there}" if there else ""
        what = f"a graph whose state has no `messages`{seen}" if channels else "a chain of LangChain"
        raise UnsuitableError(
            f"{what}; name a function that says what goes in and what comes out:\n\n"
            "    async def agent(messages, ctx):\n"
            '        result = await graph.ainvoke({"question": messages[-1]["content"]})\n'
            '        return result["answer"]\n'
        )


class _Turn:
    """What the events of one run become. `known` are the ids of messages that were there before."""

    def __init__(self, known: frozenset[str]) -> None:
        self.state: dict[str, Any] = {}
        self._spoken, self._told = (
            set[Any](known),
            set[Any](known),
        )  # ids of messages: as text, and as what they did
        self._speaker: str | None = None
        self._said = False
        self._prose = Paragraphs()

    def translate(self, namespace: tuple[str, ...], mode: str, data: Any) -> Iterator[Piece]:
        if mode == "values" and not namespace:
            self.state = data if isinstance(data, dict) else dict(vars(data))
        elif mode == "messages":
            message, metadata = data
            path = str(metadata.get("langgraph_checkpoint_ns", "")).split("|")
            if not any(step.startswith(TOOLS) for step in path):
                yield from self._speak(message)
        elif mode == "updates":
            for update in data.values():
                for message in _messages(update):
                    yield from self._tell(message)
            if interrupts := data.get("__interrupt__"):
                self._said = True
                self._prose.interrupt()
                yield self._prose.say("\n".join(as_text(interrupt.value) for interrupt in interrupts))

    def finish(self) -> Iterator[Piece]:
        """What was not streamed: structured output, or a message that a node gave without asking a model."""
        if self._said:
            return
        answer, messages = self.state.get("structured_response"), self.state.get("messages") or ()
        if answer is not None:
            yield as_text(answer)
        elif messages and messages[-1].id not in self._spoken:
            yield from self._speak(messages[-1])

    def _speak(self, message: Any) -> Iterator[str]:
        """The text of a message of the model, or of a part of one as it comes."""
        whole = not message.type.endswith("Chunk")
        text = str(message.text if isinstance(message.text, str) else message.text())
        if not text or message.type not in ("ai", "AIMessageChunk") or (whole and message.id in self._spoken):
            return
        if message.id != self._speaker:
            self._prose.interrupt()
        self._spoken.add(message.id)
        self._speaker, self._said = message.id, True
        yield self._prose.say(text)

    def _tell(self, message: Any) -> Iterator[Piece]:
        """What a message of a node's update says was done."""
        if (message.id or id(message)) in self._told:
            return
        self._told.add(message.id or id(message))
        if message.type == "ai":
            if message.usage_metadata:
                yield _usage(message)
            for call in message.tool_calls:
                yield ToolCall(call["id"] or "", call["name"], as_text(call["args"]))
        elif message.type == "tool":
            yield ToolResult(message.tool_call_id, as_text(message.content), message.status == "error")


def _messages(update: Any) -> list[Any]:
    """The messages among what a node gave."""
    values = update.values() if isinstance(update, dict) else (update,)
    listed = [value if isinstance(value, list | tuple) else [value] for value in values]
    return [message for some in listed for message in some if comes_from(message, MESSAGES)]


def _usage(message: Any) -> Usage:
    usage = message.usage_metadata
    return Usage(
        usage["input_tokens"],
        usage["output_tokens"],
        cached=usage.get("input_token_details", {}).get("cache_read", 0),
        reasoning=usage.get("output_token_details", {}).get("reasoning", 0),
        model=message.response_metadata.get("model_name"),
    )


# -- What the graph is run with -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Start:
    """How a turn begins. `known` are the ids of messages of earlier turns, and of instructions."""

    input: Any
    config: dict[str, Any]
    known: frozenset[str] = frozenset()

    async def remember(self, graph: Any, state: dict[str, Any]) -> Any:
        """What the next turn needs: the checkpoint, or the messages that this turn has added."""
        if thread := self.config["configurable"].get("thread_id"):
            latest = await graph.aget_state({"configurable": {"thread_id": thread}})
            return {"thread_id": thread, "checkpoint_id": latest.config["configurable"]["checkpoint_id"]}
        new = [message for message in state.get("messages", ()) if message.id not in self.known]
        return json.loads(as_text(find(MESSAGES, "messages_to_dict")(new)))


async def _start(graph: Any, dialogue: Dialogue, ctx: Context) -> _Start:
    config: dict[str, Any] = {
        "configurable": _configurable(dialogue, ctx),
        "callbacks": [_refuser()],
        "metadata": {"conversation": ctx.conversation},
    }
    if _has_checkpointer(graph):
        return await _continue(graph, dialogue, ctx, config)
    told = _write([{"role": "system", "content": dialogue.instructions}] if dialogue.instructions else [])
    past = told + recall(dialogue, KIND, _read, _write)[0]
    known = frozenset(message.id for message in past)
    return _Start({"messages": [*past, *_write(dialogue.new)]}, config, known)


async def _continue(graph: Any, dialogue: Dialogue, ctx: Context, config: dict[str, Any]) -> _Start:
    """From the checkpoint of the last turn. Where the checkpointer has lost it, afresh, from the texts."""
    if dialogue.instructions:
        tell_once(
            'a graph with a checkpointer finds instructions of one turn in config["configurable"] alone'
        )
    last = dialogue.past[-1].memory if dialogue.past else None
    if last and last.kind == KIND and isinstance(last.data, dict):
        config["configurable"] |= last.data
        state = await graph.aget_state({"configurable": dict(last.data)})
        if state.values:
            known = frozenset(message.id for message in _messages(state.values))
            new: Any = {"messages": _write(dialogue.new)}
            if getattr(state, "interrupts", ()):
                new = find("langgraph.types", "Command")(resume=dialogue.new[-1]["content"])
            return _Start(new, config, known)
        del config["configurable"]["checkpoint_id"]
    config["configurable"]["thread_id"] = f"{ctx.tenant or ''}:{ctx.conversation}:{ctx.turn}"
    past = recall(dialogue, KIND, _read, _write)[0]
    return _Start({"messages": [*past, *_write(dialogue.new)]}, config, frozenset(m.id for m in past))


def _has_checkpointer(graph: Any) -> bool:
    return getattr(graph, "checkpointer", None) not in (None, True, False)


def _configurable(dialogue: Dialogue, ctx: Context) -> dict[str, Any]:
    """What nodes and configurable models find in `config["configurable"]`."""
    values = {"ctx": ctx, "instructions": dialogue.instructions, "model": ctx.model and ctx.model.name}
    values |= model_settings(ctx, {"max_tokens": "max_tokens", "timeout": "timeout"})
    return {name: value for name, value in values.items() if value is not None}


def _context(graph: Any, ctx: Context) -> dict[str, Any]:
    """The graph's own context, `runtime.context`, where ours fits."""
    if not hasattr(graph, "context_schema"):  # before LangGraph 0.6
        return {}
    wanted = graph.context_schema
    if wanted is None or getattr(wanted, "_is_protocol", False) or issubclass(Context, wanted):
        return {"context": ctx}
    tell_once(
        "the graph wants a context of the type %s, which nobody here can make: runtime.context is None. "
        "Use context_schema=Context (from shipway_runtime.context import Context)",
        wanted.__qualname__,
    )
    return {}


# -- Tools that are switched off ----------------------------------------------------------------------------


def _tool_nodes(graph: Any) -> Iterator[Any]:
    """Every ToolNode of the graph and of the graphs inside it."""
    graphs = [graph, *(inner for _, inner in graph.get_subgraphs(recurse=True))]
    bound = (getattr(node, "bound", None) for one in graphs for node in one.nodes.values())
    return (node for node in bound if hasattr(node, "tools_by_name") and hasattr(node, "_awrap_tool_call"))


def _guard(node: Any) -> None:
    """Have a ToolNode ask before it runs a tool, around what else it was told to do."""
    inner, inner_sync = node._awrap_tool_call, node._wrap_tool_call

    async def guard(request: Any, execute: Any) -> Any:
        return _refused(request) or await (inner or _run)(request, execute)

    if inner_sync and not inner:
        node._wrap_tool_call = lambda request, execute: _refused(request) or inner_sync(request, execute)
    else:
        node._awrap_tool_call = guard


async def _run(request: Any, execute: Any) -> Any:
    return await execute(request)


def _refused(request: Any) -> Any:
    """A result for the model in place of the tool's, if the operator does not let it run."""
    call = request.tool_call
    if current().allows_tool(call["name"]):
        return None
    return find(MESSAGES, "ToolMessage")(
        refusal(call["name"]), name=call["name"], tool_call_id=call["id"], status="error"
    )


def _refuser() -> Any:
    """A callback that fails tools which are switched off and which no ToolNode runs."""
    handler: Any = find("langchain_core.callbacks", "BaseCallbackHandler")

    class Refuser(handler):  # type: ignore[misc]
        raise_error = run_inline = True

        def on_tool_start(self, serialized: dict[str, Any], input_str: str, **_: Any) -> None:
            if not current().allows_tool(name := serialized.get("name", "")):
                raise RuntimeError(refusal(name))

    return Refuser()


# -- Messages -----------------------------------------------------------------------------------------------


def _write(messages: list[Message]) -> list[Any]:
    """Plain messages as LangChain's, each with an id of its own."""
    made: list[Any] = find(MESSAGES, "convert_to_messages")([dict(message) for message in messages])
    for message in made:
        message.id = uuid.uuid4().hex
    return made


def _read(data: Any) -> list[Any]:
    messages: list[Any] = find(MESSAGES, "messages_from_dict")(data)
    return messages
