"""`shipway up`, from agent.toml to a running stack.

In: the project's directory and the options. Out: the exit code, when the stack has ended; with `detach`, when
it is ready. Everything that can be wrong with the input is found before the first process starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.errors import StackError, UnreachableError
from shipway.local import databases, docker, dotenv, engines, environments, ports, replays, state
from shipway.local.container_process import LABEL
from shipway.local.containers import plan_containers
from shipway.local.output import Output, tail
from shipway.local.plan import ADMIN_TOKEN, STATE, Containers, Docker, LocalPlan, Machine, Model
from shipway.local.planning import plan_local
from shipway.local.supervisor import StartFailedError, Supervisor
from shipway.local.warden import Warden
from shipway.plan.image import image_python, runtime_extras
from shipway.plan.stack import StackPlan, plan_replay, plan_stack
from shipway.spec.load import load
from shipway.spec.lock import read_lock
from shipway.spec.project import Project, read_project

if TYPE_CHECKING:
    from collections.abc import Callable

    from shipway.local.supervisor import Status
    from shipway.spec.load import Loaded

_TAIL = 30  # lines of a failed process that a detached start shows


@dataclass(frozen=True, slots=True)
class Options:
    """The command line. `wait_s`: after how long an agent that is not ready is talked about. `engine`: None
    leaves the choice to what is here."""

    directory: Path
    detach: bool = False
    port: int | None = None
    model: Model = "replayed"
    speed: float | None = None
    env_file: Path | None = None
    wait_s: float = 30.0
    engine: engines.Engine | None = None


def up(options: Options, say: Callable[[str], None]) -> int:
    """Run the project's stack. Raises SpecError, ResolveError and StackError."""
    loaded = load(options.directory)
    project = read_project(loaded)
    stack = _stack(loaded, project, options.model)
    lock = state.Lock(project.root)
    lock.take()
    if docker.remove_left(project.root):
        say("removed the containers of a stack that was killed")
    chosen = engines.choose(options.engine, stack)
    if chosen.said:
        say(chosen.said)
    machine = _survey(stack, project, options, chosen.docker)
    planned = plan_containers if machine.docker else plan_local
    plan = planned(stack, machine, model=options.model, speed=options.speed)
    for remark in (*plan.remarks, *replays.remark(loaded)):
        say(remark)
    _prepare(plan, loaded, project, machine, say)
    if options.detach:
        return _detach(plan, lock, options, say)
    return _supervise(plan, lock, options, quiet=False, report=lambda status, lines: None)


def _stack(loaded: Loaded, project: Project, model: Model) -> StackPlan:
    """The development stack; a project without [model] can be recorded and replayed, too."""
    stack = plan_stack(loaded)
    if stack.replay is None and (model.startswith("--record") or (project.root / "replays").is_dir()):
        return dataclasses.replace(stack, replay=plan_replay(loaded.spec))
    return stack


def _survey(stack: StackPlan, project: Project, options: Options, engine: Docker | None) -> Machine:
    root = project.root
    return Machine(
        root=str(root),
        source=str(root / project.source_root),
        python=sys.executable,
        ports=ports.choose(stack, options.port),
        prompts_digest=project.prompts_digest,
        variables=dict(os.environ),
        dotenv=dotenv.read(options.env_file or root / ".env"),
        installed={} if engine else databases.find(stack, root / STATE),
        docker=engine,
    )


def _prepare(
    plan: LocalPlan, loaded: Loaded, project: Project, machine: Machine, say: Callable[[str], None]
) -> None:
    """Everything on disk and in the engine that the processes need."""
    root = Path(plan.root)
    if plan.containers:
        _provide_containers(plan.containers, loaded, project, say)
    else:
        _provide_environments(plan, loaded, machine, say)
    for name in plan.directories:
        if not Path(name).exists():
            if not Path(name).is_relative_to(root / STATE):
                say(f"making {Path(name).relative_to(root)}/, which is empty")
            Path(name).mkdir(parents=True)
    for name, text in plan.files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    _write_secrets(root / STATE / "secrets", plan.secrets)
    for setup in plan.setups:
        databases.set_up(setup, say)


def _provide_environments(
    plan: LocalPlan, loaded: Loaded, machine: Machine, say: Callable[[str], None]
) -> None:
    root = Path(plan.root)
    lock, image = read_lock(root, image_python(loaded.spec)), loaded.spec.image
    sources = environments.Sources(
        root, lock.path or None, image.groups, image.extras, runtime_extras(loaded.spec)
    )
    environments.prepare(plan, sources, Path(machine.source), say)


