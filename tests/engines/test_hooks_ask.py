"""What is rendered for ECS and Nomad asks a real control: the Lambda function as ECS calls it, the job's
program beside an API that is Nomad's."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.controlling import TOKENS, ControlProcess
from tests.nomad_schema import read
from tests.rollouts import DEPLOYMENT, STABLE, Users, planned

from shipway.plan.rollout import RolloutPlan
from shipway.plan.stack import StackPlan
from shipway.render import gate
from shipway.render.ecs import files as ecs
from shipway.render.nomad import files as nomad

HELD = ("{ weight = 25 }, ", "")
"""Steps that have a hold alone."""
TARGET = "arn:aws:ecs:eu-west-1:123456789012:service-revision/agents/support-prod/2"
BEFORE = "arn:aws:ecs:eu-west-1:123456789012:service-revision/agents/support-prod/1"


@pytest.fixture
def control(tmp_path: Path) -> Iterator[ControlProcess]:
    made = ControlProcess(tmp_path)
    yield made
    made.close()


@pytest.fixture
def plans(tmp_path: Path) -> tuple[StackPlan, RolloutPlan]:
    return planned(tmp_path, HELD)


@pytest.fixture
def users(control: ControlProcess, plans: tuple[StackPlan, RolloutPlan]) -> Users:
    plan, rollout = plans
    return Users(control, str(plan.revision), gate.body(rollout))


def gates(control: ControlProcess) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = control.ask("read", "GET", "/v1/gates", params=DEPLOYMENT).json()
    return found


# -- ECS -----------------------------------------------------------------------------------------------------


class Hook:
    """The function, and the details that ECS passes on from one call to the next."""

    def __init__(self, directory: Path, plans: tuple[StackPlan, RolloutPlan]) -> None:
        found = ecs.render(*plans).owned
        (directory / "hook.py").write_text(found["hook.py"])
        configuration = json.loads(found["canary-deployment.json"])
        (self.hook,) = configuration["lifecycleHooks"]
        self.details: dict[str, Any] = self.hook["hookDetails"]
        self._module = _loaded(directory / "hook.py")

    def call(self, weight: float | None) -> dict[str, Any]:
        """As at PRE_PRODUCTION_TRAFFIC_SHIFT; None before anybody is sent to the canary."""
        weights = {} if weight is None else {BEFORE: 100 - weight, TARGET: weight}
        event = {
            "executionId": "e8d5a28f-eb01-4f3c-9454-a30ba6dc54bc",
            "lifecycleStage": "PRE_PRODUCTION_TRAFFIC_SHIFT",
            "resourceArn": "arn:aws:ecs:eu-west-1:123456789012:service-deployment/agents/support-prod/x",
            "executionDetails": {
                "serviceArn": "arn:aws:ecs:eu-west-1:123456789012:service/agents/support-prod",
                "targetServiceRevisionArn": TARGET,
                "testTrafficWeights": {},
                "productionTrafficWeights": weights,
            },
            "hookDetails": self.details,
        }
        answer: dict[str, Any] = self._module.handler(json.loads(json.dumps(event)), None)
        assert answer["hookStatus"] in ("SUCCEEDED", "FAILED", "IN_PROGRESS")
        self.details = answer.get("hookDetails", self.details)
        return answer

    def let_time_pass(self) -> None:
        """As if the hold had begun long ago."""
        assert "since" in self.details
        self.details = self.details | {"since": 1.0}


def _loaded(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("hook", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def hook(
    tmp_path: Path,
    control: ControlProcess,
    plans: tuple[StackPlan, RolloutPlan],
    monkeypatch: pytest.MonkeyPatch,
) -> Hook:
    monkeypatch.setenv("SHIPWAY_CONTROL_URL", control.url)
    monkeypatch.setenv("SHIPWAY_CONTROL_TOKEN", TOKENS["operate"])
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return Hook(tmp_path, plans)


def test_ecs_begins_a_gate_before_anybody_is_sent_over(
    hook: Hook, users: Users, control: ControlProcess
) -> None:
    users.converse(stable=3, canary=0)
    assert hook.call(None) == {"hookStatus": "SUCCEEDED"}
    (begun,) = gates(control)
    assert (begun["stable"], begun["share"]) == (STABLE, 0.05)


def test_a_first_deployment_has_nothing_to_be_compared_with(hook: Hook, control: ControlProcess) -> None:
    assert hook.call(None) == {"hookStatus": "SUCCEEDED"}
    assert hook.call(5) == {"hookStatus": "SUCCEEDED"}
    assert gates(control) == []


def test_ecs_goes_on_after_the_hold_and_not_before(hook: Hook, users: Users, control: ControlProcess) -> None:
    users.converse(stable=3, canary=3)
    users.begin()
    users.wait("no-harm")
    waits = hook.call(5)
    assert waits["hookStatus"] == "IN_PROGRESS"
    assert 0 < waits["callBackDelay"] <= 60
    hook.let_time_pass()
    assert hook.call(5) == {"hookStatus": "SUCCEEDED"}
    assert gates(control)[0]["ended"], "nobody judges any more"


def test_ecs_goes_back_at_once(hook: Hook, users: Users, control: ControlProcess) -> None:
    users.converse(stable=150, canary=150, canary_fails=True)
    users.begin()
    users.wait("harm")
    assert hook.call(5) == {"hookStatus": "FAILED"}
    assert gates(control)[0]["ended"]


def test_ecs_waits_for_data_and_for_a_control_that_is_away(
    hook: Hook, users: Users, control: ControlProcess
) -> None:
    users.converse(stable=60, canary=0)
    users.begin()
    users.wait("too-little")
    assert hook.call(5)["hookStatus"] == "IN_PROGRESS"
    hook.let_time_pass()
    assert hook.call(5)["hookStatus"] == "IN_PROGRESS"
    assert hook.details["since"] == 1.0, "what ECS passes on is kept"
    control.stop()
    assert hook.call(5)["hookStatus"] == "IN_PROGRESS"
    assert hook.call(None)["hookStatus"] == "IN_PROGRESS"


def test_a_wrong_token_is_no_yes_and_no_no(hook: Hook, users: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    users.converse(stable=3, canary=3)
    monkeypatch.setenv("SHIPWAY_CONTROL_TOKEN", TOKENS["report"])
    assert hook.call(None)["hookStatus"] == "IN_PROGRESS"
    users.begin()
    assert hook.call(5)["hookStatus"] == "IN_PROGRESS"


# -- Nomad ---------------------------------------------------------------------------------------------------


class Nomad:
    """Nomad's API of one deployment: what is posted to it changes it."""

    def __init__(self, healthy: int = 1, canaries: int = 1) -> None:
        group = {"DesiredCanaries": canaries, "HealthyAllocs": healthy, "Promoted": False}
        self.deployment: dict[str, Any] = {
            "ID": "d-1",
            "Status": "running",
            "StatusDescription": "Deployment is running but requires manual promotion",
            "TaskGroups": {"agent": group},
        }
        self.posted: list[tuple[str, Any, str]] = []
        self.looks = threading.Semaphore(0)
        nomad_api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                nomad_api.looks.release()
                known = self.path == "/v1/job/support/deployment?namespace=agents"
                self._answer(200 if known else 404, nomad_api.deployment)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                path, _, namespace = self.path.partition("?namespace=")
                said = body.get("DeploymentID") == path.rpartition("/")[2]  # Nomad wants both
                if said and namespace == "agents":
                    nomad_api.posted.append((path, body, self.headers["x-nomad-token"]))
                self._answer(200 if said else 400, {"EvalID": "e"})

            def _answer(self, status: int, document: Any) -> None:
                text = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def engine() -> Iterator[Nomad]:
    made = Nomad()
    yield made
    made.close()


