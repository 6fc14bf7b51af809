"""Runs agents' adapters by themselves, in the framework's own environment: `python driver.py MODULE MCP_URL`.

In: lines of JSON, {"agent": name in the module, "turns": [{"new": [messages], …}]}. Out: a line for each, the
pieces of each turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import sys
from pathlib import Path
from typing import Any

from shipway_runtime.adapters import Conversational, adapt
from shipway_runtime.context import Context, entered
from shipway_runtime.contract import Model
from shipway_runtime.dialogue import Dialogue, Memory, Past
from shipway_runtime.secrets.declared import Secrets


def main() -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    module = importlib.import_module(sys.argv[1])
    asyncio.run(serve(module))


async def serve(module: Any) -> None:
    """One loop for all scenarios, as in production: clients keep their connections."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        asked = json.loads(line)
        print(json.dumps(await converse(getattr(module, asked["agent"]), asked)), flush=True)


async def converse(agent: Any, asked: dict[str, Any]) -> list[list[dict[str, Any]]]:
    kind = adapt(agent, "agent:agent")
    assert isinstance(kind, Conversational)
    past: list[Past] = []
    answers = []
    for number, turn in enumerate(asked["turns"], 1):
        dialogue = Dialogue(turn["new"], tuple(past), turn.get("instructions"))
        ctx = context(turn, number)
        with entered(ctx):
            pieces = await answer(kind, dialogue, ctx)
        text = "".join(piece for piece in pieces if isinstance(piece, str))
        memories = [piece for piece in pieces if isinstance(piece, Memory)]
        assert len(memories) <= 1
        memory = Memory(*json.loads(json.dumps([memories[0].kind, memories[0].data]))) if memories else None
        if forged := turn.get("remember"):
            memory = Memory(memory.kind, forged) if memory else None
        if not turn.get("forget"):
            past.append(Past([*turn["new"], {"role": "assistant", "content": text}], memory))
        answers.append([described(piece) for piece in pieces])
    return answers


async def answer(kind: Conversational, dialogue: Dialogue, ctx: Context) -> list[Any]:
    pieces = []
    async with contextlib.aclosing(kind.agent(dialogue, ctx)) as stream:
        try:
            async for piece in stream:
                pieces.append(piece)
        except Exception as error:  # noqa: BLE001 - part of what is tested
            pieces.append(error)
    return pieces


def context(turn: dict[str, Any], number: int) -> Context:
    model = Model("openai", **turn["model"]) if "model" in turn else None
    denied = turn.get("denied", ())
    return Context(
        conversation="c1",
        turn=number,
        tenant=None,
        model=model,
        config={},
        mcp={"time": sys.argv[2]},
        storage=None,
        prompts=Path(__file__).parent,
        secrets=Secrets({}, Path("/nonexistent"), {}),
        allows_tool=lambda name: name not in denied,
    )


def described(piece: Any) -> dict[str, Any]:
    if isinstance(piece, str):
        return {"kind": "text", "text": piece}
    if isinstance(piece, Exception):
        return {"kind": "error", "error": f"{type(piece).__name__}: {piece}"}
    fields = {name: getattr(piece, name) for name in piece.__dataclass_fields__}
    return {"kind": type(piece).__name__, "memory_kind": fields.pop("kind", None), **fields}


if __name__ == "__main__":
    main()
