"""A small stdio MCP server without an SDK, with the ways in which servers misbehave.

    python toy_server.py [--modern-only] [--refuse-first N --state FILE] [--ignore-eof] [--garbage]
                         [--child] [--strict]

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
    "touch",
    "log",
    "wishes",
    "cancelled",
)
INFO = {"name": "toy", "version": "1.2.3"}
CAPABILITIES = {
    "tools": {"listChanged": True},
    "resources": {"subscribe": True, "listChanged": True},
    "logging": {},
}
LEVELS = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
WISHES: dict = {"level": "debug", "uris": set(), "client": None, "listens": {}}
LOCK = threading.Lock()
CANCELLED: list = []
ANSWERS: dict = {}


def send(message):
    with LOCK:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def text(value):
    return {"content": [{"type": "text", "text": value if isinstance(value, str) else json.dumps(value)}]}


def changed(method, params):
    """Tell of a change: a modern client on each of its subscriptions, a legacy one as it is."""
    for number in WISHES["listens"]:
        meta = {"io.modelcontextprotocol/subscriptionId": number}
        send({"method": method, "params": {**params, "_meta": meta}})
    if not WISHES["listens"]:
        send({"method": method, "params": params})


def ask_modern(params):
    """The first round asks, the second answers with what came."""
    if "inputResponses" not in params:
        question = {"method": "sampling/createMessage", "params": {"n": 1}}
        return {"resultType": "input_required", "inputRequests": {"a": question}, "requestState": "s"}
    assert params["requestState"] == "s"
    return text({"result": params["inputResponses"]["a"]})


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
        question = f"q{number}"
        send({"id": question, "method": "sampling/createMessage", "params": {"n": arguments.get("n", 0)}})
        while question not in ANSWERS:
            time.sleep(0.005)
        return text(ANSWERS[question])
    if name == "touch":
        changed("notifications/resources/updated", {"uri": arguments["uri"]})
        return text("touched")
    if name == "log":
        if LEVELS.index(arguments["level"]) >= LEVELS.index(WISHES["level"]):
            params = {"level": arguments["level"], "data": arguments.get("data", "noted")}
            send({"method": "notifications/message", "params": params})
        return text("logged")
    if name == "wishes":
        return text({"level": WISHES["level"], "uris": sorted(WISHES["uris"]), "client": WISHES["client"]})
    if name == "change":
        changed("notifications/tools/list_changed", {})
        return text("changed")
    if name == "cancelled":
        return text(CANCELLED)
    return {**text("no such tool"), "isError": True}


def answer(message, modern_only):
    method, params = message["method"], message.get("params") or {}
    meta = params.get("_meta", {})
    if method == "initialize" and not modern_only:
        version = params["protocolVersion"]
        WISHES["client"] = params["capabilities"]
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
    if method == "logging/setLevel" and not modern_only:
        WISHES["level"] = params["level"]
        return {}
    if method in ("resources/subscribe", "resources/unsubscribe") and not modern_only:
        (WISHES["uris"].add if method == "resources/subscribe" else WISHES["uris"].discard)(params["uri"])
        return {}
    if method == "subscriptions/listen" and modern_only:
        WISHES["listens"] = {message["id"]: params["notifications"]}
        WISHES["uris"] = set(params["notifications"].get("resourceSubscriptions", ()))
        threading.Event().wait()
    if method == "tools/call" and params["name"] == "ask" and modern_only:
        return ask_modern(params)
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
    parser.add_argument("--strict", action="store_true")
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
    for number, line in enumerate(sys.stdin):
        message = json.loads(line)
        if options.strict and number == 0 and message["method"] != "initialize":
            sys.exit(f"toy server: expected initialize, saw {message['method']}")
        if "id" in message and "method" in message:
            threading.Thread(target=handle, args=(message, options.modern_only), daemon=True).start()
        elif "id" in message:
            ANSWERS[message["id"]] = message
        elif message["method"] == "notifications/cancelled":
            CANCELLED.append(message["params"]["requestId"])
    while options.ignore_eof:
        time.sleep(60)


if __name__ == "__main__":
    main()
