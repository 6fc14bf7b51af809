"""An application of one's own: shipway runs it as it is, and every path of the API port is its own."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI
from pydantic import BaseModel

PROMPTS = Path(os.environ.get("SHIPWAY_PROMPTS", "/app/prompts"))


class Question(BaseModel):
    message: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Opened before the first request, closed after the last one: the runtime's drain waits for both."""
    async with AsyncOpenAI() as app.state.model:
        yield


app = FastAPI(title="chat", lifespan=lifespan)


@app.post("/chat")
async def chat(question: Question, request: Request) -> StreamingResponse:
    tenant = request.headers.get("x-shipway-tenant")  # the runtime's word: what a client sent is taken away
    return StreamingResponse(
        answer(request.app.state.model, question.message, tenant), media_type="text/plain"
    )


async def answer(model: AsyncOpenAI, message: str, tenant: str | None) -> AsyncIterator[str]:
    """The model's text, piece by piece. A client that leaves ends it, and the request to the model."""
    system = (PROMPTS / "system.md").read_text("utf-8").replace("TENANT", tenant or "a guest")
    stream = await model.responses.create(
        model=os.environ["SHIPWAY_MODEL"], instructions=system, input=message, stream=True
    )
    async with stream:
        async for event in stream:
            if event.type == "response.output_text.delta":
                yield event.delta
