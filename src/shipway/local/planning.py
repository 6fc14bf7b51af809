"""(StackPlan, Machine) -> LocalPlan: a pure function.

In: the stack, and what was found on this machine. Out: argv, environment, directory, probe and order of each
process, the files the agent reads, the environments that are installed. Nothing here looks at the machine.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from shipway.errors import StackError
from shipway.local import recording, remarks, services
from shipway.local.plan import GRACE_S, JOURNAL, Environment, LocalPlan, Probe, Process
from shipway.local.ports import LOOPBACK
from shipway.local.variables import agent_variables, inherited, secret_values
from shipway.plan.servers import relay_arguments
from shipway_runtime import contract
from shipway_runtime.contract import env

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shipway.local.plan import Machine, Model
    from shipway.plan.servers import ServerProgram
    from shipway.plan.stack import Replay, Sidecar, StackPlan


def plan_local(
    stack: StackPlan, machine: Machine, *, model: Model = "replayed", speed: float | None = None
) -> LocalPlan:
    """The processes of the stack, in the order they start; `model` is what answers the agent.

    Raises StackError for a service that can neither be run nor reached, and for a key that the model needs.
    """
    replay = None if model == "--live" else stack.replay
    run = services.plan(stack, machine)
    values = secret_values(stack, machine, model, run.urls)
    sidecars = tuple(_sidecar(server, stack, machine, values) for server in _servers(stack))
    agent = Process(
        name="agent",
        role="agent",
        argv=(f"{machine.state}/venv/bin/python", "-m", "shipway_runtime"),
        env=agent_variables(stack, machine, model, values, run.urls) | _commands(stack, machine),
        cwd=machine.root,
        address=f"http://{LOOPBACK}:{machine.ports.api}",
        probe=Probe("agent", (f"http://{LOOPBACK}:{machine.ports.admin}/readyz",)),
        after=tuple(process.name for process in run.processes),
        grace_s=stack.agent.grace_s + GRACE_S,
    )
    pace = ("--speed", f"{speed:g}") if speed is not None else ()
    options = (*pace, *recording.arguments(stack, machine, model))
    played = (_replay(replay, stack, machine, options, recording.kept_out(values)),) if replay else ()
    files = {name: value for name, value in values.items() if stack.agent.secrets.get(name) == "file"}
    return LocalPlan(
        name=stack.name,
        root=machine.root,
        ports=machine.ports,
        processes=(*run.processes, *played, *sidecars, agent),
        environments=_environments(stack, machine),
        setups=run.setups,
        files=_documents(stack, machine),
        secrets=files,
        directories=tuple(_directories(stack, machine, replay)),
        replayed=replay.directory if replay and model == "replayed" else None,
        recorded=replay.directory if replay and model != "replayed" else None,
        remarks=(
            *remarks.on_replicas(stack),
            *run.remarks,
            *_unlimited(stack),
            *remarks.on_secrets(stack, machine, model, values),
        ),
    )


def _directories(stack: StackPlan, machine: Machine, replay: Replay | None) -> Iterator[str]:
    if stack.storage:
        yield f"{machine.state}/data"
    if replay:
        yield f"{machine.root}/{replay.directory}"


def _servers(stack: StackPlan) -> tuple[Sidecar, ...]:
    """Apart from the agent or beside it: without containers it is the same."""
    return (*stack.sidecars, *stack.apart)


def _program(server: Sidecar) -> ServerProgram:
    if server.program is None:
        raise StackError(
            f"[mcp.{server.name}] is the image {server.image}, and a stack of processes runs no images",
            "use --engine docker, or run it yourself and give its url",
        )
    return server.program


def _sidecar(sidecar: Sidecar, stack: StackPlan, machine: Machine, values: Mapping[str, str]) -> Process:
    port = machine.ports.sidecars[sidecar.name]
    python = f"{machine.state}/venv/bin/python"
    command = _command(sidecar.name, _program(sidecar), stack, machine)
    memory = sidecar.resources.memory
    relay = relay_arguments(sidecar.name, port, command, sidecar.message_limit, memory, plain=True)
    own = {name: _here(value, stack, machine) for name, value in sidecar.env.items()}
    return Process(
        name=f"mcp-{sidecar.name}",
        role="sidecar",
        argv=(python, *relay),
        env=inherited(machine.variables)
        | own
        | {name: values[name] for name in sidecar.secrets if name in values},
        cwd=machine.root,
        address=f"http://{LOOPBACK}:{port}/mcp",
        probe=Probe("http", (f"http://{LOOPBACK}:{port}/healthz",)),
    )


def _replay(
    replay: Replay, stack: StackPlan, machine: Machine, options: tuple[str, ...], secrets: Mapping[str, str]
) -> Process:
    port = machine.ports.replay
    journal = ("--journal", f"{machine.state}/{JOURNAL}")
    named = tuple(word for name in secrets for word in ("--secret", name))
    argv = (machine.python, "-m", "shipway.replay", replay.directory, "--port", str(port), *journal, *options)
    return Process(
        name="replay",
        role="replay",
        argv=(*argv, *named),
        env=dict(secrets) | inherited(machine.variables) | _made_with(stack, machine),
        cwd=machine.root,
        address=f"http://{LOOPBACK}:{port}",
        probe=Probe("http", (f"http://{LOOPBACK}:{port}/healthz",)),
    )


def _made_with(stack: StackPlan, machine: Machine) -> dict[str, str]:
    """What recordings are made with, as the agent gets it: for their meta, and for the journal."""
    model = stack.config.settings.model
    prompts = {env.PROMPTS: f"{machine.root}/{stack.prompts}"} if stack.prompts else {}
    return prompts | ({env.MODEL: model.name} if model else {})


def _commands(stack: StackPlan, machine: Machine) -> dict[str, str]:
    """Where the relay finds the MCP servers here: commands of inside ones, addresses of sidecars."""
    found = {
        env.mcp_command(name): json.dumps(_command(name, program, stack, machine))
        for name, program in stack.agent.inside.items()
    }
    for name, port in machine.ports.sidecars.items():
        found[env.mcp_target(name)] = f"http://{LOOPBACK}:{port}/mcp"
    return found


def _command(name: str, program: ServerProgram, stack: StackPlan, machine: Machine) -> tuple[str, ...]:
    here = dataclasses.replace(program, args=tuple(_here(a, stack, machine) for a in program.args))
    return here.command(f"{machine.state}/mcp/{name}", f"{machine.state}/venv/bin/python")


def _here(text: str, stack: StackPlan, machine: Machine) -> str:
    """The source, or a path below storage.path, also after `--option=`, as it is on this machine."""
    if text == contract.SOURCE:
        return machine.source
    option, equals, value = text.rpartition("=") if text.startswith("-") else ("", "", text)
    if stack.storage and PurePosixPath(value).is_relative_to(stack.storage.path):
        below = PurePosixPath(value).relative_to(stack.storage.path)
        return f"{option}{equals}{PurePosixPath(machine.state, 'data', below)}"
    return text


def _environments(stack: StackPlan, machine: Machine) -> tuple[Environment, ...]:
    programs = dict(stack.agent.inside) | {server.name: _program(server) for server in _servers(stack)}
    return (
        Environment("agent", f"{machine.state}/venv"),
        *(
            Environment(
                f"mcp {name}",
                f"{machine.state}/mcp/{name}",
                program.requirement,
                program.script or None,
                "npm" if program.kind == "npm" else "python",
            )
            for name, program in programs.items()
            if program.requirement
        ),
    )


def _documents(stack: StackPlan, machine: Machine) -> dict[str, str]:
    manifest = contract.Manifest(
        name=stack.name,
        entrypoint=stack.agent.entrypoint,
        settings=stack.config.settings,
        mcp=tuple(_stood_in(server, stack, machine) for server in stack.agent.mcp),
        prompts=machine.prompts_digest,
        live=stack.agent.live,
    )
    run = f"{machine.state}/run"
    return {
        f"{run}/shipway.json": contract.encode(manifest),
        f"{run}/config.json": contract.encode(stack.config),
    }


def _stood_in(server: contract.McpServer, stack: StackPlan, machine: Machine) -> contract.McpServer:
    variables = {name: _here(value, stack, machine) for name, value in server.env.items()}
    return dataclasses.replace(server, env=variables)


def _unlimited(stack: StackPlan) -> tuple[str, ...]:
    names = [server.name for server in _servers(stack) if server.resources.cpu is not None]
    return tuple(f"MCP server {name}: its CPU is not limited without containers" for name in names)
