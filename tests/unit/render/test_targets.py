from __future__ import annotations

from pathlib import Path

import pytest

from shipway.errors import SpecError
from shipway.plan.stack import StackPlan, plan_stack
from shipway.render.targets.expressions import TARGETS, Otherwise, Refused, Target
from shipway.render.targets.judging import judge
from shipway.render.targets.table import FEATURES
from shipway.spec.load import load

AGENT = 'name = "a"\nentrypoint = "agent:agent"\n'
SIDECAR = '[mcp.t]\nshape = "sidecar"\nrun = "pypi:t"\n'


@pytest.fixture
def plan(tmp_path: Path) -> StackPlan:
    return planned(tmp_path, "")


def planned(directory: Path, more: str) -> StackPlan:
    (directory / "agent.toml").write_text(AGENT + more)
    return plan_stack(load(directory / "agent.toml"))


def test_every_feature_is_answered_by_every_target() -> None:
    assert all(set(feature.by) == set(TARGETS) for feature in FEATURES)


@pytest.mark.parametrize("target", TARGETS)
def test_a_plain_agent_is_what_it_is_everywhere(plan: StackPlan, target: Target) -> None:
    cut = "a grace of 60 s: Nomad's clients cut it to 30 s, unless their max_kill_timeout says more"
    assert judge(plan, target) == ((cut,) if target == "nomad" else ())


def test_what_fargate_rounds_up_or_lacks_is_said(tmp_path: Path) -> None:
    rounded = planned(tmp_path, '[resources]\ncpu = "1"\nmemory = "5.5Gi"\n')
    assert judge(rounded, "ecs") == (
        "agent asks for 1 vCPU and 5632 MiB and gets 1 vCPU and 6144 MiB: the next size of Fargate",
    )
    exact = planned(tmp_path, '[resources]\ncpu = "1"\nmemory = "6Gi"\n')
    assert judge(exact, "ecs") == ()
    with pytest.raises(SpecError, match=r"no task of this size: agent \(17 vCPU and 512 MiB\)"):
        judge(planned(tmp_path, '[resources]\ncpu = "17"\n'), "ecs")


def test_sqlite_is_not_put_where_its_log_does_not_work(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="SQLite on /data, and Fargate keeps files in EFS"):
        judge(planned(tmp_path, '[storage]\npath = "/data"\n'), "ecs")
    url = '[storage]\npath = "/data"\nurl = { secret = "DB" }\n[secrets]\nDB = "env"\n'
    assert judge(planned(tmp_path, url), "ecs") == (
        "/data: Fargate keeps files in EFS alone; fill in its id",
    )


def test_a_variable_that_names_a_tokens_file_is_nothing_for_ecs(tmp_path: Path) -> None:
    plan = planned(tmp_path, '[secrets]\nAWS_WEB_IDENTITY_TOKEN_FILE = "env"\n')
    with pytest.raises(SpecError, match="AWS_WEB_IDENTITY_TOKEN_FILE names a file"):
        judge(plan, "ecs")


@pytest.mark.parametrize("target", TARGETS[1:])
def test_a_replayed_model_stays_where_its_recordings_are(tmp_path: Path, target: Target) -> None:
    model = planned(tmp_path, '[model]\nprovider = "openai"\nname = "gpt-5"\n')
    with pytest.raises(SpecError, match="--env prod"):
        judge(model, target)


def test_what_a_target_has_in_another_way_is_said_with_names(tmp_path: Path) -> None:
    plan = planned(tmp_path, SIDECAR + '[secrets]\nKEY = "file"\n')
    assert judge(plan, "ecs") == (
        "t: no `memory`, so 64 MiB are counted for it, and the task's is its limit",
        "agent asks for 0.1 vCPU and 576 MiB and gets 0.25 vCPU and 1024 MiB: the next size of Fargate",
        "KEY: ECS gives secrets in the environment alone; a new value needs a new deployment",
    )
    assert judge(plan, "compose") == ()


def test_what_a_target_cannot_have_is_refused_all_at_once(tmp_path: Path) -> None:
    token = 'token_url = "https://x.example.com/token", client_id = "a", identity_token = "/t"'
    plan = planned(tmp_path, f'[secrets]\nKEY = {{ {token} }}\n[health]\ngrace = "5m"\n')
    with pytest.raises(SpecError) as caught:
        judge(plan, "ecs")
    assert [str(finding).splitlines() for finding in caught.value.findings] == [
        [
            "agent.toml: ecs: Fargate ends a task two minutes after SIGTERM, and health.grace is 300 s "
            "[target]",
            "    fix: write a shorter `grace`",
        ],
        [
            "agent.toml: ecs: ECS projects no tokens, and KEY is exchanged for one [target]",
            "    fix: use `client_secret`",
        ],
    ]
    assert judge(plan, "kubernetes") == (
        "KEY: its token is for the audience `token_url`; where the broker asks for another, patch it in your "
        "kustomization.yaml",
    )


@pytest.mark.parametrize("target", [target for target in TARGETS if target != "compose"])
def test_a_replayed_model_stays_on_this_machine(tmp_path: Path, target: str) -> None:
    plan = planned(tmp_path, '[model]\nprovider = "anthropic"\nname = "a"\n')
    with pytest.raises(SpecError, match="the model of development is replayed") as caught:
        judge(plan, target)  # type: ignore[arg-type]
    assert "--env prod" in str(caught.value)


def test_names_that_are_too_long_are_refused_before_an_engine_does(tmp_path: Path) -> None:
    name, server = "a" * 40, "b" * 40
    text = f'name = "{name}"\nentrypoint = "a:a"\n[env.{server}.config]\n'
    (tmp_path / "agent.toml").write_text(text + f'[mcp.{server}]\nshape = "service"\nrun = "pypi:t"\n')
    plan = plan_stack(load(tmp_path / "agent.toml", server), server)
    with pytest.raises(SpecError, match=f"{name}-mcp-{server} is no host name"):
        judge(plan, "compose")
    with pytest.raises(SpecError, match=f"{name}-{server} is no label"):
        judge(plan, "kubernetes")


@pytest.mark.parametrize("target", TARGETS)
def test_a_server_apart_has_no_part_in_the_volume(tmp_path: Path, target: str) -> None:
    text = '[storage]\n[mcp.t]\nshape = "service"\nrun = "pypi:t"\nstorage = true\n'
    with pytest.raises(SpecError, match="t is apart from the agent, and the volume is for what is beside it"):
        judge(planned(tmp_path, text), target)  # type: ignore[arg-type]


def test_texts_take_names() -> None:
    for feature in FEATURES:
        for expression in feature.by.values():
            if isinstance(expression, Otherwise):
                assert "{}" in expression.remark, feature.title
            if isinstance(expression, Refused):
                assert "{}" in expression.message, feature.title
