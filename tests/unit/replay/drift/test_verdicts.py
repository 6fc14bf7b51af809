"""What becomes of a recording when the project around it changes, and when runs use it or do not."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shipway.errors import SpecError
from shipway.replay.drift import prompts, provenance, runs
from shipway.replay.drift.now import Now
from shipway.replay.drift.runs import Run, Runs, Unrecorded
from shipway.replay.drift.verdicts import Report, Verdict, verify
from shipway.replay.exchange import Request
from shipway.replay.traffic import Incoming

DAY = 86_400.0
RECORDED = time.time() - 10 * DAY
PROMPT = "You are the support agent of Larkspur.\nNever guess the time.\n"
TOOL: dict[str, Any] = {"name": "get_time", "input_schema": {"type": "object"}}
NOW = Now("claude-sonnet-5", directory="prompts", prompts={"system.md": PROMPT})
ANSWER = {"type": "message", "content": [{"type": "text", "text": "hi"}]}


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def body(**other: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "What time is it in Tokyo?"}]
    asked = {"model": "claude-sonnet-5", "max_tokens": 1, "system": PROMPT, "messages": messages}
    return asked | {"tools": [TOOL]} | other


class Replays:
    """A directory of recordings, made as the recorder makes them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def record(
        self, file: str = "a.json", asked: Any = None, path: str = "/v1/messages", **meta: Any
    ) -> Request:
        request = Request("POST", path, body() if asked is None else asked)
        made = provenance.describe(Incoming(request, path), None, "claude-sonnet-5")
        made |= {"prompts": {"system.md": prompts.digest(PROMPT)}, "recorded": iso(RECORDED)} | meta
        self.write(file, request, {key: value for key, value in made.items() if value is not None})
        return request

    def write(self, file: str, request: Request, meta: dict[str, Any]) -> None:
        exchange = {"request": dataclasses.asdict(request), "response": {"body": ANSWER}, "meta": meta}
        self.put(file, json.dumps(exchange))

    def put(self, file: str, text: str, at: float = RECORDED) -> None:
        (self.directory / file).write_text(text)
        os.utime(self.directory / file, (at, at))

    def verify(self, now: Now | None = NOW, *known: Run) -> Report:
        return verify(self.directory, now, Runs(known))

    def verdict(self, now: Now | None = NOW, *known: Run) -> Verdict:
        (one,) = self.verify(now, *known).verdicts
        return one


@pytest.fixture
def replays(tmp_path: Path) -> Replays:
    return Replays(tmp_path)


def iso(at: float) -> str:
    return time.strftime(provenance.DATE, time.gmtime(at))


def day(at: float) -> str:
    return iso(at)[:10]


def run(
    days_ago: float = 1, *used: str, asked: int = 3, unrecorded: tuple[Unrecorded, ...] = (), **other: Any
) -> Run:
    """A whole run with the project as it is now."""
    at = time.time() - days_ago * DAY
    return Run(
        at,
        whole=True,
        model=other.get("model", NOW.model),
        prompts=other.get("prompts", NOW.digests),
        sdks=set(other.get("sdks", ())),
        used=dict.fromkeys(used, 1),
        last_used=dict.fromkeys(used, at + 1),
        unrecorded=list(unrecorded),
        requests=asked,
    )


def missed(
    *differs: str, days_ago: float = 1, near: str = "a.json", source: str = "", **tools: str
) -> Unrecorded:
    return Unrecorded(time.time() - days_ago * DAY + 2, source, near, differs, tools)


# -- Fresh ---------------------------------------------------------------------------------------------------


def test_nothing_changed(replays: Replays) -> None:
    replays.record()
    assert replays.verdict() == Verdict("a.json", "fresh")


def test_other_prompts_and_a_new_one_change_nothing(replays: Replays) -> None:
    replays.record()
    other = dataclasses.replace(NOW, prompts={**NOW.prompts, "other.md": "x"})
    assert replays.verdict(other).state == "fresh"


# -- Prompts -------------------------------------------------------------------------------------------------


