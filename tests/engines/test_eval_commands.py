"""promptfoo, inspect-ai, deepeval and pydantic-evals, each installed for itself and run by `shipway eval`
against an agent on loopback; none of them asks a model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.installing import from_npm, from_pypi
from tests.model_api import Asked, ModelApi, Says, says_json

pytestmark = pytest.mark.network

SHIPWAY = Path(sys.executable).with_name("shipway")
SPEC = """\
name = "desk"
entrypoint = "agent:agent"
[evals]
command = "{}"
"""
DEADLINE_S = 500.0


def agent(asked: Asked) -> Says:
    """An agent that repeats what it is asked, and fails when it is told to."""
    if asked.method == "GET":
        return says_json({}, x_shipway_revision="r1")
    said = asked.body["input"]
    said = said if isinstance(said, str) else said[-1]["content"]
    if said == "die":
        return says_json({"error": {"message": "the agent failed"}}, 500, x_should_retry="false")
    item = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": f"You said: {said}", "annotations": []}],
    }
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    found = {"id": "resp_1", "object": "response", "model": "desk", "status": "completed", "output": [item]}
    return says_json(found | {"usage": usage, "error": None}, x_shipway_revision="r1")


@pytest.fixture
def url() -> Iterator[str]:
    with ModelApi(agent) as server:
        yield server.url


def run(
    root: Path, url: str, command: str, programs: Path, *options: str, **environ: str
) -> tuple[int, dict[str, Any], str]:
    """The exit code, the JSON and the talk of `shipway eval` in a project with this command."""
    (root / "agent.toml").write_text(SPEC.format(command))
    env = {name: value for name, value in os.environ.items() if not name.startswith("SHIPWAY_")}
    env |= {"PATH": f"{programs}:{env['PATH']}", "HOME": str(root), **environ}
    done = subprocess.run(
        (SHIPWAY, "eval", str(root), "--url", url, "--json", *options),
        env=env,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


def statuses(run: dict[str, Any]) -> dict[str, tuple[str, float | None]]:
    return {result["id"]: (result["status"], result["score"]) for result in run["results"]}


ASK = """
import json, os, urllib.request

def ask(text):
    request = urllib.request.Request(
        os.environ["SHIPWAY_URL"] + "/v1/responses",
        json.dumps({"input": text}).encode(),
        {"content-type": "application/json"},
    )
    return json.load(urllib.request.urlopen(request))["output"][0]["content"][0]["text"]
"""

# -- promptfoo -----------------------------------------------------------------------------------------------

PROMPTFOO = """
prompts: ['{{q}}']
providers:
  - id: openai:responses:desk
    config: {apiBaseUrl: '{{env.SHIPWAY_URL}}/v1', apiKey: none}
defaultTest:
  options:
    provider: {id: 'openai:chat:judge', config: {apiBaseUrl: '{{env.SHIPWAY_URL}}/nothing', apiKey: none}}
tests:
  - {description: good, vars: {q: hello}, assert: [{type: contains, value: hello}]}
  - {description: bad, vars: {q: bye}, assert: [{type: contains, value: hello}, {type: regex, value: b.e}]}
  - {description: dies, vars: {q: die}, assert: [{type: contains, value: x}]}
  - description: judged
    vars: {q: hello}
    assert: [{type: contains, value: hello}, {type: llm-rubric, value: x}]
"""


@pytest.mark.long
def test_promptfoo(tmp_path: Path, url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("promptfoo")
    modules = from_npm(place, "promptfoo@0.121.20", "@libsql/linux-x64-gnu@0.5.22")
    (tmp_path / "promptfooconfig.yaml").write_text(PROMPTFOO)
    quiet = {"PROMPTFOO_DISABLE_TELEMETRY": "1", "PROMPTFOO_DISABLE_UPDATE": "1"}
    code, found, talk = run(tmp_path, url, "promptfoo eval --no-cache --no-table", modules / ".bin", **quiet)
    assert code == 3, talk
    assert statuses(found) == {
        "good": ("passed", 1.0),
        "bad": ("failed", 0.5),
        "dies": ("failed", 0.0),
        "judged": ("missing", None),
    }
    assert (found["revision"], found["source"]) == ("r1", "promptfoo eval --no-cache --no-table")


# -- inspect-ai ----------------------------------------------------------------------------------------------

INSPECT = (
    ASK
    + """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput
from inspect_ai.scorer import Score, accuracy, includes, scorer
from inspect_ai.solver import solver

@solver
def agent():
    async def solve(state, generate):
        state.output = ModelOutput.from_content("desk", ask(state.input_text))
        return state
    return solve

@scorer(metrics=[accuracy()])
def judge():
    async def score(state, target):
        return Score(value=float("nan") if state.input_text == "judge" else 0.75)
    return score

@task
def desk():
    samples = [
        Sample(id="good", input="hello", target="hello"),
        Sample(id="bad", input="bye", target="hello"),
        Sample(id="dies", input="die", target="x"),
        Sample(id="judged", input="judge", target="judge"),
    ]
    return Task(dataset=samples, solver=agent(), scorer=[includes(), judge()], fail_on_error=False)

