"""What is rendered for Argo Rollouts asks a real control, as Argo would; each answer comes to a phase."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.argo import Analysis, ExpressionError, Phase, evaluate
from tests.controlling import TOKENS, ControlProcess
from tests.kubernetes import find
from tests.rollouts import DEPLOYMENT, STABLE, Users, planned

from shipway.plan.stack import StackPlan
from shipway.render import gate
from shipway.render.emit import Rendered
from shipway.render.kubernetes import render

SECRETS = {("support-rollout", "token"): TOKENS["operate"]}


class Argo:
    """The files of a rollout, and a control that its analyses reach."""

    def __init__(self, place: Path) -> None:
        self.plan, self.rollout = planned(place)
        self.rendered = render(self.plan, rollout=self.rollout)
        self.control = ControlProcess(place)
        self.users = Users(self.control, self.canary, gate.body(self.rollout))

    @property
    def canary(self) -> str:
        return str(self.plan.revision)

    def analysis(self, name: str, address: str | None = None) -> Analysis:
        """As the Rollout starts it: with the arguments of its first step with this template."""
        template = find(self.rendered, "AnalysisTemplate", f"support-{name}")
        template["spec"]["args"][0]["value"] = address or self.control.url  # as an overlay does it
        return Analysis(template, arguments(self.rendered, f"support-{name}"), SECRETS)


def arguments(rendered: Rendered, template: str) -> dict[str, str]:
    canary = find(rendered, "Rollout")["spec"]["strategy"]["canary"]
    stated = [canary["analysis"], *(step["analysis"] for step in canary["steps"] if "analysis" in step)]
    said = next(one for one in stated if one["templates"] == [{"templateName": template}])
    return {argument["name"]: argument["value"] for argument in said.get("args", ())}


@pytest.fixture
def argo(tmp_path: Path) -> Iterator[Argo]:
    made = Argo(tmp_path)
    yield made
    made.control.close()


def test_it_begins_a_gate_and_tells_each_share(argo: Argo) -> None:
    assert argo.analysis("begin").measure() == "Error", "control has heard of no other revision"
    argo.users.converse(stable=3, canary=0)
    begin = argo.analysis("begin")
    assert (begin.measure(), begin.assess()) == ("Successful", "Successful")
    told = argo.control.ask("read", "GET", f"/v1/gates/{argo.canary}", params=DEPLOYMENT).json()
    assert (told["stable"], told["share"], told["alpha"]) == (STABLE, 0.05, 0.05)
    assert told["metrics"] == {"errors": {"margin": 0.2}}
    later = dataclasses.replace(argo.analysis("begin"), arguments={"canary": argo.canary, "share": "null"})
    assert later.measure() == "Successful"
    told = argo.control.ask("read", "GET", f"/v1/gates/{argo.canary}", params=DEPLOYMENT).json()
    assert (told["stable"], told["share"]) == (STABLE, None)
    assert told["changes"][0]["by"] == "operate-of-tests"


PHASES: dict[str, dict[str, Phase]] = {
    "too-little": {"watch": "Successful", "hold": "Inconclusive", "decide": "Inconclusive"},
    "no-harm": {"watch": "Successful", "hold": "Successful", "decide": "Inconclusive"},
    "fine": {"watch": "Successful", "hold": "Successful", "decide": "Successful"},
    "harm": {"watch": "Failed", "hold": "Failed", "decide": "Failed"},
    "ratio": {"watch": "Inconclusive", "hold": "Inconclusive", "decide": "Inconclusive"},
}
"""By what control says: whether the canary goes on, goes back, or waits for a person."""


@pytest.mark.parametrize(
    ("why", "stable", "canary", "share"),
    [
        ("too-little", 60, 0, 0.5),
        ("no-harm", 3, 3, 0.5),
        ("fine", 150, 150, 0.5),
        ("harm", 150, 150, 0.5),
        ("ratio", 3, 150, 0.05),
    ],
)
def test_each_verdict_comes_to_a_phase(argo: Argo, why: str, stable: int, canary: int, share: float) -> None:
    argo.users.converse(stable, canary, canary_fails=why == "harm")
    argo.users.begin(share)
    argo.users.wait(why)
    assert {name: argo.analysis(name).measure() for name in PHASES[why]} == PHASES[why]


def test_a_hold_without_data_lasts_twice_as_long_and_is_then_a_persons(argo: Argo) -> None:
    argo.users.converse(stable=60, canary=0)
    argo.users.begin()
    argo.users.wait("too-little")
    hold = argo.analysis("hold")
    assert hold.arguments["open"] == "30", "minutes, as many as the step's hold has"
    for _ in range(30):
        assert hold.measure() == "Inconclusive"
    assert hold.assess() == "Running"
    assert hold.measure() == "Inconclusive"
    assert hold.assess() == "Inconclusive"


def test_argo_takes_every_template_where_it_stands(argo: Argo) -> None:
    """Its own rules: what a step waits for has a count, and one that is not below its limits."""
    steps = find(argo.rendered, "Rollout")["spec"]["strategy"]["canary"]["steps"]
    named = [step["analysis"] for step in steps if "analysis" in step]
    assert len(named) == 6
    for said in named:
        (name,) = (one["templateName"] for one in said["templates"])
        template = find(argo.rendered, "AnalysisTemplate", name)
        given = {argument["name"]: argument["value"] for argument in said.get("args", ())}
        for arguments in (given, {key: "dummy-value" for key in given if key in ("canary", "share")}):
            metric = Analysis(template, arguments, SECRETS).metric
            assert "interval" not in metric or int(metric["count"]) > 0, name
            assert int(metric.get("count", 1)) >= int(metric.get("inconclusiveLimit", 0)), name


def test_a_control_that_is_away_is_asked_for_an_hour(argo: Argo) -> None:
    argo.control.stop()
    for name in ("begin", "watch", "hold", "suite-verdict"):
        analysis = argo.analysis(name)
        interval = int(analysis.metric["interval"].removesuffix("s"))
        for _ in range(3600 // interval):
            analysis.counts["errors"] += 1
        assert (analysis.measure(), analysis.assess()) == ("Error", "Error"), "and not a success"
        analysis.counts["errors"] -= 1
        assert analysis.assess() == "Running"


@pytest.mark.parametrize("token", ["read", "report"])
def test_a_token_of_another_role_begins_nothing(argo: Argo, token: str) -> None:
    argo.users.converse(stable=3, canary=0)
    begin = dataclasses.replace(argo.analysis("begin"), secrets={("support-rollout", "token"): TOKENS[token]})
    assert begin.measure() == "Error"


class Agent:
    """An agent of a revision, which says the same to everybody."""

    def __init__(self, revision: str, says: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                part = {"type": "output_text", "text": says}
                message = {"type": "message", "role": "assistant", "content": [part]}
                text = json.dumps({"id": "resp_c_1", "object": "response", "output": [message]}).encode()
                self.send_response(200)
                self.send_header("x-shipway-revision", revision)
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


@pytest.mark.parametrize(
    ("says", "cases", "job", "phase"),
    [("blue", 40, 0, "Successful"), ("red", 40, 1, "Failed"), ("red", 2, 0, "Inconclusive")],
    ids=["as-good", "worse", "too-few"],
)
def test_the_suites_job_asks_both_and_control_has_the_run(
    argo: Argo, tmp_path: Path, says: str, cases: int, job: int, phase: Phase
) -> None:
    """The Job's command, as it stands there but for addresses, with the real shipway on the path."""
    (tmp_path / "evals").mkdir()
    lines = [
        json.dumps({"id": f"case-{n}", "input": "the sky?", "checks": [{"contains": "blue"}]})
        for n in range(cases)
    ]
    (tmp_path / "evals/sky.jsonl").write_text("\n".join(lines))
    (metric,) = find(argo.rendered, "AnalysisTemplate", "support-suite")["spec"]["metrics"]
    (container,) = metric["provider"]["job"]["spec"]["template"]["spec"]["containers"]
    *shell, script = container["command"]
    stable, canary = Agent(STABLE, "blue"), Agent(argo.canary, says)
    script = script.replace("http://support-canary", canary.url).replace("http://support ", stable.url + " ")
    env = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    env |= {"SHIPWAY_CONTROL_URL": argo.control.url, "SHIPWAY_CONTROL_TOKEN": TOKENS["report"]}
    try:
        command = [*shell, script.replace("/tmp/", f"{tmp_path}/")]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    finally:
        stable.close()
        canary.close()
    assert done.returncode == job, done.stderr
    runs = argo.control.ask("read", "GET", "/v1/evals", params=DEPLOYMENT).json()
    assert [run["revision"] for run in runs] == [argo.canary, STABLE]
    assert argo.analysis("suite-verdict").measure() == phase