def _provide_containers(
    containers: Containers, loaded: Loaded, project: Project, say: Callable[[str], None]
) -> None:
    from shipway.build.interruption import interruptible
    from shipway.local import images  # the builder takes long to import

    try:
        with interruptible():
            images.provide(containers, loaded, project, say)
    except UnreachableError as error:  # Debian's packages, or a base
        error.hint += "; or --engine processes, which makes no image"
        raise
    _write_private(project.root / STATE / ADMIN_TOKEN, containers.admin_token)
    docker.remember(project.root, containers.removal)
    docker.make_network(containers, f"{LABEL}={containers.network}")


def _write_secrets(directory: Path, secrets: dict[str, str]) -> None:
    """One file a secret, for the owner's eyes alone; what is no secret any more goes."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for old in directory.iterdir():
        if old.name not in secrets:
            old.unlink()
    for name, value in secrets.items():
        _write_private(directory / name, value)


def _write_private(file: Path, text: str) -> None:
    new = file.with_name(f".{file.name}.new")
    new.touch(mode=0o600)
    new.write_text(text)
    new.replace(file)


def _supervise(
    plan: LocalPlan,
    lock: state.Lock,
    options: Options,
    *,
    quiet: bool,
    report: Callable[[Status, list[str]], None],
) -> int:
    root = Path(plan.root)
    lock.sign()
    warden = Warden.start(lock.fileno(), plan.containers.removal if plan.containers else ())
    output = Output(root / STATE / "logs", [process.name for process in plan.processes], quiet=quiet)
    try:
        return asyncio.run(_run(plan, output, warden, options.wait_s, report))
    finally:
        docker.remove_left(root)
        warden.dismiss()
        state.remove(root)
        output.say("ended")
        output.close()


async def _run(
    plan: LocalPlan,
    output: Output,
    warden: Warden,
    wait_s: float,
    report: Callable[[Status, list[str]], None],
) -> int:
    return await Supervisor(plan, output, warden, wait_s, report).run()


# -- In the background ---------------------------------------------------------------------------------------


def _detach(plan: LocalPlan, lock: state.Lock, options: Options, say: Callable[[str], None]) -> int:
    """Fork the supervisor into a session of its own, and wait for its word over a pipe."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(reading)
        return _in_background(plan, lock, options, writing)
    os.close(writing)
    try:
        with os.fdopen(reading, encoding="utf-8") as pipe:
            line = pipe.readline()
    except KeyboardInterrupt:
        os.kill(child, signal.SIGTERM)
        raise
    word = json.loads(line) if line else {}
    if word.get("status") not in ("ready", "unready"):
        os.waitpid(child, 0)  # nothing may be left when a failed start returns
    return _tell(word, plan, say)


def _in_background(plan: LocalPlan, lock: state.Lock, options: Options, pipe: int) -> int:
    logs = Path(plan.root, STATE, "logs")
    logs.mkdir(parents=True, exist_ok=True)
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    talk = os.open(logs / "up.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(talk, 1)
    os.dup2(talk, 2)

    def report(status: str, lines: list[str], process: str = "") -> None:
        message = json.dumps({"status": status, "lines": lines, "process": process})
        with contextlib.suppress(OSError):
            os.write(pipe, message.encode() + b"\n")

    try:
        return _supervise(plan, lock, options, quiet=True, report=report)
    except StartFailedError as error:
        report("failed", [str(error)], error.process)
        raise


def _tell(word: dict[str, object], plan: LocalPlan, say: Callable[[str], None]) -> int:
    """What the supervisor said, for the person who waits: 0 when the agent is ready."""
    logs = Path(plan.root, STATE, "logs")
    lines = word.get("lines")
    if word.get("status") == "failed" and isinstance(lines, list):
        for line in tail(logs, str(word["process"]), _TAIL):
            say(f"  {line}")
        raise StackError(lines[0], f"all of it: shipway logs {word['process']}")
    if not isinstance(lines, list):
        raise StackError("the stack ended while it was starting", f"what it said: {logs / 'up.txt'}")
    for line in lines:
        say(line)
    if word["status"] == "unready":
        raise StackError("the stack runs, but the agent is not ready", "look: shipway status, shipway logs")
    return 0
