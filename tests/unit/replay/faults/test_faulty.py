"""Who is hit, what becomes of the recording, and faults on demand."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
from pathlib import Path
from typing import Any

import httpx2
import pytest

from shipway.replay.app import create_app
from shipway.replay.exchange import Exchange, Request, Response
from shipway.replay.faults import rules
from shipway.replay.faults.control import PATH, with_control
from shipway.replay.faults.faulty import Faulty
from shipway.replay.player import Player
from shipway.replay.scripts import reading
from shipway.replay.tape import Tape, load
from shipway.replay.traffic import Answer, Incoming

SCRIPT = "[[reply]]\nwhen = 'hello|question'\nsay = 'Hello there, you who are asking me.'\n"


def incoming(question: str = "hello", header: str = "", *, stream: bool = False) -> Incoming:
    body = {"model": "m", "max_tokens": 1, "stream": stream}
    body["messages"] = [{"role": "user", "content": question}]
    request = Request("POST", "/v1/messages", body)
    return Incoming(request, "/v1/messages", {"x-shipway-fault": header} if header else {})


def faulty(*given: dict[str, Any], tape: Tape | None = None) -> Faulty:
    made = [rules.make(keys, f"f.toml:{line}") for line, keys in enumerate(given, 1)]
    scripted = Tape("replays", replies=reading.read(SCRIPT, "s.toml")[0].replies)
    return Faulty(Player(tape or scripted), made)


def record(directory: Path, count: int) -> Tape:
    """So many recordings of `hello`."""
    for number in range(1, count + 1):
        exchange = Exchange(incoming().request, Response(body={"n": number}))
        (directory / f"{number}.json").write_text(json.dumps(dataclasses.asdict(exchange)))
    return load(directory)


def ask(answerer: Faulty, *requests: Incoming) -> list[Answer]:
    async def run() -> list[Answer]:
        return [await answerer.answer(request) for request in requests]

    return asyncio.run(run())


def statuses(answerer: Faulty, count: int) -> list[int]:
    return [answer.status for answer in ask(answerer, *[incoming()] * count)]


def test_every_and_times() -> None:
    assert statuses(faulty({"kind": "server-error", "every": 3}), 6) == [200, 200, 500, 200, 200, 500]
    assert statuses(faulty({"kind": "server-error", "times": 2}), 4) == [500, 500, 200, 200]
    both = {"kind": "server-error", "every": 2, "times": 1}
    assert statuses(faulty(both), 4) == [200, 500, 200, 200]


def test_the_first_rule_that_hits_is_the_one() -> None:
    first, second = {"kind": "rate-limit", "times": 1}, {"kind": "server-error", "times": 1}
    answers = ask(faulty(first, second), *[incoming()] * 3)
    assert [(a.status, a.fault) for a in answers] == [
        *((429, "rate-limit (f.toml:1)"), (500, "server-error (f.toml:2)"), (200, ""))
    ]


def test_the_same_requests_are_hit_in_whatever_order_they_come() -> None:
    asked = [incoming(f"question {n}", stream=bool(n % 2)) for n in range(60)] * 2
    shuffled = random.Random(1).sample(asked, len(asked))
    rule = {"kind": "early-end", "probability": 0.4, "seed": 3}

    def hit(requests: list[Incoming]) -> list[str]:
        answers = ask(faulty(rule), *requests)
        asked_and_got = zip(requests, answers, strict=True)
        return sorted(r.request.body["messages"][0]["content"] for r, a in asked_and_got if a.fault)

    assert hit(asked) == hit(shuffled)
    assert 30 < len(hit(asked)) < 66


def test_a_recording_that_did_not_reach_the_client_is_not_used_up(tmp_path: Path) -> None:
    tape = record(tmp_path, 3)

    def sources(kind: str) -> list[str]:
        return [a.source for a in ask(faulty({"kind": kind, "times": 2}, tape=tape), *[incoming()] * 5)]

    for kind in ("rate-limit", "cut", "early-end", "malformed-json", "hang"):
        assert sources(kind) == ["1.json", "1.json", "1.json", "2.json", "3.json"], kind
    assert sources("slow-start") == ["1.json", "2.json", "3.json", "3.json", "3.json"]
    spoilt = faulty({"kind": "cut", "times": 1}, tape=tape)
    stream, plain = incoming(stream=True), incoming()
    assert [answer.source for answer in ask(spoilt, plain, plain)] == ["1.json", "1.json"]
    assert ask(spoilt, stream)[0].source in ("", "2.json")  # each form has its own


def test_starting_over(tmp_path: Path) -> None:
    player = Player(record(tmp_path, 2))
    spoilt = Faulty(player, [rules.make({"kind": "server-error", "times": 1}, "f.toml:1")])
    for _ in range(2):
        answers = ask(spoilt, *[incoming()] * 3)
        assert [(a.status, a.source) for a in answers] == [(500, "1.json"), (200, "1.json"), (200, "2.json")]
        player.rewind()
        spoilt.rewind()


def test_misses_and_recorded_errors_stay_as_they_are() -> None:
    always = faulty({"kind": "overloaded"})
    assert ask(always, incoming("nobody knows"))[0].status == 404
    [armed] = always.armed()
    assert (armed.seen, armed.hits) == (0, 0)


def test_a_header_is_for_its_request_alone() -> None:
    answers = ask(faulty({"kind": "server-error"}), incoming(header="rate-limit"), incoming())
    assert [answer.fault for answer in answers] == ["rate-limit (header)", "server-error (f.toml:1)"]
    [refused] = ask(faulty(), incoming(header="cutt"))
    assert (refused.status, refused.headers["x-should-retry"]) == (400, "false")
    assert "saw the kind 'cutt'; use one of rate-limit" in refused.body["error"]["message"]


def test_a_path_of_no_provider_is_left_alone() -> None:
    asked = Incoming(Request("GET", "/elsewhere"), "/elsewhere", {"x-shipway-fault": "cut"})
    assert ask(faulty({"kind": "cut"}), asked)[0].status == 404


@pytest.mark.parametrize("fault", ["hang", "hang;at=0.5", "slow-start;seconds=60", "slow-stream;seconds=60"])
def test_a_client_that_leaves_ends_its_answer(fault: str) -> None:
    asked = incoming(stream=True)
    messages = [{"type": "http.request", "body": json.dumps(asked.request.body).encode()}]
    sent: list[Any] = []

    async def receive() -> Any:
        if messages:
            return messages.pop()
        await asyncio.sleep(0.05)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    async def run() -> int:
        scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": "/v1/messages",
            "query_string": b"",
        }
        scope["headers"] = [(b"x-shipway-fault", fault.encode())]
        async with asyncio.timeout(5):
            await create_app(faulty())(scope, receive, send)
        return len(asyncio.all_tasks()) - 1

    assert asyncio.run(run()) == 0
    assert not any(message.get("more_body") is None for message in sent[1:])  # it has had no end
    assert bool(sent) == (fault in ("hang;at=0.5", "slow-stream;seconds=60"))


# -- On demand -----------------------------------------------------------------------------------------------


def over_http(answerer: Faulty, *requests: dict[str, Any], host: str = "127.0.0.1:8090") -> list[Any]:
    async def run() -> list[Any]:
        app = with_control(create_app(answerer), answerer)
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            return [await client.request(url=PATH, **request) for request in requests]

    return asyncio.run(run())


def test_armed_listed_and_cleared() -> None:
    answerer = faulty({"kind": "hang", "when": "never"})
    keys = {"kind": "rate-limit", "times": 1, "retry_after": 5, "for_s": 60}
    [armed] = over_http(answerer, {"method": "POST", "json": keys})
    assert armed.status_code == 201
    assert statuses(answerer, 2) == [429, 200]
    listed, cleared, after = over_http(answerer, *({"method": m} for m in ("GET", "DELETE", "GET")))
    demanded, given = listed.json()["faults"]
    assert 50 < demanded.pop("for_s") <= 60
    expected = {"fault": "rate-limit retry_after=5", "choice": "times=1", "place": "on demand"}
    assert demanded == expected | {"seen": 2, "hits": 1}
    expected = {"fault": "hang", "choice": "when='never'", "place": "f.toml:1"}
    assert given == expected | {"seen": 0, "hits": 0, "for_s": None}
    assert cleared.json() == {"cleared": 1}
    assert [told["place"] for told in after.json()["faults"]] == ["f.toml:1"]


def test_a_demand_ends_when_its_time_is_over() -> None:
    answerer = faulty()
    over_http(answerer, {"method": "POST", "json": {"kind": "server-error", "for_s": 0}})
    assert statuses(answerer, 1) == [200]


@pytest.mark.parametrize(
    ("request_", "status", "message"),
    [
        ({"method": "POST", "json": {"kind": "cutt"}}, 400, "saw the kind 'cutt'"),
        ({"method": "POST", "json": {"kind": "cut", "for_s": "long"}}, 400, "for_s"),
        ({"method": "POST", "json": {"kind": "cut", "for_s": -1}}, 400, "for_s"),
        ({"method": "POST", "json": ["cut"]}, 400, "expected a JSON object"),
        ({"method": "POST", "content": b"{"}, 415, "content-type"),
        ({"method": "POST", "data": {"kind": "cut"}}, 415, "content-type"),
        ({"method": "PUT", "json": {"kind": "cut"}}, 405, "expected GET, POST or DELETE"),
        ({"method": "OPTIONS"}, 405, "expected GET, POST or DELETE"),
    ],
)
def test_a_wrong_demand_says_what_is_wrong(request_: dict[str, Any], status: int, message: str) -> None:
    answerer = faulty()
    [answer] = over_http(answerer, request_)
    assert answer.status_code == status
    assert message in answer.json()["error"]["message"]
    assert not list(answerer.armed())


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8090", "127.0.0.1.evil.example", "replay:8090"]
)
def test_a_host_that_is_not_loopback_is_refused(host: str) -> None:
    answerer = faulty()
    [answer] = over_http(answerer, {"method": "POST", "json": {"kind": "cut"}}, host=host)
    assert answer.status_code == 403
    assert not list(answerer.armed())


@pytest.mark.parametrize("host", ["localhost", "localhost:8090", "[::1]:8090", "127.0.0.1"])
def test_loopback_by_any_name(host: str) -> None:
    [answer] = over_http(faulty(), {"method": "GET"}, host=host)
    assert answer.status_code == 200


def test_rules_that_are_edited_while_it_plays() -> None:
    spoilt = faulty({"kind": "server-error", "times": 1})
    assert statuses(spoilt, 2) == [500, 200]
    [rule] = [armed.rule for armed in spoilt.armed()]
    spoilt.give([rule, rules.make({"kind": "rate-limit"}, "f.toml:2")])
    assert statuses(spoilt, 1) == [429]  # the first has had its turn
    spoilt.give([])
    assert statuses(spoilt, 1) == [200]
