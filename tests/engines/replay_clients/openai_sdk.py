"""What OpenAI's SDK makes of the replay at the URL in argv, as JSON; it runs where that SDK is installed."""

import asyncio
import itertools
import json
import sys

import openai
from openai import APIError, APIStatusError, AsyncOpenAI, DefaultAioHttpClient, OpenAI

URL, STATUSES = sys.argv[1], json.loads(sys.argv[2])
OPTIONS = {"base_url": f"{URL}/v1", "api_key": "none", "max_retries": 0}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
CHAT_TOOLS = [{"type": "function", "function": {"name": "now", "parameters": SCHEMA}}]
TOOLS = [{"type": "function", "name": "now", "parameters": SCHEMA, "strict": False}]
ASKED = [{"role": "user", "content": "The time in Tokyo and Oslo?"}]
TIMES = {"Tokyo": "21:00", "Oslo": "13:00"}
client = OpenAI(**OPTIONS)
chat = {"model": "gpt-5", "messages": ASKED, "tools": CHAT_TOOLS}
responses = {"model": "gpt-5", "input": ASKED, "tools": TOOLS}
with_usage = {"stream_options": {"include_usage": True}}


def plain(model):
    return model.model_dump(mode="json", exclude_none=True)


def chat_streamed(request):
    with client.chat.completions.stream(**request, **with_usage) as stream:
        pieces = [event.delta for event in stream if event.type == "content.delta"]
        return pieces, stream.get_final_completion()


def responses_streamed(request):
    with client.responses.stream(**request) as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
        return pieces, stream.get_final_response()


def told(completion):
    message = completion.choices[0].message
    calls = [[call.id, call.function.name, call.function.arguments] for call in message.tool_calls or []]
    return [message.content, calls, completion.choices[0].finish_reason, plain(completion.usage)]


def chat_recorded():
    """Two calls at once, streamed and whole; their results; the answer whole and streamed."""
    _, streamed = chat_streamed(chat)
    whole = client.chat.completions.create(**chat)
    calls = whole.choices[0].message.tool_calls
    said = {"role": "assistant", "tool_calls": [plain(call) for call in calls]}
    results = [
        {
            "role": "tool",
            "tool_call_id": call.id,
            "content": TIMES[json.loads(call.function.arguments)["city"]],
        }
        for call in calls
    ]
    then = chat | {"messages": [*ASKED, said, *results]}
    pieces, answer = chat_streamed(then)
    return {
        "streamed": told(streamed),
        "whole": told(whole),
        "request_id": whole._request_id,
        "pieces": pieces,
        "answers": [told(answer), told(client.chat.completions.create(**then))],
    }


def responses_recorded():
    _, streamed = responses_streamed(responses)
    whole = client.responses.create(**responses)
    calls = [item for item in whole.output if item.type == "function_call"]
    results = [
        {
            "type": "function_call_output",
            "call_id": call.call_id,
            "output": TIMES[json.loads(call.arguments)["city"]],
        }
        for call in calls
    ]
    then = responses | {"input": [*ASKED, *(plain(item) for item in whole.output), *results]}
    pieces, answer = responses_streamed(then)
    return {
        "same": [plain(item) for item in whole.output] == [without_parsed(item) for item in streamed.output],
        "whole": plain(whole),
        "pieces": pieces,
        "answers": [answer.output_text, client.responses.create(**then).output_text],
    }


def without_parsed(item):
    return {key: value for key, value in plain(item).items() if key != "parsed_arguments"}


def scripted():
    """A loop over both APIs: the whole conversation each time, and by previous_response_id."""
    asked = [{"role": "user", "content": "What is the time in Rome?"}]
    said, first = responses_streamed(responses | {"input": asked})
    call = next(item for item in first.output if item.type == "function_call")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "noon"}
    echoed = [without_parsed(item) for item in first.output]
    again = client.responses.create(**responses | {"input": [*asked, *echoed, result]})
    previous = client.responses.create(**responses | {"input": [result], "previous_response_id": first.id})

    chat_said, chat_first = chat_streamed(chat | {"messages": asked})
    message = chat_first.choices[0].message
    (chat_call,) = message.tool_calls
    function = {"name": "now", "arguments": chat_call.function.arguments}
    made = {"id": chat_call.id, "type": "function", "function": function}
    then = [
        *asked,
        {"role": "assistant", "content": message.content, "tool_calls": [made]},
        {"role": "tool", "tool_call_id": chat_call.id, "content": "noon"},
    ]
    raw = client.chat.completions.with_raw_response.create(**chat | {"messages": then})
    return {
        "said": ["".join(said), "".join(chat_said)],
        "calls": [json.loads(call.arguments), json.loads(chat_call.function.arguments)],
        "answers": [again.output_text, previous.output_text, raw.parse().choices[0].message.content],
        "usage": chat_first.usage.total_tokens,
        "request_id": raw.headers["x-request-id"],
    }


