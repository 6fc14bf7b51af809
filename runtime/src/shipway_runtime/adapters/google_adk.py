"""Agents of Google's Agent Development Kit, with its `Runner` and a session that lives for one turn.

In: any `BaseAgent`: an `LlmAgent`, a workflow of several. Out: text as it streams; tool calls and results;
usage of each response; the run's events, for the next turn. A plugin of the runner sets the model, adds
instructions, and asks whether a tool may run. The kit loads its modules when they are first named, so these
are the one thing that is imported here: from a package that the agent has brought.
"""

from __future__ import annotations

import contextlib
import importlib
from typing import TYPE_CHECKING, Any

from ..dialogue import Dialogue, Memory, Message, Piece, ToolCall, ToolResult, Usage
from .frameworks import Paragraphs, as_text, comes_from, model_settings, recall, refusal
from .kinds import Conversational

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from ..context import Context

KIND = "google-adk"


def recognises(agent: Any) -> bool:
    return comes_from(agent, "google.adk.agents") and hasattr(agent, "run_async")


def adapt(agent: Any) -> Conversational:
    runners = importlib.import_module("google.adk.runners")
    sessions = importlib.import_module("google.adk.sessions")
    events = importlib.import_module("google.adk.events")
    config = importlib.import_module("google.adk.agents.run_config")
    types = importlib.import_module("google.genai.types")
    plugin = _plugin(importlib.import_module("google.adk.plugins.base_plugin"))

    def write(messages: list[Message]) -> list[Any]:
        return [_event(message, agent.name, events, types) for message in messages]

    def read(data: Any) -> list[Any]:
        found = [events.Event.model_validate(event) for event in data]
        if not all(event.author for event in found):  # every field is optional: nearly anything is valid
            raise ValueError("an event without an author")
        return found

    async def converse(dialogue: Dialogue, ctx: Context) -> AsyncGenerator[Piece, None]:
        *before, last = dialogue.new
        asked = types.Content(role="user", parts=[types.Part(text=last["content"])])
        past = [*recall(dialogue, KIND, read, write)[0], *(earlier := write(before))]
        who = {"app_name": "shipway", "user_id": ctx.tenant or "user", "session_id": ctx.conversation}
        service = sessions.InMemorySessionService()
        session = await service.create_session(**who)
        for event in past:
            await service.append_event(session, event)
        runner = runners.Runner(
            app_name="shipway", agent=agent, session_service=service, plugins=[plugin(ctx, dialogue)]
        )
        run = runner.run_async(
            user_id=who["user_id"],
            session_id=ctx.conversation,
            new_message=asked,
            run_config=config.RunConfig(streaming_mode=config.StreamingMode.SSE),
        )
        turn = _Turn()
        async with contextlib.aclosing(run) as stream:
            async for event in stream:
                for piece in turn.translate(event):
                    yield piece
        kept = (await service.get_session(**who)).events[len(past) :]
        yield Memory(KIND, [e.model_dump(mode="json", exclude_none=True) for e in (*earlier, *kept)])

    return Conversational(converse)


class _Turn:
    """What the events of one run become."""

    def __init__(self) -> None:
        self._prose = Paragraphs()
        self._streamed = False  # the text of the response that is coming
        self._author = ""

    def translate(self, event: Any) -> Iterator[Piece]:
        if event.error_code and not event.content:
            raise RuntimeError(f"the model gave no answer: {event.error_code}: {event.error_message}")
        if event.author != self._author:  # another agent goes on
            self._author = event.author
            self._prose.interrupt()
        parts = event.content.parts or [] if event.content else []
        if event.partial or not self._streamed:
            for part in parts:
                if part.text and not part.thought:
                    yield self._prose.say(part.text)
                    self._streamed = bool(event.partial)
        if event.partial:
            return
        self._streamed = False
        if usage := event.usage_metadata:
            yield _usage(usage, event.model_version)
        for call in event.get_function_calls():
            self._prose.interrupt()
            yield ToolCall(call.id or "", call.name, as_text(call.args or {}))
        for answer in event.get_function_responses():
            result = answer.response or {}
            shown = result.get("result", result.get("error", result))
            yield ToolResult(answer.id or "", as_text(shown), "error" in result)


def _usage(usage: Any, model: str | None) -> Usage:
    thought = usage.thoughts_token_count or 0
    return Usage(
        usage.prompt_token_count or 0,
        (usage.candidates_token_count or 0) + thought,
        cached=usage.cached_content_token_count or 0,
        reasoning=thought,
        model=model,
    )


def _plugin(base: Any) -> Any:
    """The class of plugins that stand between the kit and the turn."""

    class Shipway(base.BasePlugin):  # type: ignore[misc]
        def __init__(self, ctx: Context, dialogue: Dialogue) -> None:
            super().__init__(name="shipway")
            self._ctx, self._instructions = ctx, dialogue.instructions

        async def before_model_callback(self, *, callback_context: Any, llm_request: Any) -> None:
            if self._instructions:
                llm_request.append_instructions([self._instructions])
            if self._ctx.model:
                llm_request.model = self._ctx.model.name
            for name, value in model_settings(self._ctx, {"max_tokens": "max_output_tokens"}).items():
                setattr(llm_request.config, name, value)

        async def before_tool_callback(
            self, *, tool: Any, tool_args: dict[str, Any], tool_context: Any
        ) -> dict[str, str] | None:
            return None if self._ctx.allows_tool(tool.name) else {"error": refusal(tool.name)}

    return Shipway


def _event(message: Message, name: str, events: Any, types: Any) -> Any:
    """A plain message as an event. What the system says is said by the user: only instructions are not."""
    assistant = message["role"] == "assistant"
    content = types.Content(
        role="model" if assistant else "user", parts=[types.Part(text=message["content"])]
    )
    return events.Event(author=name if assistant else "user", content=content)