@pytest.mark.parametrize(
    ("verdict", "phase"),
    [("pass", "Successful"), ("fail", "Failed"), ("inconclusive", "Inconclusive"), (None, "Inconclusive")],
)
def test_the_suites_run_has_three_values_too(argo: Argo, verdict: str | None, phase: Phase) -> None:
    """None: the Job ended well, and nobody has a run of the canary."""
    for revision, said in ((argo.canary, verdict), (STABLE, "pass")):
        run = {"revision": revision, "source": "evals/*.jsonl", "verdict": said, "results": []}
        if said:
            put = argo.control.ask("report", "POST", "/v1/evals", json=run, params=DEPLOYMENT)
            assert put.status_code == 201, put.text
    suite = argo.analysis("suite-verdict")
    assert suite.measure() == phase


def test_the_newest_run_of_the_canary_counts(argo: Argo) -> None:
    for verdict in ("fail", "pass"):
        run: dict[str, Any] = {"revision": argo.canary, "source": "s", "verdict": verdict, "results": []}
        argo.control.ask("report", "POST", "/v1/evals", json=run, params=DEPLOYMENT)
    assert argo.analysis("suite-verdict").measure() == "Successful"


def test_the_revision_that_is_asked_for_is_the_one_that_the_pods_say(argo: Argo) -> None:
    (agent,) = find(argo.rendered, "Rollout")["spec"]["template"]["spec"]["containers"]
    env = {one["name"]: one.get("value") for one in agent["env"]}
    assert env["SHIPWAY_REVISION"] == argo.canary == arguments(argo.rendered, "support-watch")["canary"]


def test_control_is_reached_from_argos_namespace(argo: Argo) -> None:
    plan: StackPlan = argo.plan
    assert plan.control
    template = find(argo.rendered, "AnalysisTemplate", "support-watch")
    address = template["spec"]["args"][0]
    assert address == {"name": "control", "value": f"http://{plan.control.host}.agents:8083"}
    policy = find(argo.rendered, "NetworkPolicy", "support-rollout")["spec"]
    assert "argo-rollouts" in json.dumps(policy["ingress"])
    assert policy["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "control"


@pytest.mark.parametrize(
    ("condition", "result", "value"),
    [
        ('result.verdict == "fail"', {"verdict": "fail"}, True),
        ('result.verdict != "fail" && !result.pause', {"verdict": "pass", "pause": True}, False),
        ("len(result) > 0 && result[0].n >= 2", [{"n": 2}], True),
        ("len(result) > 0 && result[0].n >= 2", [], False),
        ('(result.a == "x" || result.b) && !result.c', {"a": "x", "c": False}, True),
    ],
)
def test_argos_conditions_are_understood(condition: str, result: Any, value: bool) -> None:
    assert evaluate(condition, result) is value


@pytest.mark.parametrize(
    ("condition", "result"),
    [
        ("!result.pause", {}),
        ("result[0].n == 1", []),
        ("result.verdict", {"verdict": "pass"}),
        ("asFloat(result) > 1", "2"),
        ("result.n =~ 3", {"n": 3}),
        ("result.a > result.b", {"a": "x", "b": 1}),
    ],
)
def test_what_argo_would_not_take_is_an_error_here_too(condition: str, result: Any) -> None:
    with pytest.raises(ExpressionError):
        evaluate(condition, result)
