"""StackPlan -> the files of Amazon ECS on Fargate.

In: a stack, and its RolloutPlan where there is one. Out: one JSON file a call of the AWS CLI, the script that
makes the calls, and account.env, which is people's. Raises SpecError for a task definition that is larger
than ECS takes.

    deploy.sh                       fills in account.env, registers, creates or updates
    account.env                     written once: cluster, roles, network, balancer
    register-task-definition.json   the agent and its sidecars
    create-service.json             the first time
    update-service.json             after that
    canary-deployment.json          instead of a rolling deployment, where account.env names a listener rule
    hook.py                         with gates: the Lambda function that asks control for ECS
    mcp-NAME/                       the same three for an MCP server apart
    control/                        and for control, unless account.env says that it is elsewhere
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shipway.errors import Finding, SpecError
from shipway.render.ecs import canary, fargate, hook, script, service, task
from shipway.render.emit import Rendered
from shipway.render.targets.judging import RULE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipway.plan.rollout import RolloutPlan
    from shipway.plan.stack import StackPlan

TASK = "register-task-definition.json"
CREATE = "create-service.json"
UPDATE = "update-service.json"
CANARY = "canary-deployment.json"
HOOK = "hook.py"
_HOOK_HEAD = """\
# Written by shipway: a Lambda function, hook.handler, for all agents of a control; docs/reference/ecs.md
"""


def render(plan: StackPlan, rollout: RolloutPlan | None = None) -> Rendered:
    """The files, of which account.env is written once."""
    documents = {
        TASK: task.agent_task(plan),
        CREATE: service.create(plan),
        UPDATE: service.update(plan),
        CANARY: canary.deployment(plan, rollout),
    }
    for server in plan.apart:
        documents |= {
            f"mcp-{server.name}/{TASK}": task.server_task(server, plan),
            f"mcp-{server.name}/{CREATE}": service.create(plan, server),
            f"mcp-{server.name}/{UPDATE}": service.update(plan, server),
        }
    if plan.control:
        documents |= {
            f"control/{TASK}": task.control_task(plan.control, plan),
            f"control/{CREATE}": service.create(plan, plan.control),
            f"control/{UPDATE}": service.update(plan, plan.control),
        }
    owned = {"deploy.sh": script.deploy(plan, rollout)}
    owned |= {name: _text(body) for name, body in documents.items()}
    if canary.is_gated(rollout):
        owned[HOOK] = _HOOK_HEAD + Path(hook.__file__).read_text(encoding="utf-8")
    _refuse_large({name: text for name, text in owned.items() if name.endswith(TASK)})
    return Rendered(owned, {"account.env": script.account(plan, rollout)})


def _text(body: Mapping[str, Any]) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def _refuse_large(definitions: Mapping[str, str]) -> None:
    """ECS counts the document without our spaces."""
    sizes = {name: len(json.dumps(json.loads(text)).encode()) for name, text in definitions.items()}
    if found := [
        Finding(
            RULE,
            f"ecs: {name} has {size} bytes, and ECS takes {fargate.DEFINITION_LIMIT}",
            "move what is large in [config] or [tenants] into a file of the image",
            "agent.toml",
        )
        for name, size in sizes.items()
        if size > fargate.DEFINITION_LIMIT
    ]:
        raise SpecError(found)
