from __future__ import annotations

from shipway_runtime.api.items import Items
from shipway_runtime.dialogue import ToolCall, ToolResult


def run(*pieces):
    items = Items("resp_c_1", "support")
    events = [event for piece in pieces for event in items.take(piece)] + items.end()
    return items, [kind.removeprefix("response.") for kind, _ in events], events


MESSAGE = ["output_item.added", "content_part.added"]
TOLD = ["output_text.done", "content_part.done", "output_item.done"]
CALL = ["output_item.added", "mcp_call.in_progress", "mcp_call_arguments.delta", "mcp_call_arguments.done"]


def test_text_is_one_message():
    items, kinds, _ = run("a", "", "b")
    assert kinds == [*MESSAGE, "output_text.delta", "output_text.delta", *TOLD]
    (item,) = items.output
    assert (item["id"], item["status"], item["content"][0]["text"]) == ("msg_c_1_0", "completed", "ab")


def test_text_before_a_call_is_a_message_of_its_own():
    items, kinds, _ = run("a", ToolCall("1", "now", "{}", "time"), ToolResult("1", "noon"), "b")
    assert kinds == [
        *MESSAGE,
        "output_text.delta",
        *TOLD,
        *CALL,
        "mcp_call.completed",
        "output_item.done",
        *MESSAGE,
        "output_text.delta",
        *TOLD,
    ]
    assert [(item["id"], item["type"]) for item in items.output] == [
        ("msg_c_1_0", "message"),
        ("mcp_c_1_1", "mcp_call"),
        ("msg_c_1_2", "message"),
    ]
    call = items.output[1]
    assert (call["server_label"], call["name"], call["arguments"]) == ("time", "now", "{}")
    assert (call["status"], call["output"], call["error"]) == ("completed", "noon", None)


def test_calls_side_by_side_end_in_any_order():
    items, kinds, events = run(
        ToolCall("1", "a", "{}"),
        ToolCall("2", "b", "{}"),
        ToolResult("2", "no", error=True),
        ToolResult("1", ""),
    )
    assert kinds == [
        *CALL,
        *CALL,
        "mcp_call.failed",
        "output_item.done",
        "mcp_call.completed",
        "output_item.done",
    ]
    assert [data["output_index"] for kind, data in events if kind.endswith("item.done")] == [1, 0]
    assert [item["server_label"] for item in items.output] == ["support", "support"]
    failed = items.output[1]
    assert failed["status"] == "failed"
    assert failed["output"] is None
    assert failed["error"]["content"] == [{"type": "text", "text": "no"}]


def test_an_added_item_is_as_it_was_then():
    _, _, events = run("a", ToolCall("1", "now", '{"a":1}'), ToolResult("1", "noon"))
    added = [data["item"] for kind, data in events if kind == "response.output_item.added"]
    assert [(item["status"], item.get("content"), item.get("arguments")) for item in added] == [
        ("in_progress", [], None),
        ("in_progress", None, ""),
    ]


def test_a_call_without_a_result_ends_with_its_turn():
    items, kinds, _ = run(ToolCall("1", "a", "{}"))
    assert kinds == [*CALL, "mcp_call.completed", "output_item.done"]
    assert items.output[0]["status"] == "completed"


def test_a_result_without_a_call_is_left_out():
    assert run("a", ToolResult("9", "x"))[1] == run("a")[1]


def test_a_turn_without_anything_is_an_empty_message():
    items, kinds, _ = run()
    assert kinds == [*MESSAGE, *TOLD]
    assert items.output[0]["content"][0]["text"] == ""


def test_what_is_open_when_a_turn_breaks_off_is_incomplete():
    items = Items("resp_c_1", "support")
    for piece in (ToolCall("1", "a", "{}"), "half"):
        items.take(piece)
    items.break_off()
    assert [item["status"] for item in items.output] == ["incomplete", "incomplete"]
    assert items.output[1]["content"][0]["text"] == "half"
