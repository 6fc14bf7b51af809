"""Streams of the four model APIs, event by event, and a server that ends them where it is told to.

`server.end` says how many events of a stream are sent before its body ends, as if that were all (None: all of
them). Which API it is follows from the path of the request.
"""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WORDS = ("Paris", " is", " the", " capital.")
TEXT = "".join(WORDS)


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _named(events: list[dict[str, Any]]) -> list[bytes]:
    return [f"event: {event['type']}\ndata: {_json(event)}\n\n".encode() for event in events]


def anthropic(words: tuple[str, ...] = WORDS) -> list[bytes]:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
    message |= {"stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 1}}
    block: dict[str, Any] = {"type": "content_block_start", "index": 0}
    deltas = [{"type": "text_delta", "text": word} for word in words]
    return _named(
        [
            {"type": "message_start", "message": message},
            {**block, "content_block": {"type": "text", "text": ""}},
            *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
            {"type": "content_block_stop", "index": 0},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": {"output_tokens": 5},
            },
            {"type": "message_stop"},
        ]
    )


def responses(words: tuple[str, ...] = WORDS) -> list[bytes]:
    response: dict[str, Any] = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m"}
    response |= {"status": "in_progress", "output": [], "tools": [], "tool_choice": "auto", "usage": None}
    response |= {"parallel_tool_calls": True, "error": None, "incomplete_details": None, "metadata": {}}
    text = "".join(words)
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    usage = {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8}
    usage |= {
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    events = [
        {"type": "response.created", "response": response},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **at, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **at, "delta": word, "logprobs": []} for word in words),
        {"type": "response.output_text.done", **at, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {
            "type": "response.completed",
            "response": {**response, "status": "completed", "output": [item], "usage": usage},
        },
    ]
    return _named([{**event, "sequence_number": number} for number, event in enumerate(events)])


def chat(words: tuple[str, ...] = WORDS) -> list[bytes]:
    def chunk(delta: dict[str, str], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        document = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        return f"data: {_json({**document, 'choices': [choice]})}\n\n".encode()

    said = [chunk({"content": word}) for word in words]
    return [chunk({"role": "assistant", "content": ""}), *said, chunk({}, "stop"), b"data: [DONE]\n\n"]


def gemini(words: tuple[str, ...] = WORDS) -> list[bytes]:
    events = []
    for number, word in enumerate(words, 1):
        candidate: dict[str, Any] = {"content": {"parts": [{"text": word}], "role": "model"}, "index": 0}
        candidate |= {"finishReason": "STOP"} if number == len(words) else {}
        document = {"candidates": [candidate], "modelVersion": "m", "responseId": "r"}
        events.append(f"data: {json.dumps(document)}\r\n\r\n".encode())
    return events


APIS = {"anthropic": anthropic, "responses": responses, "chat": chat, "gemini": gemini}
PATHS = {"/messages": "anthropic", "/responses": "responses", "/chat/completions": "chat"}


class ModelServer(ThreadingHTTPServer):
    """Streams from loopback. `headers` are sent along, and `body` instead of a stream, where they are set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.end: int | None = None
        self.headers: dict[str, str] = {}
        self.status, self.body, self.zipped = 200, b"", False
        self.connections = self.requests = 0
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has left is no trouble."""

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ModelServer

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        server = self.server
        server.requests += 1
        self.rfile.read(int(self.headers.get("content-length") or 0))
        path = self.path.partition("?")[0]
        api = next((name for known, name in PATHS.items() if path.endswith(known)), "gemini")
        events = [server.body] if server.body else APIS[api]()[: server.end]
        self.send_response(server.status)
        kind = "text/event-stream" if server.status == 200 else "application/json"
        self.send_header("content-type", kind)
        for name, value in server.headers.items():
            self.send_header(name, value)
        if server.zipped:
            events = [gzip.compress(b"".join(events))]
            self.send_header("content-encoding", "gzip")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in (*filter(None, events), b""):
            self.wfile.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
            self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass
