from __future__ import annotations

import asyncio
import functools
import threading
import types

import pytest

from shipway_runtime import adapters
from shipway_runtime.adapters import Conversational, OwnApp
from shipway_runtime.dialogue import Dialogue
from shipway_runtime.errors import StartError


def pieces(agent, messages=("m",), ctx="c"):
    kind = adapters.adapt(agent, "a:b")
    assert isinstance(kind, Conversational)

    async def run():
        async with asyncio.timeout(20):
            return [piece async for piece in kind.agent(Dialogue(list(messages)), ctx)]

    return asyncio.run(run())


async def text(messages, ctx):
    return f"{messages} {ctx}"


async def stream(messages, ctx):
    yield messages[0]
    yield ctx


async def returns_a_stream(messages, ctx):
    return stream(messages, ctx)


def blocking(messages, ctx):
    assert threading.current_thread() is not threading.main_thread()
    return "blocked"


def blocking_stream(messages, ctx):
    yield messages[0]
    yield ctx


class Callable:
    async def __call__(self, messages, ctx):
        return "called"

    async def method(self, messages):
        return f"{messages}"


async def keyword_context(messages, context=None):
    return f"{context}"


async def other_default(messages, temperature=0.5):
    return f"{temperature}"


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (text, ["['m'] c"]),
        (stream, ["m", "c"]),
        (returns_a_stream, ["m", "c"]),
        (blocking, ["blocked"]),
        (blocking_stream, ["m", "c"]),
        (Callable(), ["called"]),
        (Callable().method, ["['m']"]),
        (functools.partial(text, ctx="bound"), ["['m'] bound"]),
        (lambda messages: "sync", ["sync"]),
        (lambda messages: text(messages, "none"), ["['m'] none"]),
        (lambda messages: stream(messages, "none"), ["m", "none"]),
        (keyword_context, ["c"]),
        (other_default, ["0.5"]),
    ],
)
def test_functions_of_every_kind(agent, expected):
    assert pieces(agent) == expected


@pytest.mark.parametrize("given", [None, 7, {"a": 1}])
def test_anything_but_text_is_an_error(given):
    async def agent(messages):
        return given

    with pytest.raises(TypeError, match="expected text"):
        pieces(agent)
    with pytest.raises(TypeError, match="expected text"):
        pieces(lambda messages: given)


def test_an_error_in_a_thread_is_raised():
    def agent(messages):
        yield "a"
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        pieces(agent)


def test_a_thread_ends_at_its_next_piece_once_nobody_waits():
    ended = threading.Event()

    def agent(messages):
        try:
            while True:
                yield "x"
        finally:
            ended.set()

    kind = adapters.adapt(agent, "a:b")

    async def first():
        stream = kind.agent(Dialogue([]), None)
        await anext(stream)
        await stream.aclose()

    asyncio.run(first())
    assert ended.wait(20)


def test_asgi_applications_own_the_port():
    async def app(scope, receive, send): ...

    class App:
        async def __call__(self, scope, receive, send): ...

    for one in (app, App()):
        assert adapters.adapt(one, "a:b") == OwnApp(one)


@pytest.mark.parametrize(
    ("agent", "seen"),
    [
        ("text", "a:b is a str"),
        (types.SimpleNamespace(), "a:b is a types.SimpleNamespace"),
        (lambda: "x", "a:b is a function"),
        (lambda a, b, c: "x", "a:b is a function"),
    ],
)
def test_anything_else_says_what_was_expected(agent, seen):
    with pytest.raises(StartError, match=rf"{seen}; expected .*async def agent") as caught:
        adapters.adapt(agent, "a:b")
    assert ('; if it makes one, write "a:b()"' in str(caught.value)) == callable(agent)


def test_a_class_is_no_agent_yet():
    with pytest.raises(StartError, match=r'a:b is the class .*Callable; to make an agent .* write "a:b\(\)"'):
        adapters.adapt(Callable, "a:b")
