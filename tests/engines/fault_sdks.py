"""SDKs of others go through faults, in an environment of their own.

`python fault_sdks.py STREAM_URL JSON_URL HEADER…`. In: two replays, one to ask for streams and one for JSON;
values of x-shipway-fault. Out, as JSON on stdout: [[API, header, "stream" or "json", what came of it], …]. Of
each SDK what its documentation begins with is used.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import openai
from google import genai
from google.genai import types

TIMEOUT_S = 2.0
WHOLE = "One two three four five six seven eight nine ten."
QUESTION: Any = [{"role": "user", "content": "hello"}]


class Clients:
    """A client of each SDK, for one server."""

    def __init__(self, url: str) -> None:
        self.anthropic = anthropic.Anthropic(base_url=url, api_key="k", timeout=TIMEOUT_S)
        self.openai = openai.OpenAI(base_url=f"{url}/v1", api_key="k", timeout=TIMEOUT_S)
        options = types.HttpOptions(base_url=url, timeout=int(TIMEOUT_S * 1000))
        self.google = genai.Client(api_key="k", http_options=options)


def messages(clients: Clients, headers: dict[str, str], stream: bool) -> str:
    asked: Any = {"model": "m", "max_tokens": 99, "messages": QUESTION, "extra_headers": headers}
    if not stream:
        return clients.anthropic.messages.create(**asked).content[0].text
    with clients.anthropic.messages.stream(**asked) as answer:
        text = "".join(answer.text_stream)
        answer.get_final_message()
        return text


def responses(clients: Clients, headers: dict[str, str], stream: bool) -> str:
    asked: Any = {"model": "m", "input": "hello", "extra_headers": headers}
    if not stream:
        return clients.openai.responses.create(**asked).output_text
    events = clients.openai.responses.create(**asked, stream=True)
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def chat(clients: Clients, headers: dict[str, str], stream: bool) -> str:
    asked: Any = {"model": "m", "messages": QUESTION, "extra_headers": headers}
    if not stream:
        return clients.openai.chat.completions.create(**asked).choices[0].message.content or ""
    chunks = clients.openai.chat.completions.create(**asked, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def gemini(clients: Clients, headers: dict[str, str], stream: bool) -> str:
    config = types.GenerateContentConfig(http_options=types.HttpOptions(headers=headers))
    asked: Any = {"model": "m", "contents": "hello", "config": config}
    if not stream:
        return clients.google.models.generate_content(**asked).text or ""
    return "".join(chunk.text or "" for chunk in clients.google.models.generate_content_stream(**asked))


APIS: dict[str, Callable[[Clients, dict[str, str], bool], str]] = {
    "/v1/messages": messages,
    "/v1/responses": responses,
    "/v1/chat/completions": chat,
    "/v1/models/m": gemini,
}


def try_one(api: str, clients: Clients, header: str, stream: bool) -> str:
    """The error that is raised, or what the caller takes for the answer."""
    try:
        text = APIS[api](clients, {"x-shipway-fault": header}, stream)
    except Exception as error:  # noqa: BLE001 - that is the question
        return f"{type(error).__module__.partition('.')[0]}.{type(error).__name__}"
    return "whole" if text == WHOLE else "part" if text else "nothing"


def main(stream_url: str, json_url: str, headers: list[str]) -> None:
    servers = {"stream": Clients(stream_url), "json": Clients(json_url)}
    with ThreadPoolExecutor(32) as pool:  # most of it is waiting
        going = {
            (api, header, form): pool.submit(try_one, api, clients, header, form == "stream")
            for header in headers
            for api in APIS
            for form, clients in servers.items()
        }
        print(json.dumps([[*key, future.result()] for key, future in going.items()]))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