@task
def broken():
    raise RuntimeError("no such data set")
"""
)


def test_inspect_ai(tmp_path: Path, url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    programs = from_pypi(tmp_path_factory.mktemp("inspect"), "inspect-ai==0.3.285")
    (tmp_path / "task.py").write_text(INSPECT)
    options = "--model mockllm/model --display none"
    code, found, talk = run(tmp_path, url, f"inspect eval task.py@desk {options}", programs)
    assert code == 3, talk
    assert statuses(found) == {
        "good": ("passed", 0.875),
        "bad": ("failed", 0.375),
        "dies": ("failed", 0.0),
        "judged": ("missing", None),
    }
    assert found["results"][0]["text"].startswith("You said: ")
    code, _, talk = run(tmp_path, url, f"inspect eval task.py@broken {options}", programs)
    assert code == 1
    assert "left no results" in talk


# -- deepeval ------------------------------------------------------------------------------------------------

DEEPEVAL = (
    ASK
    + """
import pytest
from deepeval import assert_test
from deepeval.metrics import BaseMetric
from deepeval.test_case import LLMTestCase

class Mine(BaseMetric):
    def __init__(self, judge):
        self.threshold, self.judge, self.async_mode = 0.5, judge, False
    def measure(self, case, *a, **k):
        if self.judge:
            raise RuntimeError("the judge is down")
        self.score = 1.0 if "hello" in case.actual_output else 0.2
        self.success, self.reason = self.score >= self.threshold, "because"
        return self.score
    async def a_measure(self, case, *a, **k):
        return self.measure(case)
    def is_successful(self):
        return self.success
    @property
    def __name__(self):
        return "Mine"

@pytest.mark.parametrize("name,text", TESTS)
def test_it(name, text):
    case = LLMTestCase(input=text, actual_output=ask(text), name=name)
    assert_test(case, [Mine(judge=name == "judged")])
"""
)


def test_deepeval(tmp_path: Path, url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    programs = from_pypi(tmp_path_factory.mktemp("deepeval"), "deepeval==4.3.1")
    tests = '[("good", "hello"), ("bad", "bye"), ("judged", "hello")]'
    (tmp_path / "test_desk.py").write_text(DEEPEVAL.replace("TESTS", tests))
    code, found, talk = run(tmp_path, url, "deepeval test run test_desk.py", programs)
    assert code == 3, talk
    assert statuses(found) == {"good": ("passed", 1.0), "bad": ("failed", 0.2), "judged": ("missing", None)}
    (tmp_path / "test_desk.py").write_text(DEEPEVAL.replace("TESTS", '[("good", "hello"), ("dies", "die")]'))
    code, found, talk = run(tmp_path, url, "deepeval test run test_desk.py", programs)
    assert code == 4, talk
    assert statuses(found)["good"] == ("passed", 1.0)
    assert "it ended with code 1, though each case in its results passed" in json.dumps(found)


# -- pydantic-evals ------------------------------------------------------------------------------------------

PYDANTIC = (
    ASK
    + """
from dataclasses import dataclass
from pathlib import Path

from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import Contains, Evaluator
from pydantic_evals.reporting import EvaluationReportAdapter

@dataclass
class Judge(Evaluator):
    def evaluate(self, ctx):
        raise RuntimeError("the judge is down")

@dataclass
class Length(Evaluator):
    def evaluate(self, ctx):
        return 0.75

cases = [
    Case(name="good", inputs="hello"),
    Case(name="bad", inputs="bye"),
    Case(name="dies", inputs="die"),
    Case(name="judged", inputs="hello", evaluators=(Judge(),)),
]
desk = Dataset(name="desk", cases=cases, evaluators=[Contains("hello"), Length()])
report = desk.evaluate_sync(ask, progress=False)
Path(os.environ["SHIPWAY_EVAL_RESULTS"]).write_bytes(EvaluationReportAdapter.dump_json(report))
"""
)


def test_pydantic_evals(tmp_path: Path, url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    programs = from_pypi(tmp_path_factory.mktemp("pydantic"), "pydantic-evals==2.62.0")
    (tmp_path / "evals.py").write_text(PYDANTIC)
    code, found, talk = run(tmp_path, url, f"{programs}/python evals.py", programs)
    assert code == 3, talk
    assert statuses(found) == {
        "good": ("passed", 0.75),
        "bad": ("failed", 0.0),
        "dies": ("failed", 0.0),
        "judged": ("missing", None),
    }
    (tmp_path / "before.json").write_text(json.dumps(found))
    against = ("--against", str(tmp_path / "before.json"))
    code, again, talk = run(tmp_path, url, f"{programs}/python evals.py", programs, *against)
    assert code == 4, talk
    assert (again["against"]["cases"], again["against"]["missing"]) == (3, 1)
    assert (again["against"]["worse"], again["against"]["before"]) == ([], "r1")
