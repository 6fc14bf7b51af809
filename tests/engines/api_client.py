"""A client of the runtime's API by OpenAI's own packages; prints what it saw as JSON. argv: the base URL.

Every document and event is put before the SDK's own types, and may hold nothing that they do not know.
"""

import asyncio
import json
import sys
import warnings

from openai import APIStatusError, AsyncOpenAI, OpenAI
from openai.types import Model
from openai.types.conversations import Conversation, ConversationDeletedResource, ConversationItem
from openai.types.responses import Response, ResponseItem, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

warnings.simplefilter("error")
BASE = sys.argv[1] + "/v1"
client = OpenAI(base_url=BASE, api_key="none")
seen = {}


def strictly(kind, document):
    """The document as `kind`; fails for what does not fit, and for what the type does not know."""

    def walk(value, path):
        if isinstance(value, BaseModel):
            assert not value.model_extra, f"{path}: unknown {value.model_extra}"
            for name in type(value).model_fields:
                walk(getattr(value, name), f"{path}.{name}")
        elif isinstance(value, list):
            for index, item in enumerate(value):
                walk(item, f"{path}[{index}]")

    parsed = TypeAdapter(kind).validate_python(document)
    walk(parsed, getattr(kind, "__name__", "event"))
    return parsed


def error(ask):
    try:
        ask()
    except APIStatusError as e:
        return [type(e).__name__, e.status_code, e.code, e.param]
    raise AssertionError("no error")


def said(response):
    return [item.type for item in response.output], response.output_text


def responses():
    raw = client.responses.with_raw_response
    seen["whole"] = said(strictly(Response, json.loads(raw.create(model="m", input="tools").text)))
    events = []
    for given in ("tools", "hi", "late"):
        lines = raw.create(model="m", input=given, stream=True).http_response.iter_lines()
        told = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
        events += [strictly(ResponseStreamEvent, event).type for event in told]
    seen["events"] = sorted(set(events))
    with client.responses.stream(model="m", input="tools") as stream:
        seen["deltas"] = [e.delta for e in stream if e.type == "response.output_text.delta"]
        final = stream.get_final_response()
    seen["streamed"], seen["usage"] = said(final), final.usage.model_dump()
    echoed = [item.model_dump(mode="json", exclude_none=True) for item in final.output]
    again = [{"role": "user", "content": "a"}, *echoed, {"role": "user", "content": "messages"}]
    seen["echoed"] = client.responses.create(model="m", input=again).output_text
    named = [{"type": "item_reference", "id": item.id} for item in final.output] + again[-1:]
    seen["named"] = client.responses.create(model="m", input=named).output_text
    seen["previous"] = client.responses.create(
        model="m", input="messages", previous_response_id=final.id
    ).output_text
    got = strictly(Response, json.loads(raw.retrieve(final.id).text))
    # The helper of streams makes parsed types of its own.
    seen["retrieved"] = [got.id == final.id, said(got) == said(final), got.usage == final.usage]
    inputs = client.responses.input_items.list(final.id)
    seen["inputs"] = [strictly(ResponseItem, item.model_dump()).content[0].text for item in inputs]
    client.responses.delete(final.id)
    seen["deleted"] = error(lambda: client.responses.retrieve(final.id))
    with client.responses.create(model="m", input="slow", stream=True) as stream:
        for event in stream:
            if event.type == "response.created":
                running = event.response.id
            elif event.type == "response.output_text.delta":
                seen["running"] = client.responses.retrieve(running).status
                seen["cancel"] = client.responses.cancel(running).status
        seen["last"] = event.type
    seen["cancelled"] = client.responses.retrieve(running).status


def errors():
    image = [{"role": "user", "content": [{"type": "input_image", "image_url": "x", "detail": "auto"}]}]
    seen["errors"] = [
        error(lambda: client.responses.create(model="m", input="fail")),
        error(lambda: client.responses.create(model="m", input="hi", tools=[{"type": "web_search"}])),
        error(lambda: client.responses.create(model="m", input="hi", previous_response_id="resp_x_1")),
        error(lambda: client.responses.create(model="m", input=image)),
        error(lambda: client.models.retrieve("other")),
    ]


def conversations():
    made = client.conversations.create(metadata={"a": "b"}, items=[{"role": "user", "content": "one"}])
    strictly(Conversation, made.model_dump())
    place = made.id
    client.responses.create(model="m", input="tools", conversation=place)
    client.conversations.items.create(place, items=[{"role": "user", "content": "two"}])
    pages = client.conversations.items.list(place, limit=2, order="asc")
    items = [strictly(ConversationItem, item.model_dump(mode="json")) for item in pages]
    seen["items"] = [item.type for item in items]
    newest = client.conversations.items.list(place, limit=100)
    seen["both ways"] = [item.id for item in newest][::-1] == [item.id for item in items]
    client.conversations.items.delete(items[-1].id, conversation_id=place)
    seen["part of a response"] = error(
        lambda: client.conversations.items.delete(items[1].id, conversation_id=place)
    )
    seen["in it"] = client.responses.create(model="m", input="messages", conversation=place).output_text
    seen["updated"] = client.conversations.update(place, metadata={"c": "d"}).metadata
    gone = client.conversations.delete(place)
    strictly(ConversationDeletedResource, gone.model_dump())
    seen["conversation deleted"] = error(lambda: client.conversations.retrieve(place))


async def agents():
    from agents import Agent, OpenAIConversationsSession, OpenAIResponsesModel, Runner, set_tracing_disabled

    set_tracing_disabled(True)
    async with AsyncOpenAI(base_url=BASE, api_key="none") as async_client:
        model = OpenAIResponsesModel(model="m", openai_client=async_client)
        agent = Agent(name="front", instructions="be brief", model=model)
        first = await Runner.run(agent, "tools")
        seen["run"] = [type(item).__name__ for item in first.new_items], first.final_output
        history = [*first.to_input_list(), {"role": "user", "content": "messages"}]
        seen["history"] = (await Runner.run(agent, history)).final_output
        seen["chained"] = (
            await Runner.run(agent, "messages", previous_response_id=first.last_response_id)
        ).final_output
        streamed = Runner.run_streamed(agent, "tools")
        async for _ in streamed.stream_events():
            pass
        seen["run streamed"] = streamed.final_output
        session = OpenAIConversationsSession(openai_client=async_client)
        await Runner.run(agent, "tools", session=session)
        seen["session"] = (await Runner.run(agent, "messages", session=session)).final_output
        popped = await session.pop_item()
        seen["popped"] = popped["role"], len(await session.get_items()), len(await session.get_items(2))
        await session.clear_session()


strictly(Model, client.models.list().data[0].model_dump())
responses()
errors()
conversations()
asyncio.run(agents())
client.close()
print(json.dumps(seen))