def test_a_prompt_that_changed_is_named_with_what_is_new_in_it(replays: Replays) -> None:
    replays.record()
    changed = dataclasses.replace(NOW, prompts={"system.md": f"{PROMPT}Be as brief as you can.\n"})
    expected = f"prompts/system.md changed since it was recorded on {day(RECORDED)}"
    assert replays.verdict(changed) == Verdict(
        "a.json", "stale", (f"{expected}: it now says “Be as brief as you can.”",)
    )


def test_a_prompt_that_lost_a_line_changed(replays: Replays) -> None:
    replays.record()
    changed = dataclasses.replace(NOW, prompts={"system.md": PROMPT.splitlines()[0]})
    (reason,) = replays.verdict(changed).reasons
    assert reason == f"prompts/system.md changed since it was recorded on {day(RECORDED)}"


def test_a_prompt_that_is_gone(replays: Replays) -> None:
    replays.record()
    (reason,) = replays.verdict(dataclasses.replace(NOW, prompts={})).reasons
    assert reason == f"prompts/system.md is gone since it was recorded on {day(RECORDED)}"


def test_a_run_that_used_it_with_the_prompt_of_today_knows_better(replays: Replays) -> None:
    """A prompt may be noted that the request was not made with: where none was found in it, all are."""
    replays.record()
    changed = dataclasses.replace(NOW, prompts={"system.md": "Another prompt altogether."})
    today = run(1, "a.json", prompts=changed.digests)
    assert replays.verdict(changed, today).state == "fresh"
    assert replays.verdict(changed, run(1, prompts=changed.digests)).state == "stale"
    assert replays.verdict(changed, run(1, "a.json")).state == "stale"


# -- The model -----------------------------------------------------------------------------------------------


def test_another_model(replays: Replays) -> None:
    replays.record()
    (reason,) = replays.verdict(dataclasses.replace(NOW, model="claude-opus-5")).reasons
    assert (
        reason
        == f"agent.toml says claude-opus-5, and it was recorded on {day(RECORDED)} with claude-sonnet-5"
    )


@pytest.mark.parametrize(
    "now",
    [
        dataclasses.replace(NOW, model=""),
        dataclasses.replace(NOW, model="claude-opus-5", others=frozenset({"claude-sonnet-5"})),
    ],
    ids=["none declared", "a fallback"],
)
def test_a_model_that_may_still_be_asked(replays: Replays, now: Now) -> None:
    replays.record()
    assert replays.verdict(now).state == "fresh"


def test_a_model_that_the_agent_asked_for_by_itself_does_not_follow_agent_toml(replays: Replays) -> None:
    replays.record(asked=body(model="claude-haiku-5"))
    assert replays.verdict().state == "fresh"
    replays.record(asked=body(model="claude-haiku-5"), declared_model=None)
    assert replays.verdict().state == "stale"
    assert replays.verdict(NOW, run(1, "a.json")).state == "fresh"


# -- Tools ---------------------------------------------------------------------------------------------------


def test_a_tool_that_changed_is_named_with_the_run_that_saw_it(replays: Replays) -> None:
    replays.record()
    saw = missed("messages[0].content", near="", get_time="0123")
    verdict = replays.verdict(NOW, run(1, unrecorded=(saw,)))
    assert verdict.state == "stale"
    (reason,) = verdict.reasons
    assert reason.startswith(f"tool get_time: its definition changed (seen in the run of {day(saw.at)} ")


@pytest.mark.parametrize(
    "known",
    [
        run(1, unrecorded=(missed(near="", other_tool="0123"),)),
        run(11, unrecorded=(missed(near="", get_time="0123", days_ago=11),)),
        run(1, "a.json", unrecorded=(missed(near="", get_time="0123", days_ago=2),)),
    ],
    ids=["another tool", "before the recording", "used since"],
)
def test_what_is_no_sign_of_a_changed_tool(replays: Replays, known: Run) -> None:
    replays.record()
    assert replays.verdict(NOW, known).state != "stale"


