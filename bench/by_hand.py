"""What somebody writes who needs the same endpoint: Responses, conversations in SQLite, a line for each turn.

A peer of the runtime's benchmark, served by uvicorn. No checks, limits, tenants, policy, metrics, drain.
"""

from __future__ import annotations

import asyncio
import json
import logging
import pathlib
import sqlite3
import sys
import time
import uuid

from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

db = sqlite3.connect(pathlib.Path(__file__).with_name("conversations.db"), isolation_level=None)
db.execute("PRAGMA journal_mode = WAL")
db.execute("PRAGMA synchronous = NORMAL")
db.execute(
    "CREATE TABLE turn (conversation TEXT, turn INTEGER, messages TEXT, PRIMARY KEY (conversation, turn))"
)
log = logging.getLogger("turns")
logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")


async def agent(messages):
    yield "pong"
    if messages[-1]["content"] == "hold":
        await asyncio.sleep(3600)


def begin(body):
    new = [{"role": "user", "content": body["input"]}] if isinstance(body["input"], str) else body["input"]
    previous = body.get("previous_response_id")
    _, conversation, number = previous.split("_") if previous else ("", uuid.uuid4().hex, "0")
    rows = db.execute(
        "SELECT messages FROM turn WHERE conversation = ? AND turn <= ? ORDER BY turn",
        (conversation, int(number)),
    )
    return conversation, int(number) + 1, new, [message for (text,) in rows for message in json.loads(text)]


def end(conversation, number, new, text, began):
    messages = [*new, {"role": "assistant", "content": text}]
    db.execute("INSERT INTO turn VALUES (?, ?, ?)", (conversation, number, json.dumps(messages)))
    log.info(
        json.dumps(
            {
                "conversation": conversation,
                "turn": number,
                "status": "ok",
                "latency_s": time.perf_counter() - began,
                "tokens": {"input": 0, "output": 0},
            }
        )
    )


def document(conversation, number, text, status):
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {
        "id": f"msg_{conversation}_{number}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [part],
    }
    return {
        "id": f"resp_{conversation}_{number}",
        "object": "response",
        "created_at": int(time.time()),
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": "pong",
        "output": [item],
        "parallel_tool_calls": False,
        "temperature": None,
        "tool_choice": "none",
        "tools": [],
        "top_p": None,
        "metadata": {},
        "instructions": None,
        "previous_response_id": None,
        "usage": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0},
    }


async def answer(request):
    body, began = await request.json(), time.perf_counter()
    conversation, number, new, history = begin(body)
    if body.get("stream"):
        events = pieces(conversation, number, new, history, began)
        return StreamingResponse(events, media_type="text/event-stream")
    text = "".join([piece async for piece in agent([*history, *new])])
    end(conversation, number, new, text, began)
    return JSONResponse(document(conversation, number, text, "completed"))


def event(kind, number, **data):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, 'sequence_number': number, **data})}\n\n"


async def pieces(conversation, number, new, history, began):
    yield event("response.created", 0, response=document(conversation, number, "", "in_progress"))
    yield event("response.output_item.added", 1, output_index=0, item={"type": "message", "content": []})
    yield event("response.content_part.added", 2, output_index=0, content_index=0)
    text = ""
    async for piece in agent([*history, *new]):
        text += piece
        yield event("response.output_text.delta", 3, output_index=0, content_index=0, delta=piece)
    end(conversation, number, new, text, began)
    yield event("response.completed", 4, response=document(conversation, number, text, "completed"))


async def health(request):
    return JSONResponse({"status": "ok"})


app = Starlette(routes=[Route("/v1/responses", answer, methods=["POST"]), Route("/healthz", health)])
