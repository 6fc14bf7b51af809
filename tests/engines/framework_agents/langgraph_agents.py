from __future__ import annotations

import os

from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy
from langchain.chat_models import init_chat_model
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt
from pydantic import BaseModel

from shipway_runtime.context import current

model = init_chat_model(
    "gpt-5", model_provider="openai", configurable_fields=("model", "max_tokens"), stream_usage=True
)


@tool
def now(city: str) -> str:
    """The time in a city."""
    return f"noon in {city}, turn {current().turn}"


@tool
def broken() -> str:
    """Breaks."""
    raise ValueError("the tool broke")


class Answer(BaseModel):
    city: str
    hour: int


PROMPT = "You tell the time."
agent = create_agent(model, [now, broken], system_prompt=PROMPT)
structured = create_agent(model, response_format=ProviderStrategy(Answer))
with_checkpoints = create_agent(model, [now], system_prompt=PROMPT, checkpointer=InMemorySaver())


async def ask_back(state: MessagesState) -> dict[str, list[dict[str, str]]]:
    answer = interrupt("Which city?")
    return {"messages": [{"role": "assistant", "content": f"You said {answer}."}]}


builder = StateGraph(MessagesState).add_node(ask_back).add_edge(START, "ask_back").add_edge("ask_back", END)
with_question = builder.compile(checkpointer=InMemorySaver())
assert os.environ["OPENAI_API_KEY"]
