"""What Google's SDK makes of the replay at the URL in argv, as JSON; it runs where that SDK is installed."""

import asyncio
import itertools
import json
import sys

import httpx2
from google import genai
from google.genai import errors, types
from google.genai.types import Content, GenerateContentConfig, HttpOptions, Part

URL, STATUSES = sys.argv[1], json.loads(sys.argv[2])
SCHEMA = types.Schema(type="OBJECT", properties={"city": types.Schema(type="STRING")})
NOW = types.FunctionDeclaration(name="now", description="The time", parameters=SCHEMA)
CONFIG = GenerateContentConfig(
    system_instruction="be brief",
    tools=[types.Tool(function_declarations=[NOW])],
    automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
)
ASKED = [Content(role="user", parts=[Part(text="The time in Tokyo and Oslo?")])]
TIMES = {"Tokyo": "21:00", "Oslo": "13:00"}
MODEL = "gemini-3-pro"
client = genai.Client(api_key="none", http_options=HttpOptions(base_url=URL))


def now(city: str) -> str:
    """The time in a city."""
    return f"noon of {city}"


def plain(part):
    return part.model_dump(mode="json", exclude_none=True)


def put_together(chunks):
    """Parts of all chunks, the reason for the end, and usage as told last."""
    chunks = list(chunks)
    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts or []]
    return [
        "".join(part.text or "" for part in parts if part.thought),
        "".join(part.text or "" for part in parts if not part.thought),
        [plain(part) for part in parts if part.function_call],
        chunks[-1].candidates[0].finish_reason.value,
        plain(chunks[-1].usage_metadata),
    ]


def recorded():
    """Thoughts and two calls at once, streamed and whole; their results; the answer whole and streamed."""
    ask = {"model": MODEL, "contents": ASKED, "config": CONFIG}
    streamed = put_together(client.models.generate_content_stream(**ask))
    whole = client.models.generate_content(**ask)
    said = whole.candidates[0].content
    results = [
        types.FunctionResponse(id=call.id, name=call.name, response={"result": TIMES[call.args["city"]]})
        for call in whole.function_calls
    ]
    answered = Content(role="user", parts=[Part(function_response=result) for result in results])
    ask["contents"] = [*ASKED, said, answered]
    chunks = list(client.models.generate_content_stream(**ask))
    return {
        "streamed": streamed,
        "whole": put_together([whole]),
        "model_version": whole.model_version,
        "pieces": [chunk.text for chunk in chunks],
        "answers": ["".join(chunk.text for chunk in chunks), client.models.generate_content(**ask).text],
    }


def scripted():
    """A loop that the SDK makes itself, calling a function of Python."""
    config = GenerateContentConfig(tools=[now])
    answer = client.models.generate_content(model=MODEL, contents="The time in Rome?", config=config)
    usage = answer.usage_metadata
    return {
        "text": answer.text,
        "turns": len(answer.automatic_function_calling_history),
        "counts": usage.prompt_token_count + usage.candidates_token_count == usage.total_token_count,
    }


def chat():
    """A conversation that the SDK keeps, streamed, with a loop in it."""
    talk = client.chats.create(model=MODEL, config=GenerateContentConfig(tools=[now]))
    first = "".join(chunk.text or "" for chunk in talk.send_message_stream("hello"))
    second = "".join(chunk.text or "" for chunk in talk.send_message_stream("The time in Rome?"))
    return [first, second]


def structured():
    """A demand that a script meets, and two that it does not."""
    as_json = GenerateContentConfig(response_mime_type="application/json", response_schema=SCHEMA)
    met = client.models.generate_content(model=MODEL, contents="Which city?", config=as_json)
    calling = types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY"))
    forced = CONFIG.model_copy(update={"tool_config": calling, "system_instruction": None})
    misses = []
    for config in (as_json, forced):
        try:
            client.models.generate_content(model=MODEL, contents="hello", config=config)
        except errors.ClientError as error:
            misses.append(error.message)
    return {"met": met.parsed, "misses": misses}


def beside():
    counted = client.models.count_tokens(model=MODEL, contents="hello " * 40)
    embedded = client.models.embed_content(model="gemini-embedding-001", contents="hello")
    return {"counted": counted.total_tokens, "embedded": embedded.embeddings[0].values}


def known(error):
    return [type(error).__name__, error.code, error.status, error.message]


def typed_errors():
    """Each status, streamed or not."""
    seen = {}
    for status, stream in itertools.product(STATUSES, (False, True)):
        ask = client.models.generate_content_stream if stream else client.models.generate_content
        try:
            list(ask(model=f"error-{status}", contents=ASKED, config=CONFIG))
        except errors.APIError as error:
            seen.setdefault(status, []).append(known(error))
    return seen


def broken():
    """An error in the stream: as it comes, and without a stream."""
    count = 0
    try:
        for _ in client.models.generate_content_stream(model="broken", contents=ASKED, config=CONFIG):
            count += 1
    except errors.APIError as error:
        streamed = known(error)
    try:
        client.models.generate_content(model="broken", contents=ASKED, config=CONFIG)
    except errors.APIError as error:
        return [count, streamed, known(error)]


def left():
    stream = client.models.generate_content_stream(model="slow", contents=ASKED, config=CONFIG)
    first = next(stream)
    stream.close()
    return first.candidates[0].content.parts[0].text


async def ask_asynchronously(**options):
    """Streamed and whole, each error, and an error in the stream."""
    http_options = HttpOptions(base_url=URL, **options)
    async with genai.Client(api_key="none", http_options=http_options).aio as client:
        ask = {"model": MODEL, "contents": ASKED, "config": CONFIG}
        streamed = [chunk async for chunk in await client.models.generate_content_stream(**ask)]
        whole = await client.models.generate_content(**ask)
        seen = []
        for status in STATUSES:
            try:
                await client.models.generate_content(**ask | {"model": f"error-{status}"})
            except errors.APIError as error:
                seen.append([type(error).__name__, error.code])
        try:
            async for _ in await client.models.generate_content_stream(**ask | {"model": "broken"}):
                pass
        except errors.APIError as error:
            seen.append([type(error).__name__, error.code])
        return {"told": [put_together(streamed), put_together([whole])], "errors": seen}


def over_aiohttp():
    return asyncio.run(ask_asynchronously())


def over_httpx():
    async def ask():
        async with httpx2.AsyncClient() as transport:
            return await ask_asynchronously(httpx_async_client=transport)

    return asyncio.run(ask())


def in_vertex():
    """The same recording under Vertex AI's paths."""
    options = HttpOptions(base_url=URL, api_version="v1")
    vertex = genai.Client(vertexai=True, api_key="none", http_options=options)
    answer = vertex.models.generate_content(model=MODEL, contents="hello")
    return answer.text


CHECKS = (recorded, scripted, chat, structured, beside, typed_errors, broken, left)
CHECKS += (over_aiohttp, over_httpx, in_vertex)
print(json.dumps({check.__name__: check() for check in CHECKS}))