def test_a_later_recording_bears_witness_that_a_tool_changed(replays: Replays) -> None:
    """In CI there is no journal, and every file is as old as the checkout."""
    replays.record("a.json")
    later, changed = iso(RECORDED + DAY), TOOL | {"description": "the time, to the second"}
    replays.record("b.json", asked=body(tools=[changed]), recorded=later)
    for file in ("a.json", "b.json"):
        os.utime(replays.directory / file)
    old, new = replays.verify().verdicts
    assert new.state == "fresh"
    assert old.reasons == (
        f"tool get_time: its definition changed (b.json, recorded on {later[:10]}, has another)",
    )
    assert replays.verify(NOW, run(1, "a.json")).verdicts[0].state == "fresh"


def test_recordings_that_differ_in_no_tool_bear_no_witness(replays: Replays) -> None:
    replays.record("a.json")
    replays.record("b.json", recorded=iso(RECORDED + DAY))
    replays.record("c.json", asked=body(tools=[TOOL | {"description": "x"}]), recorded=None)
    assert [verdict.state for verdict in replays.verify().verdicts] == ["fresh"] * 3


def test_what_scripts_leave_out_of_matching_changes_no_tool(replays: Replays) -> None:
    for number, file in enumerate(("a.json", "b.json", "c.json")):
        told = f"session {number}" if number < 2 else "session 2, to the second"
        asked = body(tools=[TOOL | {"description": told}])
        replays.record(file, asked=asked, recorded=iso(RECORDED + number * DAY))
    assert [one.state for one in replays.verify().verdicts] == ["stale", "stale", "fresh"]
    replays.put("ignore.toml", "[[ignore]]\ntext = 'session \\d+'\n")
    assert [one.state for one in replays.verify().verdicts] == ["stale", "stale", "fresh"]
    (replays.directory / "c.json").unlink()
    assert [one.state for one in replays.verify().verdicts] == ["fresh", "fresh"]
    saw = missed(near="", get_time="0123")
    assert replays.verify(NOW, run(1, unrecorded=(saw,))).recordings("stale") == ()


# -- Misses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("differs", "told"),
    [
        (("system",), "system differs"),
        (("max_tokens", "tools[get_time].description"), "max_tokens, tools[get_time].description differ"),
        (("a", "b", "c", "d", "e"), "a, b, c and 2 more differ"),
    ],
)
def test_a_run_that_asked_this_and_missed(replays: Replays, differs: tuple[str, ...], told: str) -> None:
    replays.record()
    (reason,) = replays.verdict(NOW, run(1, unrecorded=(missed(*differs),))).reasons
    assert reason.startswith("the run of ")
    assert reason.endswith(f"asked this, and it was a miss: {told}")


def test_a_miss_is_told_where_nothing_else_says_why(replays: Replays) -> None:
    replays.record()
    changed = dataclasses.replace(NOW, prompts={"system.md": "Another prompt altogether."})
    known = run(1, unrecorded=(missed("system"),), prompts=changed.digests)
    (reason,) = replays.verdict(changed, known).reasons
    assert reason.startswith("prompts/system.md changed")


def test_a_script_that_answered_instead_is_named(replays: Replays) -> None:
    replays.record()
    hidden = missed("system", source="scripted.toml:7")
    (reason,) = replays.verdict(NOW, run(1, unrecorded=(hidden,))).reasons
    assert "asked this, and scripted.toml:7 answered instead: system differs" in reason


CALLED = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "get_time", "input": {}}]}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "19:42"}]}
QUESTION = {"role": "user", "content": "What time is it in Tokyo?"}
FUNCTION = {"type": "function_call_output", "call_id": "c", "output": "19:42"}


@pytest.mark.parametrize(
    ("asked", "path", "stale"),
    [
        (body(), "messages[0].content", False),
        (body(), "messages[1].content", False),  # the conversation went on
        (body(messages=[QUESTION, CALLED, RESULT]), "messages[2].content[0].content", True),
        (body(messages=[QUESTION, CALLED, RESULT]), "messages[1].content[0].input.zone", True),
        (body(messages=[QUESTION, CALLED, RESULT]), "messages[0].content", False),
        (body(messages=[{"role": "system", "content": "x"}, QUESTION]), "messages[0].content", True),
        (body(input="What time is it?"), "input", False),
        (body(input=[QUESTION, FUNCTION]), "input[0].content", False),
        (body(input=[QUESTION, FUNCTION]), "input[1].output", True),
        (body(contents=[{"role": "user", "parts": [{"text": "x"}]}]), "contents[0].parts[0].text", False),
        (
            body(contents=[{"role": "user", "parts": [{"functionResponse": {}}]}]),
            "contents[0].parts[0].functionResponse.response",
            True,
        ),
        ("no object", "body", True),
    ],
)
def test_another_question_is_no_drift_and_another_result_is(
    replays: Replays, asked: Any, path: str, stale: bool
) -> None:
    replays.record(asked=asked)
    assert (replays.verdict(NOW, run(1, unrecorded=(missed(path),))).state == "stale") is stale


