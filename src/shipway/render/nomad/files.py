"""StackPlan -> job files of Nomad, in the order in which they are to be run.

In: a stack, and its RolloutPlan where there is one. Out: control.nomad.hcl, mcp-NAME.nomad.hcl for each MCP
server apart, agent.nomad.hcl, and with a rollout gate.nomad.hcl, which decides about its canaries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.render import hcl
from shipway.render.emit import Rendered
from shipway.render.nomad import canaries, job

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipway.plan.rollout import RolloutPlan
    from shipway.plan.stack import StackPlan

_HEAD = """\
Written by shipway from agent.toml: {what} in {environment}. It is written again.
"""


_GATE = """\
(the token is of control, with the role operate; where Nomad has ACLs: docs/reference/nomad.md)
nomad job run gate.nomad.hcl      after each agent.nomad.hcl
"""


def render(plan: StackPlan, rollout: RolloutPlan | None = None) -> Rendered:
    """The files; all of them are shipway's."""
    files = {}
    if control := plan.control:
        head = _head(f"control of {plan.name}", plan, job.control_variables(control))
        head += "" if control.database else f"(a host volume {control.host}, of user and group 65532)\n"
        text = hcl.write(job.control_job(control, plan), head + "nomad job run control.nomad.hcl\n")
        files["control.nomad.hcl"] = text
    for server in plan.apart:
        name = f"mcp-{server.name}.nomad.hcl"
        head = _head(f"mcp-{server.name} of {plan.name}", plan, job.server_variables(server, plan))
        files[name] = hcl.write(job.server_job(server, plan), head + f"nomad job run {name}\n")
    read = job.agent_variables(plan)
    for server in plan.sidecars:
        for path, names in job.server_variables(server, plan).items():
            read[path] = list(dict.fromkeys([*read.get(path, []), *names]))
    head = _head(f"the stack {plan.name}", plan, read)
    if plan.control:
        put = f"nomad var put {job.control_variable(plan)} url=…"
        head += f"(only where another stack's control is the fleet's: {put})\n"
    if plan.storage:
        head += f"(a host volume {plan.name}-data, of user and group 65532)\n"
    files["agent.nomad.hcl"] = hcl.write(
        job.agent_job(plan, rollout), head + "nomad job run agent.nomad.hcl\n"
    )
    if rollout and plan.control and canaries.is_decided(rollout):
        head = _head(f"what decides about canaries of {plan.name}", plan, canaries.gate_variables(plan))
        head += _GATE
        files["gate.nomad.hcl"] = hcl.write(job.gate_job(plan, rollout, plan.control), head)
    return Rendered(files)


def _head(what: str, plan: StackPlan, read: Mapping[str, list[str]]) -> str:
    """What it is, and what has to be there before it runs."""
    puts = "".join(
        f"nomad var put {path} {' '.join(f'{name}=…' for name in names)}\n" for path, names in read.items()
    )
    return _HEAD.format(what=what, environment=plan.environment) + puts
