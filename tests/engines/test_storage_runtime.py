"""A whole runtime and what it keeps, in SQLite and in PostgreSQL."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading

import pytest
from tests.conftest import _engine
from tests.ports import free_port
from tests.postgres import PostgresServer
from tests.unit.runtime.conftest import start  # noqa: F401

AGENT = """
import asyncio

async def agent(messages, ctx):
    if messages[-1]["content"].startswith("slow"):
        yield "be"
        await asyncio.sleep(30 if messages[-1]["content"] == "slower" else 1.5)
        yield "gan"
    else:
        yield f"{ctx.turn}: " + ", ".join(m["content"] for m in messages if m["role"] == "user")
"""
SECRETS = {"DATABASE_URL": {"source": "env"}}


@pytest.fixture(params=["sqlite", "postgres"])
def kept(request, tmp_path, agent):
    """What `start` needs for storage in either of them."""
    if request.param == "sqlite":
        return {"name": agent, "settings": {"storage": {"path": str(tmp_path / "data")}}}
    url = request.getfixturevalue("postgres").url
    settings = {"storage": {"path": str(tmp_path / "data"), "url_secret": "DATABASE_URL"}, "secrets": SECRETS}
    return {"name": agent, "settings": settings, "env": {"DATABASE_URL": url}}


def with_api(kept, **api):
    return kept | {"settings": kept["settings"] | {"api": api}}


def say(running, text, conversation="c"):
    answer = running.ask(text, conversation=conversation)
    assert answer.status_code == 200, (answer.text, running.log())
    return answer.json()["output"][-1]["content"][0]["text"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_conversation_survives_a_restart(start, kept, number):  # noqa: F811
    first = start(AGENT, **kept)
    assert say(first, "one") == "1: one"
    first.process.send_signal(number)
    first.exit_code()
    again = start(AGENT, **kept)
    assert say(again, "two") == "2: one, two"
    assert "Traceback" not in again.log()


def test_replicas_share_conversations_and_take_turns(start, kept):  # noqa: F811
    replicas = [start(AGENT, **kept) for _ in range(2)]
    answers = []

    def ask(running):
        answers.extend(say(running, "x", "shared") for _ in range(5))

    threads = [threading.Thread(target=ask, args=(running,)) for running in replicas]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == sorted(f"{n}: {', '.join('x' * n)}" for n in range(1, 11))


def test_a_busy_conversation_is_refused_where_that_is_wanted(start, kept):  # noqa: F811
    replicas = [start(AGENT, **with_api(kept, when_busy="refuse")) for _ in range(2)]
    with slow_turn(replicas[0], "slow"):
        for running in replicas:
            refused = running.ask("hi", conversation="c")
            assert refused.status_code == 409
            assert refused.json()["error"]["code"] == "conversation_busy"
            assert refused.headers["retry-after"] == "1"
            assert say(running, "hi", "other").endswith("hi")
    other = replicas[1]
    other.wait_for(lambda: other.ask("hi", conversation="c").status_code == 200, "free conversation")


def test_a_turn_waits_no_longer_than_a_turn_may_take(start, kept):  # noqa: F811
    replicas = [start(AGENT, **kept), start(AGENT, **with_api(kept, timeout_s=0.2))]
    with slow_turn(replicas[0], "slower"):
        busy = replicas[1].ask("hi", conversation="c")
        assert (busy.status_code, busy.json()["error"]["code"]) == (409, "conversation_busy")


def test_a_turn_that_waits_is_told_when_its_process_leaves(start, kept):  # noqa: F811
    running = start(AGENT, **kept)
    leaving = start(AGENT, **kept | {"settings": kept["settings"] | {"health": {"grace_s": 0.2}}})
    answers = []
    waits = threading.Thread(target=lambda: answers.append(leaving.ask("hi", conversation="c")))
    with slow_turn(running, "slower"):
        waits.start()
        leaving.wait_for(lambda: "shipway_turns_waiting 1.0" in leaving.admin.get("/metrics").text, "turn")
        leaving.terminate()
        waits.join()
        assert (answers[0].status_code, answers[0].json()["error"]["code"]) == (503, "shutting_down")
        assert leaving.exit_code() == 0


@contextlib.contextmanager
def slow_turn(running, text):
    """A turn that has begun; leaving ends it."""
    body = {"input": text, "stream": True, "conversation": "c"}
    with running.api.stream("POST", "/v1/responses", json=body) as answer:
        lines = answer.iter_lines()
        while "delta" not in next(lines):
            pass
        yield


def test_readiness_names_the_database(start, tmp_path):  # noqa: F811
    port = free_port()
    env = {"DATABASE_URL": f"postgresql://postgres:hunter2@127.0.0.1:{port}/postgres"}
    settings = {"storage": {"path": str(tmp_path / "data"), "url_secret": "DATABASE_URL"}, "secrets": SECRETS}
    running = start(AGENT, ready=False, env=env, settings=settings)
    running.wait_for(lambda: running.get_admin("/healthz") == 200, "start")
    running.wait_for(lambda: listens(running.ports["API"]), "import")
    running.wait_for(lambda: "refused" in str(storage(running)["last_error"]), "reason")
    assert running.get_admin("/readyz") == 503
    assert running.get_admin("/healthz") == 200
    failed = running.ask("hi")
    assert (failed.status_code, failed.json()["error"]["code"]) == (503, "storage_unavailable")
    assert failed.headers["retry-after"] == "1"
    server = PostgresServer(_engine("postgres"), port)
    try:
        running.wait_ready()
        assert say(running, "one") == "1: one"
        server.stop()
        running.wait_for(lambda: running.get_admin("/readyz") == 503, "unready")
        assert storage(running)["state"] == "down"
        server.start()
        running.wait_ready()
        assert say(running, "two") == "2: one, two"
    finally:
        running.close()
        server.close()
    assert "Traceback" not in running.log()
    assert "hunter2" not in running.log()


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def storage(running):
    return running.admin.get("/readyz").json()["checks"].get("storage", {"last_error": None})


def test_a_file_that_is_no_database_is_no_start(start, tmp_path):  # noqa: F811
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "shipway.db").write_bytes(b"no database" * 1000)
    running = start(AGENT, ready=False, settings={"storage": {"path": str(tmp_path / "data")}})
    assert running.exit_code() == 1
    assert "something else is there; move it away" in running.log()
    assert "Traceback" not in running.log()