def test_another_question_with_another_prompt_is_another_question(replays: Replays) -> None:
    replays.record()
    both = missed("system", "messages[0].content")
    assert replays.verdict(NOW, run(1, unrecorded=(both,))).state != "stale"


@pytest.mark.parametrize(
    "known",
    [
        run(1, "a.json", unrecorded=(missed("system", days_ago=2),)),
        run(11, unrecorded=(missed("system", days_ago=11),)),
        run(1, unrecorded=(missed("system", near="b.json"),)),
        run(1, unrecorded=(missed("system"),), prompts={"system.md": "0123"}),
        run(1, "a.json", unrecorded=(missed("system", days_ago=0.5),)),
    ],
    ids=["used since", "before the recording", "another recording", "a prompt changed back", "used as well"],
)
def test_a_miss_that_says_nothing_of_it(replays: Replays, known: Run) -> None:
    replays.record()
    assert replays.verdict(NOW, known).state != "stale"


def test_a_file_that_was_mended_after_the_miss(replays: Replays) -> None:
    replays.record()
    os.utime(replays.directory / "a.json")
    assert replays.verdict(NOW, run(1, unrecorded=(missed("system"),))).state != "stale"


# -- Use -----------------------------------------------------------------------------------------------------


def test_what_no_run_used_is_unused_and_says_what_was_looked_at(replays: Replays) -> None:
    replays.record()
    known = run(3, "b.json", asked=10), run(2, "b.json", asked=21)
    assert replays.verdict(NOW, *known) == Verdict(
        "a.json",
        "unused",
        (f"not used by the 2 runs since {iso(known[0].at)[:16].replace('T', ' ')} (31 requests)",),
    )
    (reason,) = replays.verdict(NOW, run(1, asked=1)).reasons
    assert reason.endswith("(1 request)")


@pytest.mark.parametrize(
    "known",
    [
        (run(2, "a.json"), run(1)),
        (run(1, asked=0),),
        (run(11),),
        (dataclasses.replace(run(1), whole=False),),
        (),
    ],
    ids=["used before", "asked nothing", "before the recording", "half a run", "no run"],
)
def test_what_no_run_could_have_used_is_not_unused(replays: Replays, known: tuple[Run, ...]) -> None:
    replays.record()
    assert replays.verdict(NOW, *known).state == "fresh"


def test_a_further_answer_says_whose_it_is(replays: Replays) -> None:
    replays.record("a.json")
    replays.record("b.json")
    first, second = replays.verify(NOW, run(1, "a.json")).verdicts
    assert first.state == "fresh"
    assert second.state == "unused"
    assert second.reasons[0].endswith("; it is a further answer to the request of a.json")


def test_what_is_stale_is_not_called_unused_too(replays: Replays) -> None:
    replays.record()
    assert replays.verdict(dataclasses.replace(NOW, model="x"), run(1)).state == "stale"


def test_what_is_older_than_somebody_wants(replays: Replays) -> None:
    replays.record()
    old, young = (dataclasses.replace(NOW, oldest=RECORDED + days * DAY) for days in (1, -1))
    assert replays.verdict(old).reasons == (f"recorded on {day(RECORDED)}, which is too long ago",)
    assert replays.verdict(young).state == "fresh"
    replays.record(recorded=None)
    assert replays.verdict(old).state == "fresh"


# -- What is not known ---------------------------------------------------------------------------------------