class Gate:
    """gate.py of the rendered job, as a process; it looks all the time."""

    def __init__(self, place: Path, plans: tuple[StackPlan, RolloutPlan], **details: Any) -> None:
        job = read(nomad.render(*plans).owned["gate.nomad.hcl"])["job"][0]["support-gate"]
        (task,) = (task["gate"] for task in job["group"][0]["gate"]["task"])
        (program,) = (one for one in task["template"] if one["destination"] == "local/gate.py")
        self.details = json.loads(task["env"][0]["GATE"]) | {"every_s": 0.05} | details
        self.file = place / "gate.py"
        self.file.write_text(program["data"])

    def start(self, control: ControlProcess, engine: Nomad) -> subprocess.Popen[str]:
        env = {
            "PATH": os.environ["PATH"],
            "NO_PROXY": "127.0.0.1",
            "GATE": json.dumps(self.details),
            "NOMAD_ADDR": engine.url,
            "NOMAD_TOKEN": "workload-identity",
            "NOMAD_NAMESPACE": "agents",
            "SHIPWAY_CONTROL_URL": control.url,
            "SHIPWAY_CONTROL_TOKEN": TOKENS["operate"],
        }
        command = [sys.executable, "-IS", self.file]
        return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, control: ControlProcess, engine: Nomad) -> tuple[int, str]:
        process = self.start(control, engine)
        said, _ = process.communicate(timeout=60)
        return process.returncode, said


