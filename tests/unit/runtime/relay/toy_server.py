"""A small stdio MCP server without an SDK, with the ways in which servers misbehave.

    python toy_server.py [--modern-only] [--refuse-first N --state FILE] [--ignore-eof] [--garbage]
                         [--child]

Tools: echo (its text), id (this process's), env (its environment), meta (the request's), sleep (seconds),
slow (progress, done), die, mute (closes stdout), hang, flood (lines on stderr), huge (an answer of that
size), ask (the client), change (notifies), cancelled (the requests that were). Calls run in threads: one
does not hold up the next.
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

TOOLS = (
    "echo",
    "id",
    "env",
    "meta",
    "sleep",
    "slow",
    "die",
    "mute",
    "hang",
    "flood",
    "huge",
    "ask",
    "change",
    "cancelled",
)
INFO = {"name": "toy", "version": "1.2.3"}
CAPABILITIES = {"tools": {"listChanged": True}, "logging": {}}
LOCK = threading.Lock()
CANCELLED: list = []
ANSWERS: list = []


def send(message):
    with LOCK:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def text(value):
    return {"content": [{"type": "text", "text": value if isinstance(value, str) else json.dumps(value)}]}


def call(number, name, arguments, meta):
    if name == "echo":
        return text(arguments["text"])
    if name == "id":
        return text(str(os.getpid()))
    if name == "env":
        return text(dict(os.environ))
    if name == "meta":
        return text(meta)
    if name == "sleep":
        time.sleep(arguments["seconds"])
        return text("slept")
    if name == "slow":
        for step in (1, 2, 3):
            token = meta.get("progressToken")
            send({"method": "notifications/progress", "params": {"progressToken": token, "progress": step}})
            time.sleep(0.01)
        return text("done")
    if name == "die":
        print("toy server: out of luck", file=sys.stderr, flush=True)
        os._exit(7)
    if name == "mute":
        os.close(sys.stdout.fileno())
        threading.Event().wait()
    if name == "hang":
        threading.Event().wait()
    if name == "flood":
        sys.stderr.write("blah " * 10 + "\n" + "x" * 100_000 + "\n")
        sys.stderr.write("noise\n" * arguments["lines"])
        sys.stderr.flush()
        return text("flooded")
    if name == "huge":
        return text("x" * arguments["size"])
    if name == "ask":
        send({"id": "q1", "method": "sampling/createMessage", "params": {}})
        while not ANSWERS:
            time.sleep(0.005)
        return text(ANSWERS[0])
    if name == "change":
        send({"method": "notifications/tools/list_changed"})
        return text("changed")
    if name == "cancelled":
        return text(CANCELLED)
    return {**text("no such tool"), "isError": True}


def answer(message, modern_only):
    method, params = message["method"], message.get("params") or {}
    meta = params.get("_meta", {})
    if method == "initialize" and not modern_only:
        version = params["protocolVersion"]
        return {
            "protocolVersion": version,
            "capabilities": CAPABILITIES,
            "serverInfo": INFO,
            "instructions": "Hi.",
        }
    if modern_only:
        if meta.get("io.modelcontextprotocol/protocolVersion") != "2026-07-28":
            raise LookupError
        if method == "server/discover":
            return {
                "supportedVersions": ["2026-07-28"],
                "capabilities": CAPABILITIES,
                "resultType": "complete",
            }
    elif any(key.startswith("io.modelcontextprotocol/") for key in meta):
        raise LookupError
    if method == "ping" and not modern_only:
        return {}
    if method == "tools/list":
        return {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]}
    if method == "tools/call":
        return call(message["id"], params["name"], params.get("arguments", {}), meta)
    raise LookupError


def handle(message, modern_only):
    try:
        result = answer(message, modern_only)
    except LookupError:
        send({"id": message["id"], "error": {"code": -32601, "message": f"no {message['method']} here"}})
    else:
        send({"id": message["id"], "result": result})


def refuse_first(times, state):
    seen = int(state.read_text()) if state.exists() else 0
    state.write_text(str(seen + 1))
    if seen < times:
        sys.exit("toy server: not today")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--modern-only", action="store_true")
    parser.add_argument("--refuse-first", type=int, default=0)
    parser.add_argument("--state", type=pathlib.Path)
    parser.add_argument("--ignore-eof", action="store_true")
    parser.add_argument("--garbage", action="store_true")
    parser.add_argument("--child", action="store_true")
    options = parser.parse_args()
    if options.refuse_first:
        refuse_first(options.refuse_first, options.state)
    if options.child:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        CANCELLED.append(child.pid)
    if options.ignore_eof:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if options.garbage:
        print("Welcome to the toy server!\n{not json\n[]\n42\n", flush=True)
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message and "method" in message:
            threading.Thread(target=handle, args=(message, options.modern_only), daemon=True).start()
        elif "id" in message:
            ANSWERS.append(message)
        elif message["method"] == "notifications/cancelled":
            CANCELLED.append(message["params"]["requestId"])
    while options.ignore_eof:
        time.sleep(60)


if __name__ == "__main__":
    main()