def test_without_meta_nothing_is_known_until_a_run_uses_it(replays: Replays) -> None:
    replays.write("a.json", Request("POST", "/v1/messages", body()), {"source": "by hand"})
    unknown = replays.verdict()
    assert unknown.state == "unknown"
    assert "does not say what it was made with" in unknown.reasons[0]
    assert replays.verdict(NOW, run(1, "a.json")).state == "fresh"
    assert replays.verdict(NOW, run(1, "a.json", prompts={})).state == "unknown"


def test_without_a_project_nothing_is_stale(replays: Replays) -> None:
    replays.record()
    assert replays.verdict(None).state == "unknown"


@pytest.mark.parametrize(
    "meta",
    [
        {"prompts": 3, "tools": ["x"], "recorded": 5, "model": None, "sdk": {}},
        {"recorded": "yesterday", "model": "claude-sonnet-5"},
    ],
)
def test_meta_is_the_writers_own_and_may_hold_anything(replays: Replays, meta: dict[str, Any]) -> None:
    replays.write("a.json", Request("POST", "/v1/messages", body()), meta)
    assert replays.verdict(NOW, run(1)).state in ("fresh", "unknown", "unused")


# -- Remarks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recorded", "used", "told"),
    [
        ("anthropic-python/1.4.0", "anthropic-python/2.12.0", True),
        ("anthropic-python/0.60.0", "anthropic-python/1.0.0", True),
        ("anthropic-python/2.0.0", "anthropic-python/2.12.0", False),
        ("anthropic-python/2.0.0", "anthropic-python/1.0.0", False),
        ("openai-python/1.0.0", "anthropic-python/2.12.0", False),
        ("x", "y", False),
        (None, "anthropic-python/2.12.0", False),
    ],
)
def test_an_older_sdk_is_a_remark_and_no_drift(
    replays: Replays, recorded: str | None, used: str, told: bool
) -> None:
    replays.record(sdk=recorded)
    verdict = replays.verdict(NOW, run(1, "a.json", sdks=[used]))
    assert verdict.state == "fresh"
    assert verdict.remarks == ((f"recorded with {recorded}, the last run used {used}",) if told else ())


def test_a_path_of_no_api_is_a_remark(replays: Replays) -> None:
    replays.record(path="/v1/message")
    (remark,) = replays.verdict().remarks
    assert remark.startswith("no API that the replay knows has the path /v1/message")


# -- Scripts, and files that are wrong -----------------------------------------------------------------------


SCRIPT = '[[reply]]\nwhen = "time"\nsay = "late"\n\n[[reply]]\nsay = "hm"\n'


def test_replies_that_never_answered(replays: Replays) -> None:
    replays.put("scripted.toml", SCRIPT)
    first, second = replays.verify(NOW, run(1, "scripted.toml:1")).verdicts
    assert (first.file, first.state) == ("scripted.toml:1", "fresh")
    assert (second.file, second.state, second.scripted) == ("scripted.toml:5", "unused", True)
    assert {verdict.state for verdict in replays.verify().verdicts} == {"fresh"}


def test_runs_before_a_script_was_edited_say_nothing_of_its_lines(replays: Replays) -> None:
    replays.put("scripted.toml", SCRIPT, at=time.time())
    assert {verdict.state for verdict in replays.verify(NOW, run(1)).verdicts} == {"fresh"}


def test_files_that_cannot_be_read_are_told_all_at_once(replays: Replays) -> None:
    replays.record()
    replays.put("b.json", "{\n 3")
    replays.put("c.toml", "[[reply]]\n")
    (replays.directory / "d.json").write_bytes(b"\xff")
    with pytest.raises(SpecError) as raised:
        replays.verify()
    told = {Path(finding.file).name: finding.line for finding in raised.value.findings}
    assert told == {"b.json": 2, "c.toml": 1, "d.json": 0}


def test_runs_are_read_as_they_were_written() -> None:
    lines = [
        '{"run": "x", "at": 5, "format": 1, "model": "m", "prompts": {"p": "1"}}',
        '{"run": "x", "at": 6, "file": "", "near": "a.json", "differs": ["system"], "tools": {"t": "2"}}',
    ]
    (one,) = runs.parse(lines).runs
    assert one.unrecorded == [Unrecorded(6.0, "", "a.json", ("system",), {"t": "2"})]
    assert (one.requests, one.missed) == (1, 1)
