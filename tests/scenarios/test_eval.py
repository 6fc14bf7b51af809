"""`shipway eval` as a user runs it: a stack of this machine, a suite, a scorer, a judge that is replayed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.controlling import TOKENS, ControlProcess
from tests.model_api import ModelApi, says_json
from tests.ports import free_port
from tests.scenarios.stacks import SHIPWAY, Project, until

from shipway.evals import records

AGENT = """
import os
from pathlib import Path

from shipway_runtime.dialogue import ToolCall, ToolResult

tossed = []


async def agent(messages, ctx):
    said = messages[-1]["content"]
    if said == "fail":
        raise RuntimeError("told to")
    if said == "coin":
        tossed.append(said)
        yield "heads" if len(tossed) % 2 else "tails"
        return
    if said == "wait":
        Path("waiting").touch()
        import asyncio
        await asyncio.sleep(3600)
    if "time" in said:
        yield ToolCall("1", "get_time", '{"zone": "Asia/Tokyo"}', "clock")
        yield ToolResult("1", "19:42")
        yield "It is 19:42 in Tokyo."
    else:
        ctx.used({"input_tokens": 1000, "output_tokens": 100})
        yield f"{len(messages)}: {said}"
"""
SPEC = """\
name = "desk"
entrypoint = "agent:agent"
[model]
provider = "anthropic"
name = "big"
prices = { big = { input = 2, output = 10 } }
[evals]
"""
JUDGE = """\
[[reply]]
when = 'Assistant: \\d: (good|great)'
say = { reason = "it says good", pass = true }
[[reply]]
when = 'Assistant: \\d: odd'
say = "I would rather not say."
[[reply]]
when = 'You judge'
say = { reason = "it does not say good", pass = false }
"""
SUITE = [
    {"id": "hello", "input": "hello", "checks": [{"contains": "hello"}, "no_error", {"latency": "60s"}]},
    {"id": "time", "input": "time?", "checks": [{"tool_called": "clock/get_time"}, {"tool_not_called": "x"}]},
    {"id": "two", "turns": ["one", {"input": "two", "checks": [{"equals": "3: two"}]}], "tags": ["turns"]},
    {"id": "cheap", "input": "cheap", "checks": [{"cost": 0.003}]},
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    root = tmp_path_factory.mktemp("desk")
    project = Project(root, free_port())
    project.env["COLUMNS"] = "200"
    project.write(agent_py=AGENT, agent_toml=SPEC)
    (root / "replays").mkdir()
    (root / "replays/judge.toml").write_text(JUDGE)
    (root / "evals").mkdir()
    project.up(*project.options)
    yield project
    project.close()


def suite(project: Project, *cases: dict[str, Any], spec: str = "", score: str | None = None) -> None:
    project.write(agent_toml=SPEC + spec)
    (project.root / "evals/a.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    (project.root / "evals/score.py").write_text(score or "")


def test_a_suite_that_passes(project: Project) -> None:
    suite(project, *SUITE)
    done = project.run("eval", "--junit", "out.xml")
    assert done.returncode == 0, done.stderr
    assert [line.split()[:3] for line in done.stdout.splitlines()[1:]] == [
        [name, "passed", "1.00"] for name in ("hello", "time", "two", "cheap")
    ]
    assert "$0.0030" in done.stdout
    assert "pass: 4 of 4 cases passed (100.0%; 95 % interval 51.0% to 100.0%)" in done.stderr
    assert "note: the model's answers are replayed from " in done.stderr
    assert ElementTree.parse(project.root / "out.xml").getroot().get("tests") == "4"


def test_failures_are_told_with_what_was_seen(project: Project) -> None:
    suite(project, {"id": "a", "input": "fail", "checks": ["no_error"]}, *SUITE[:2])
    (project.root / "evals/b.jsonl").write_text(
        json.dumps(
            {"id": "b", "input": "bye", "checks": [{"contains": "farewell"}, {"tool_called": "get_time"}]}
        )
    )
    done = project.run("eval")
    (project.root / "evals/b.jsonl").unlink()
    assert done.returncode == 3
    assert "answer: 500: the agent failed to answer" in done.stdout
    assert 'contains: does not say "farewell": "1: bye"' in done.stdout
    assert "get_time was not called; called: none" in done.stdout
    assert "fail: 2 of 4 cases passed" in done.stderr
    again = project.run("eval", "--failed", "--json")
    assert [result["id"] for result in json.loads(again.stdout)["results"]] == ["a"]
    suite(project, *SUITE)
    assert project.run("eval").returncode == 0
    assert "every case passed in the last run here" in project.run("eval", "--failed").stderr


def test_part_of_a_suite_and_json(project: Project) -> None:
    suite(project, *SUITE)
    done = project.run("eval", "-k", "turns", "--json")
    found = json.loads(done.stdout)
    assert [result["id"] for result in found["results"]] == ["two"]
    assert (found["verdict"], found["name"], found["environment"]) == ("pass", "desk", "development")
    assert found["revisions"] == [found["revision"]]
    assert project.run("eval", "-k", "nothing").returncode == 2


def test_enough_is_what_agent_toml_requires(project: Project) -> None:
    suite(project, {"id": "a", "input": "fail", "checks": ["no_error"]}, *SUITE, spec="required = 0.8\n")
    done = project.run("eval")
    assert done.returncode == 0, done.stderr
    assert "4 of 5 cases passed" in done.stderr


def test_a_scorer_of_the_projects_own(project: Project) -> None:
    source = "def score(case, answer):\n    return {'hello': 0.8, 'time': 0.2}.get(case['id']) or 1 / 0\n"
    suite(project, *SUITE[:3], spec='scorer = "evals.score:score"\n', score=source)
    done = project.run("eval", "--json")
    assert done.returncode == 3
    scores = {
        result["id"]: (result["status"], result["score"]) for result in json.loads(done.stdout)["results"]
    }
    assert scores == {"hello": ("passed", 0.8), "time": ("failed", 0.2), "two": ("missing", None)}
    assert "ZeroDivisionError: division by zero" in done.stderr
    suite(project, SUITE[2], spec='scorer = "evals.score:score"\n', score=source)
    done = project.run("eval")
    assert done.returncode == 4
    assert "inconclusive: 0 of 0 cases passed, 1 without a result" in done.stderr


LABELS = [
    {"id": f"l{i}", "input": "q", "answer": answer, "judge": "says good", "label": label}
    for i, (answer, label) in enumerate(
        [("1: good", True), ("1: bad", True), ("1: bad", False), ("1: odd", False)]
    )
]


def test_a_judge_is_calibrated_and_what_it_does_not_say_is_missing(project: Project) -> None:
    cases = [
        {"id": name, "input": name, "expected": "says good", "checks": ["judge"]}
        for name in ("good", "bad", "odd")
    ]
    suite(project, *cases, *LABELS)
    done = project.run("eval", "--json")
    assert done.returncode == 3, done.stderr
    found = json.loads(done.stdout)
    assert [result["status"] for result in found["results"]] == ["passed", "failed", "missing"]
    judge = found["judge"]
    assert (judge["sensitivity"], judge["specificity"], judge["j"], judge["missing"]) == (0.5, 1.0, 0.5, 1)
    assert judge["wrong"] == ["l1"]
    assert "judge big: sensitivity 0.50 [0.09, 0.91], specificity 1.00" in done.stderr
    suite(project, cases[0])
    assert "judge big: never calibrated; add labelled answers" in project.run("eval").stderr


def test_a_judge_without_a_key_is_missing_data(project: Project) -> None:
    suite(project, {"id": "a", "input": "good", "checks": [{"judge": "says good"}]})
    url = project.state()["api"]
    assert "ANTHROPIC_API_KEY" not in project.env
    done = project.run("eval", "--url", url)
    assert done.returncode == 4
    assert "the judge needs ANTHROPIC_API_KEY" in done.stdout


def test_a_judge_is_asked_with_the_key_of_the_projects_env_file(project: Project) -> None:
    suite(
        project, {"id": "a", "input": "good", "checks": [{"judge": "says good"}]}, spec='judge = "strict"\n'
    )
    verdict = {"content": [{"type": "text", "text": '{"reason": "so", "pass": false}'}]}
    (project.root / ".env").write_text("ANTHROPIC_API_KEY=from-the-file\n")
    with ModelApi(lambda asked: says_json(verdict)) as model:
        project.env["ANTHROPIC_BASE_URL"] = model.url
        done = project.run("eval", "--url", project.state()["api"])
        del project.env["ANTHROPIC_BASE_URL"]
    (project.root / ".env").unlink()
    assert done.returncode == 3, done.stderr
    assert "judge: so" in done.stdout
    assert [(asked.headers["x-api-key"], asked.body["model"]) for asked in model.asked] == [
        ("from-the-file", "strict")
    ]


def test_against_an_earlier_run(project: Project) -> None:
    cases = [{"id": f"c{i}", "input": f"say {i}", "checks": [{"contains": f"say {i}"}]} for i in range(60)]
    suite(project, *cases)
    before = project.run("eval", "--json")
    assert before.returncode == 0, before.stderr
    (project.root / "before.json").write_text(before.stdout)
    same = project.run("eval", "--against", "before.json")
    assert same.returncode == 0, same.stderr
    assert "no loss beyond the margin on this suite" in same.stderr
    by_name = project.run("eval", "--against", json.loads(before.stdout)["revision"])
    assert by_name.returncode == 0, by_name.stderr
    suite(project, *({**case, "checks": [{"contains": "never"}]} for case in cases))
    worse = project.run("eval", "--against", "before.json", "--json")
    assert worse.returncode == 3
    found = json.loads(worse.stdout)["against"]
    assert found["stopped"]
    assert found["cases"] < 60
    assert project.run("eval", "--against", "r-unknown").returncode == 1


def test_against_an_agent_that_runs(project: Project) -> None:
    """The same agent twice is no worse than itself; which one is asked first does not matter."""
    suite(project, *SUITE)
    url = project.state()["api"]
    done = project.run("eval", "--against", url, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["against"]["before"] == url


def test_an_interrupt_prints_what_is_done(project: Project) -> None:
    suite(project, SUITE[0], {"id": "long", "input": "wait", "checks": ["no_error"]}, SUITE[1])
    command = (SHIPWAY, "eval", "-j", "1", "--json")
    asked = subprocess.Popen(
        command, cwd=project.root, env=project.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert until(lambda: bool(list(project.root.rglob("waiting"))))
    asked.send_signal(signal.SIGINT)
    out, err = asked.communicate(timeout=60)
    assert asked.returncode == 130, err
    assert [result["status"] for result in json.loads(out)["results"]] == ["passed", "missing", "missing"]
    assert "inconclusive: 1 of 1 cases passed" in err
    assert "Traceback" not in err


def test_runs_are_kept_by_control_and_found_there(project: Project, tmp_path: Path) -> None:
    suite(project, *SUITE)
    control = ControlProcess(tmp_path)
    project.env |= {"SHIPWAY_CONTROL_URL": control.url, "SHIPWAY_CONTROL_TOKEN": TOKENS["report"]}
    try:
        done = project.run("eval")
        assert done.returncode == 0, done.stderr
        assert f"reported to {control.url}" in done.stderr
        asked = {"params": {"name": "desk", "environment": "development"}}
        (kept,) = control.ask("read", "GET", "/v1/evals", **asked).json()
        assert (kept["verdict"], kept["passed"]) == ("pass", 4)
        shutil.rmtree(project.root / records.PLACE)
        found = project.run("eval", "--against", kept["revision"], "-k", "turns", "--json")
        assert found.returncode == 0, found.stderr
        assert json.loads(found.stdout)["against"]["before"] == kept["revision"]
        unknown = project.run("eval", "--against", "r-unknown")
        assert f"{control.url} has no run of r-unknown" in unknown.stderr
        project.env["SHIPWAY_CONTROL_TOKEN"] = "wrong"
        refused = project.run("eval")
        assert refused.returncode == 0
        assert "not reported: " in refused.stderr
        assert "SHIPWAY_CONTROL_TOKEN is missing or wrong" in refused.stderr
    finally:
        for name in ("SHIPWAY_CONTROL_URL", "SHIPWAY_CONTROL_TOKEN"):
            project.env.pop(name, None)
        control.close()


def test_a_case_that_is_asked_again_and_again_passes_if_it_does_each_time(project: Project) -> None:
    suite(project, {"id": "coin", "input": "coin", "checks": [{"contains": "heads"}]}, SUITE[0])
    done = project.run("eval", "--repeat", "4", "--json")
    assert done.returncode == 3, done.stderr
    coin, hello = json.loads(done.stdout)["results"]
    assert (coin["status"], coin["score"], coin["repeats"], coin["text"]) == ("failed", 0.5, 4, "tails")
    assert (hello["status"], hello["score"], hello["repeats"]) == ("passed", 1.0, 4)
    assert '  asked: coin\n  said:  tails\n  contains: does not say "heads"' in done.stderr
    assert "repeats: passed 2 of 4 times" in done.stderr


def test_nothing_runs(tmp_path: Path) -> None:
    project = Project(tmp_path, free_port())
    project.write(agent_py=AGENT, agent_toml=SPEC)
    (tmp_path / "evals").mkdir()
    suite(project, *SUITE)
    done = project.run("eval")
    assert done.returncode == 1
    assert "no stack runs in" in done.stderr
    assert "shipway up" in done.stderr
    (tmp_path / "evals/a.jsonl").write_text("{\n")
    done = project.run("eval", "--url", "http://127.0.0.1:1")
    assert done.returncode == 2
    assert "evals/a.jsonl:1: not JSON" in done.stderr
