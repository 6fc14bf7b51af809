from __future__ import annotations

from pathlib import Path

import pytest

from shipway.errors import SpecError
from shipway.plan.stack import StackPlan, plan_stack
from shipway.render.targets import FEATURES, TARGETS, Otherwise, Refused, judge
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
def test_a_plain_agent_is_what_it_is_everywhere(plan: StackPlan, target: str) -> None:
    assert judge(plan, target) == ()  # type: ignore[arg-type]


def test_what_a_target_has_in_another_way_is_said_with_names(tmp_path: Path) -> None:
    plan = planned(tmp_path, SIDECAR + '[secrets]\nKEY = "file"\n')
    assert judge(plan, "ecs") == (
        "t: no `memory`, so it shares what is left of the task's",
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
    assert judge(plan, "kubernetes") == ()


def test_texts_take_names() -> None:
    for feature in FEATURES:
        for expression in feature.by.values():
            if isinstance(expression, Otherwise):
                assert "{}" in expression.remark, feature.title
            if isinstance(expression, Refused):
                assert "{}" in expression.message, feature.title
