from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
from google.adk.agents import LlmAgent, SequentialAgent
from google.adk.models import BaseLlm, LlmRequest, LlmResponse
from google.genai import types
from pydantic import BaseModel

from shipway_runtime.context import current


class ChatModel(BaseLlm):
    """A model of OpenAI's Chat Completions API, as much of it as the replay needs."""

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        text, calls, usage = "", {}, None
        url = f"{os.environ['OPENAI_BASE_URL']}/chat/completions"
        async with (
            httpx2.AsyncClient(trust_env=False, timeout=20) as http,
            http.stream("POST", url, json=body(llm_request)) as answer,
        ):
            if answer.status_code != 200:
                raise RuntimeError((await answer.aread()).decode())
            async for line in answer.aiter_lines():
                if not line.startswith("data: {"):
                    continue
                chunk = json.loads(line[6:])
                usage = chunk.get("usage") or usage
                for choice in chunk["choices"]:
                    if piece := choice["delta"].get("content"):
                        text += piece
                        yield LlmResponse(content=said(types.Part(text=piece)), partial=True)
                    for call in choice["delta"].get("tool_calls") or ():
                        known = calls.setdefault(call["index"], {"arguments": ""})
                        known |= {"id": call["id"], "name": call["function"]["name"]} if "id" in call else {}
                        known["arguments"] += call["function"]["arguments"]
        parts = [types.Part(text=text)] if text else []
        for call in calls.values():
            made = types.FunctionCall(id=call["id"], name=call["name"], args=json.loads(call["arguments"]))
            parts.append(types.Part(function_call=made))
        counts = types.GenerateContentResponseUsageMetadata(
            prompt_token_count=usage["prompt_tokens"], candidates_token_count=usage["completion_tokens"]
        )
        yield LlmResponse(content=said(*parts), usage_metadata=counts, model_version=llm_request.model)


def said(*parts: types.Part) -> types.Content:
    return types.Content(role="model", parts=list(parts))


def body(request: LlmRequest) -> dict[str, Any]:
    messages = [{"role": "system", "content": str(request.config.system_instruction)}]
    for content in request.contents:
        for part in content.parts or ():
            messages.append(message(content.role, part))
    tools = [
        {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
        for name in request.tools_dict
    ]
    return {
        "model": request.model,
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
        **({"tools": tools} if tools else {}),
        **({"max_tokens": limit} if (limit := request.config.max_output_tokens) else {}),
    }


def message(role: str | None, part: types.Part) -> dict[str, Any]:
    if call := part.function_call:
        function = {"name": call.name, "arguments": json.dumps(call.args)}
        return {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": call.id, "type": "function", "function": function}],
        }
    if answer := part.function_response:
        said = (answer.response or {}).get("result") or json.dumps(answer.response)
        return {"role": "tool", "tool_call_id": answer.id, "content": said}
    return {"role": "assistant" if role == "model" else "user", "content": part.text}


def now(city: str) -> str:
    """The time in a city."""
    return f"noon in {city}, turn {current().turn}"


class Answer(BaseModel):
    city: str
    hour: int


model = ChatModel(model="gpt-5")
agent = LlmAgent(name="clock", model=model, instruction="You tell the time.", tools=[now])
structured = LlmAgent(name="clock", model=model, output_schema=Answer)
workflow = SequentialAgent(
    name="desk",
    sub_agents=[LlmAgent(name="first", model=model), LlmAgent(name="second", model=model)],
)
