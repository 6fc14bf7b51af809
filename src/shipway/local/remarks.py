"""What whoever starts a stack should know of it, in one line each.

In: the stack, the machine, the values that secrets have. Out: lines, whatever runs the stack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.plan.sdk_variables import BASE_URLS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipway.local.plan import Machine, Model
    from shipway.plan.stack import StackPlan


def on_replicas(stack: StackPlan) -> tuple[str, ...]:
    asked = stack.agent.replicas
    return (f"one agent runs here, not {asked}: replicas are for other targets",) if asked > 1 else ()


def on_secrets(
    stack: StackPlan, machine: Machine, model: Model, values: Mapping[str, str]
) -> tuple[str, ...]:
    """Secrets that lack a value, values that nobody uses."""
    replaced = _replaced(stack, machine) if model == "replayed" else ()
    return (*_missing(stack, values), *_brokered(stack, machine), *replaced, *_undeclared(stack, machine))


def _missing(stack: StackPlan, values: Mapping[str, str]) -> tuple[str, ...]:
    given = [name for name, source in stack.agent.secrets.items() if source != "broker"]
    names = [name for name in given if name not in values]
    return tuple(f"secret {name} has no value: set it in the environment or in .env" for name in names)


def _brokered(stack: StackPlan, machine: Machine) -> tuple[str, ...]:
    names = [
        name for name, source in stack.agent.secrets.items() if source == "broker" and machine.value(name)
    ]
    return tuple(
        f"secret {name} comes from its broker; the value in the environment or in .env is not used"
        for name in names
    )


def _replaced(stack: StackPlan, machine: Machine) -> tuple[str, ...]:
    names = [name for name in (stack.replay.placeholders if stack.replay else ()) if machine.value(name)]
    return tuple(
        f"{name}: the value in the environment or in .env is not used while the model is replayed"
        for name in names
    )


def _undeclared(stack: StackPlan, machine: Machine) -> tuple[str, ...]:
    known = {*stack.agent.secrets, *(service.env_url for service in stack.services), *BASE_URLS}
    names = [name for name in machine.dotenv if name not in known]
    return tuple(
        f".env: {name} is not in [secrets] of agent.toml, so the agent does not get it" for name in names
    )
