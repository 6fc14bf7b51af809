"""deploy.sh and account.env: how the documents reach ECS, and what they need to know of an account.

In: a stack, and its RolloutPlan where there is one. Out: texts. The script is for any POSIX shell and needs
the AWS CLI alone; it refuses to start with a value that is not there, and fails when ECS has rolled back what
it deployed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.render.ecs import canary
from shipway.render.ecs.task import AGENT, family

if TYPE_CHECKING:
    from shipway.plan.control import Control
    from shipway.plan.rollout import RolloutPlan
    from shipway.plan.stack import StackPlan


@dataclass(frozen=True, slots=True)
class Variable:
    """A value of the account. `what` is for people; one that is a list has commas between."""

    name: str
    what: str
    default: str = ""


def variables(plan: StackPlan) -> tuple[Variable, ...]:
    """Those without which nothing can be deployed."""
    mounts = ", and elasticfilesystem:Client*" if plan.storage else ""
    connected = plan.apart or plan.control
    namespace = ", with a default namespace for Service Connect" if connected else ""
    volume = (
        Variable("FILE_SYSTEM_ID", "EFS: fs-…"),
        Variable("ACCESS_POINT_ID", "fsap-…, with user, group and owner 65532"),
    )
    return (
        Variable("AWS_REGION", "eu-west-1"),
        Variable("CLUSTER", f"name{namespace}"),
        Variable("EXECUTION_ROLE_ARN", "pulls images, reads secrets, writes logs: for ECS itself"),
        Variable("TASK_ROLE_ARN", f"what the agent may do in AWS{mounts}"),
        Variable("SUBNETS", "subnet-…,subnet-…: private ones that reach the model's API and the registry"),
        Variable("SECURITY_GROUPS", "sg-…"),
        Variable("ASSIGN_PUBLIC_IP", "ENABLED where the subnets are public", "DISABLED"),
        *(volume if plan.storage else ()),
    )


BALANCER = Variable("TARGET_GROUP_ARN", "type ip, port 8080; asks for /readyz on port 8081")
CANARY = (
    Variable("ALTERNATE_TARGET_GROUP_ARN", "a second target group like the first"),
    Variable("LISTENER_RULE_ARN", "the rule of the production listener"),
    Variable("BALANCER_ROLE_ARN", "lets ECS change the rule"),
    Variable("ALARMS", "names of CloudWatch alarms that take the canary back"),
)
GATE = (
    Variable("GATE_FUNCTION_ARN", "the Lambda function made of hook.py, which asks control"),
    Variable("GATE_ROLE_ARN", "lets ECS call it"),
)

_CONTROL = """\
# Control: the stack's own, by its name in Service Connect; or the URL of the fleet's; empty: none.
# And how people get to its page, if by a load balancer.
CONTROL_URL={url}
{balancer}"""
_DEPLOY_CONTROL = """\
if [ "$CONTROL_URL" = {url} ]; then # else it is another stack's
  balancer="targetGroupArn=${{CONTROL_TARGET_GROUP_ARN:-}},containerName=control,containerPort={port}"
  deploy control {service} ${{CONTROL_TARGET_GROUP_ARN:+--load-balancers "$balancer"}}
  settle
fi
"""

_LISTS = ("SUBNETS", "SECURITY_GROUPS", "ALARMS")

_ACCOUNT = """\
# Written once by shipway; yours from now on. Commit it: nothing in it is secret.
{variables}{control}# How users get there, if by a load balancer.
{balancer}
# With all of these a new revision gets {percent:g} % of the traffic for {held}, and then the rest.
{canary}"""

_SCRIPT = """\
# Written by shipway from agent.toml: deploys {name} in {environment}. It is written again; what is of your
# account is in account.env. Run it: sh deploy.sh
set -eu
cd "$(dirname "$0")"
. ./account.env
{default}export AWS_DEFAULT_REGION="${{AWS_REGION:-}}"

need() {{
  for name in "$@"; do
    eval "value=\\${{$name:-}}"
    [ -n "$value" ] || {{ echo "account.env: $name is empty" >&2; exit 2; }}
  done
}}

list() {{ printf '%s' "$1" | sed -e 's/[\\&|]/\\\\&/g' -e 's/ *, */", "/g'; }} # of sed, and of JSON

fill() {{
  sed \\
{substitutions}
    "$1"
}}

service_is() {{ aws ecs describe-services --cluster "$CLUSTER" --services "$1" --query "$2" --output text; }}