Plans = tuple[StackPlan, RolloutPlan]


def test_nomads_canary_is_promoted_when_the_hold_is_over(
    tmp_path: Path, plans: Plans, users: Users, control: ControlProcess, engine: Nomad
) -> None:
    users.converse(stable=3, canary=3)
    users.begin()
    users.wait("no-harm")
    assert Gate(tmp_path, plans, hold_s=60).run(control, engine) == (0, "promoted\n")
    body = {"DeploymentID": "d-1", "All": True}
    assert engine.posted == [("/v1/deployment/promote/d-1", body, "workload-identity")]
    assert gates(control)[0]["ended"]


def test_without_gates_only_time_counts(
    tmp_path: Path, plans: Plans, control: ControlProcess, engine: Nomad
) -> None:
    assert Gate(tmp_path, plans, gate=None, hold_s=0).run(control, engine) == (0, "promoted\n")
    assert len(engine.posted) == 1
    assert gates(control) == []


def test_nomads_canary_is_failed_when_it_is_worse(
    tmp_path: Path, plans: Plans, users: Users, control: ControlProcess, engine: Nomad
) -> None:
    users.converse(stable=150, canary=150, canary_fails=True)
    users.begin()
    users.wait("harm")
    code, said = Gate(tmp_path, plans).run(control, engine)
    assert (code, said) == (3, "control found the canary worse: failed\n")
    assert [path for path, _, _ in engine.posted] == ["/v1/deployment/fail/d-1"]


def test_what_is_not_decided_is_left_to_a_person(
    tmp_path: Path, plans: Plans, users: Users, control: ControlProcess, engine: Nomad
) -> None:
    users.converse(stable=60, canary=0)
    users.begin()
    users.wait("too-little")
    code, said = Gate(tmp_path, plans, hold_s=60, patience_s=120).run(control, engine)
    assert (code, said) == (75, "not decided: promote or fail it yourself\n")
    assert engine.posted == []


def test_the_gate_waits_for_the_hold_for_health_and_for_control(
    tmp_path: Path, plans: Plans, users: Users, control: ControlProcess, engine: Nomad
) -> None:
    users.converse(stable=3, canary=3)
    engine.deployment["TaskGroups"]["agent"]["HealthyAllocs"] = 0
    process = Gate(tmp_path, plans, hold_s=3600, patience_s=7200).start(control, engine)
    try:
        looked(engine)
        assert gates(control) == [], "nobody judges what is not healthy"
        engine.deployment["TaskGroups"]["agent"]["HealthyAllocs"] = 1
        looked(engine)
        (begun,) = gates(control)
        assert (begun["stable"], begun["share"]) == (STABLE, None)
        control.stop()
        looked(engine)
        control.start()
        looked(engine)
        assert (process.poll(), engine.posted) == (None, [])
        engine.deployment = engine.deployment | {"ID": "d-2"}
        said, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 1
    assert said.splitlines()[-1] == "another deployment has begun: d-2"


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"Status": "failed", "StatusDescription": "Failed due to unhealthy allocations"}, 1, "unhealthy"),
        ({"TaskGroups": {"agent": {"DesiredCanaries": 0, "HealthyAllocs": 3}}}, 0, "no canary"),
    ],
    ids=["failed", "first"],
)
def test_there_may_be_nothing_to_decide(
    tmp_path: Path, plans: Plans, control: ControlProcess, engine: Nomad, change: Any, code: int, words: str
) -> None:
    engine.deployment |= change
    found, said = Gate(tmp_path, plans).run(control, engine)
    assert found == code
    assert words in said
    assert engine.posted == []


def looked(engine: Nomad) -> None:
    """Until Nomad was asked twice more: what was so before the first of these has been seen."""
    while engine.looks.acquire(blocking=False):
        pass
    for _ in range(3):
        assert engine.looks.acquire(timeout=60)