def structured():
    """Demands that a script meets, and one that it does not."""
    format_ = {"type": "json_schema", "name": "place", "schema": SCHEMA}
    ask = {"model": "gpt-5", "input": "Which city? As JSON.", "text": {"format": format_}}
    met = client.responses.create(**ask)
    misses = []
    for request in (
        lambda: client.responses.create(**ask | {"input": "hello"}),
        lambda: client.chat.completions.create(**chat | {"messages": hello(), "tool_choice": "required"}),
    ):
        try:
            request()
        except openai.NotFoundError as error:
            misses.append(error.body["message"])
    return {"met": json.loads(met.output_text), "misses": misses}


def hello():
    return [{"role": "user", "content": "hello"}]


def several_choices():
    """Choices at once, recorded as JSON and streamed."""
    with client.chat.completions.stream(model="gpt-5", messages=hello(), n=2) as stream:
        for _ in stream:
            pass
        return [choice.message.content for choice in stream.get_final_completion().choices]


def beside():
    counted = client.responses.input_tokens.count(model="gpt-5", input="hello " * 40)
    embedded = client.embeddings.create(
        model="text-embedding-3-small", input="hello", encoding_format="float"
    )
    return {"counted": counted.input_tokens, "embedded": embedded.data[0].embedding}


def known(error):
    return [type(error).__name__, error.status_code, error.request_id, error.body["message"]]


def errors():
    """Each status: over both APIs, streamed or not."""
    seen = {}
    apis = ((client.responses.create, responses), (client.chat.completions.create, chat))
    for status, (create, request), stream in itertools.product(STATUSES, apis, (False, True)):
        try:
            create(**request | {"model": f"error-{status}"}, stream=stream)
        except APIStatusError as error:
            seen.setdefault(status, []).append(known(error))
    return seen


def broken():
    """An error in the stream."""
    seen = []
    for stream in (
        client.responses.create(**responses | {"model": "broken"}, stream=True),
        client.chat.completions.create(**chat | {"model": "broken"}, stream=True),
    ):
        count = 0
        try:
            for _ in stream:
                count += 1
        except APIError as error:
            seen.append([type(error).__name__, error.message, count])
    for ask in (
        lambda: client.responses.create(**responses | {"model": "broken"}),
        lambda: client.chat.completions.create(**chat | {"model": "broken"}),
    ):
        try:
            ask()
        except APIStatusError as error:
            seen.append([type(error).__name__, error.body["message"]])
    return seen


def left():
    """Streams that the client leaves after their first event."""
    seen = []
    for stream in (
        client.responses.create(**responses | {"model": "slow"}, stream=True),
        client.chat.completions.create(**chat | {"model": "slow"}, stream=True),
    ):
        with stream:
            seen.append(type(next(iter(stream))).__name__)
    return seen


async def ask_asynchronously(**options):
    """Both APIs, streamed and whole, and each error."""
    async with AsyncOpenAI(**OPTIONS, **options) as client:
        whole = await client.chat.completions.create(**chat)
        async with client.chat.completions.stream(**chat, **with_usage) as stream:
            streamed = await stream.get_final_completion()
        async with client.responses.stream(**responses) as stream:
            response = await stream.get_final_response()
        names = []
        for status in STATUSES:
            for stream in (False, True):
                try:
                    await client.responses.create(**responses | {"model": f"error-{status}"}, stream=stream)
                except APIStatusError as error:
                    names.append([type(error).__name__, error.status_code])
        return {"told": [told(whole), told(streamed)], "usage": plain(response.usage), "errors": names}


def asynchronous():
    return asyncio.run(ask_asynchronously())


def over_aiohttp():
    async def ask():
        return await ask_asynchronously(http_client=DefaultAioHttpClient())

    return asyncio.run(ask())


CHECKS = (
    *(chat_recorded, responses_recorded, scripted, structured, several_choices, beside),
    *(errors, broken, left, asynchronous, over_aiohttp),
)
print(json.dumps({check.__name__: check() for check in CHECKS}))