deploy() {{ # DIRECTORY SERVICE [OPTION…]
  directory=$1 service=$2
  shift 2
  definition=$(fill "$directory/register-task-definition.json")
  revision=$(aws ecs register-task-definition --cli-input-json "$definition" \\
    --query taskDefinition.taskDefinitionArn --output text)
  call=update-service
  [ "$(service_is "$service" "length(services[?status=='ACTIVE'])")" = 1 ] || call=create-service
  echo "$call $service: $revision"
  aws ecs "$call" --cli-input-json "$(fill "$directory/$call.json")" --task-definition "$revision" "$@" \\
    --query service.status --output text >/dev/null
}}

settle() {{ # until it runs, or ECS has gone back to what ran before
  aws ecs wait services-stable --cluster "$CLUSTER" --services "$service"
  running=$(service_is "$service" "services[0].taskDefinition")
  [ "$running" = "$revision" ] && return
  echo "$service was rolled back to $running: aws ecs describe-services shows why" >&2
  exit 1
}}

need {names}
[ -z "${{LISTENER_RULE_ARN:-}}" ] || need {canary}
set --
if [ -n "${{TARGET_GROUP_ARN:-}}" ]; then
  balancer="targetGroupArn=$TARGET_GROUP_ARN,containerName={agent},containerPort={port}"
  if [ -n "${{LISTENER_RULE_ARN:-}}" ]; then
    rule="productionListenerRule=$LISTENER_RULE_ARN,roleArn=$BALANCER_ROLE_ARN"
    balancer="$balancer,advancedConfiguration={{alternateTargetGroupArn=$ALTERNATE_TARGET_GROUP_ARN,$rule}}"
    set -- --deployment-configuration "$(fill canary-deployment.json)"
  fi
  set -- "$@" --load-balancers "$balancer" --health-check-grace-period-seconds 120
fi

{deployments}"""


def _of_canary(rollout: RolloutPlan | None) -> tuple[Variable, ...]:
    return (*CANARY, *GATE) if canary.is_gated(rollout) else CANARY


def _held(rollout: RolloutPlan | None) -> str:
    minutes = f"{canary.minutes(rollout)} minutes"
    return f"{minutes} at least, until control agrees" if canary.is_gated(rollout) else minutes


def account(plan: StackPlan, rollout: RolloutPlan | None) -> str:
    """What a person fills in; every value that is needed is empty, and the script says which."""
    return _ACCOUNT.format(
        variables=_lines(variables(plan)),
        control=_of_control(plan.control) if plan.control else "",
        balancer=_lines((BALANCER,)),
        canary=_lines(_of_canary(rollout)),
        percent=canary.percent(rollout),
        held=_held(rollout),
    )


def _of_control(control: Control) -> str:
    group = Variable("CONTROL_TARGET_GROUP_ARN", f"type ip, port {control.port}; asks for /readyz")
    return _CONTROL.format(url=control.url, balancer=_lines((group,)))


def deploy(plan: StackPlan, rollout: RolloutPlan | None) -> str:
    """The script: the agent last, because Service Connect knows what was there when a task started."""
    needed = [variable.name for variable in variables(plan)]
    of_canary = _of_canary(rollout)
    gate = [variable.name for variable in of_canary if variable in GATE]
    filled = [*needed, "ALARMS", *gate, *(["CONTROL_URL"] if plan.control else [])]
    substitutions = "\n".join(f"    -e {_substitution(name)} \\" for name in filled)
    control = _deploy_control(plan, plan.control) if plan.control else ""
    servers = "".join(f"deploy mcp-{server.name} {family(plan, server)}\nsettle\n" for server in plan.apart)
    last = '[ -n "${LISTENER_RULE_ARN:-}" ] || settle # a canary takes longer than anybody waits\n'
    return _SCRIPT.format(
        name=plan.name,
        environment=plan.environment,
        substitutions=substitutions,
        names=" ".join(needed),
        canary=" ".join(variable.name for variable in (BALANCER, *of_canary)),
        agent=AGENT,
        port=plan.agent.ports["api"],
        default=f'CONTROL_URL="${{CONTROL_URL-{plan.control.url}}}"\n' if plan.control else "",
        deployments=f'{control}{servers}deploy . {family(plan)} "$@"\n{last}',
    )


def _deploy_control(plan: StackPlan, control: Control) -> str:
    return _DEPLOY_CONTROL.format(url=control.url, port=control.port, service=family(plan, control))


def _substitution(name: str) -> str:
    optional = {variable.name for variable in GATE}
    value = (
        f'$(list "${{{name}:-}}")' if name in _LISTS else f"${{{name}:-}}" if name in optional else f"${name}"
    )
    return f'"s|\\${{{name}}}|{value}|g"'


def _lines(values: tuple[Variable, ...]) -> str:
    return "".join(f"{f'{one.name}={one.default}':<28} # {one.what}\n" for one in values)
