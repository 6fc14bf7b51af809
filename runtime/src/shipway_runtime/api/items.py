"""What a turn gives, as OpenAI's output items, and the events that tell of them.

In: the pieces of a turn, one after another. Out: items in the order in which things happened, and for each
piece the events that follow from it. Pure: no I/O, no numbering.

Text is a message. A tool that the agent ran is an `mcp_call`, the one item of OpenAI's that says "the server
ran this": no client tries to run it itself. Text before a call is a message of its own.
Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from typing import Any, Literal

from ..dialogue import ToolCall, ToolResult

Event = tuple[str, dict[str, Any]]
"""An event's type, and what it holds beside type and number."""

Item = dict[str, Any]


class Items:
    """The output items of the response `response_id`. `label` stands for the server of own tools."""

    def __init__(self, response_id: str, label: str) -> None:
        self.output: list[Item] = []
        self._id, self._label = response_id.removeprefix("resp_"), label
        self._texts: list[str] = []
        self._message: int | None = None  # where the open message is
        self._where: dict[str, Any] = {}  # the same, as events say it
        self._calls: dict[str, int] = {}  # where the open calls are

    def take(self, piece: str | ToolCall | ToolResult) -> list[Event]:
        """The events of one more piece."""
        if isinstance(piece, str):
            return self._text(piece) if piece else []
        if isinstance(piece, ToolCall):
            return self._end_message("completed") + self._call(piece)
        return self._result(piece)

    def end(self) -> list[Event]:
        """The events of a turn that is complete. One without anything is an empty message."""
        opened = [] if self.output else self._begin_message()
        calls = [self._end_call(index, "completed") for index in self._calls.values()]
        self._calls = {}
        return opened + self._end_message("completed") + [event for events in calls for event in events]

    def break_off(self) -> None:
        """Close the items of a turn that will not be complete; its last event tells of them."""
        self._end_message("incomplete")
        for index in self._calls.values():
            self.output[index]["status"] = "incomplete"

    def _add(self, kind: Literal["msg", "mcp"], item: Item) -> tuple[int, Item]:
        index = len(self.output)
        item = {"id": f"{kind}_{self._id}_{index}"} | item
        self.output.append(item)
        return index, item

    # -- Messages

    def _text(self, text: str) -> list[Event]:
        events = self._begin_message() if self._message is None else []
        self._texts.append(text)
        events.append(("response.output_text.delta", {**self._where, "delta": text, "logprobs": []}))
        return events

    def _begin_message(self) -> list[Event]:
        self._message, item = self._add("msg", message("in_progress"))
        self._texts = []
        self._where = {"item_id": item["id"], "output_index": self._message, "content_index": 0}
        return [
            ("response.output_item.added", {"output_index": self._message, "item": dict(item)}),
            ("response.content_part.added", self._where | {"part": part("")}),
        ]

    def _end_message(self, status: Literal["completed", "incomplete"]) -> list[Event]:
        if self._message is None:
            return []
        index, text, at = self._message, "".join(self._texts), self._where
        self._message = None
        item = self.output[index]
        item |= {"status": status, "content": [part(text)]}
        return [
            ("response.output_text.done", at | {"text": text, "logprobs": []}),
            ("response.content_part.done", at | {"part": part(text)}),
            ("response.output_item.done", {"output_index": index, "item": item}),
        ]

    # -- Calls of tools

    def _call(self, call: ToolCall) -> list[Event]:
        index, item = self._add("mcp", mcp_call(call, call.server or self._label))
        self._calls[call.id] = index
        at = {"item_id": item["id"], "output_index": index}
        added = item | {"arguments": ""}
        return [
            ("response.output_item.added", {"output_index": index, "item": added}),
            ("response.mcp_call.in_progress", at),
            ("response.mcp_call_arguments.delta", at | {"delta": call.arguments}),
            ("response.mcp_call_arguments.done", at | {"arguments": call.arguments}),
        ]

    def _result(self, result: ToolResult) -> list[Event]:
        index = self._calls.pop(result.id, None)
        if index is None:
            return []  # of a call that was never told
        if result.error:
            content = [{"type": "text", "text": result.output}]
            self.output[index]["error"] = {"type": "mcp_tool_execution_error", "content": content}
        else:
            self.output[index]["output"] = result.output
        return self._end_call(index, "failed" if result.error else "completed")

    def _end_call(self, index: int, status: Literal["completed", "failed"]) -> list[Event]:
        item = self.output[index]
        item["status"] = status
        return [
            (f"response.mcp_call.{status}", {"item_id": item["id"], "output_index": index}),
            ("response.output_item.done", {"output_index": index, "item": item}),
        ]


def message(status: Literal["in_progress", "completed"], *texts: str) -> Item:
    """A message of the agent's, without its id."""
    content = [part(text) for text in texts]
    return {"type": "message", "status": status, "role": "assistant", "content": content}


def part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def mcp_call(call: ToolCall, label: str) -> Item:
    """A call that runs, without its id."""
    return {
        "type": "mcp_call",
        "status": "in_progress",
        "server_label": label,
        "name": call.name,
        "arguments": call.arguments,
        "output": None,
        "error": None,
        "approval_request_id": None,
    }
