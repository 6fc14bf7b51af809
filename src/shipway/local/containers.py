"""(StackPlan, Machine) -> LocalPlan of containers: a pure function.

In: the stack, and what was found on this machine. Out: for each container a `docker run` in the foreground,
whose output, signals and exit code are the container's, so that it is supervised as a process is.

    pod ── the network namespace of the agent and of what is beside it; its ports, on this machine's loopback
     ├─ agent, mcp-NAME, replay      on the ports of the image
    NAME-mcp-NAME, db                apart, in a network of their own, under these names

Our containers run as the user who called, because they read and write the project's files: replays, data,
secrets. All else is as in production: read-only, without capabilities, with the limits of agent.toml.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from shipway.errors import StackError
from shipway.local import recording, remarks
from shipway.local.addresses import HOST, from_container
from shipway.local.container_images import name_images
from shipway.local.container_process import HARDENED, each, limit, mount, run_container
from shipway.local.container_services import Started, plan_services
from shipway.local.container_variables import agent_variables, inherited
from shipway.local.plan import GRACE_S, JOURNAL, Containers, LocalPlan, Probe
from shipway.local.ports import LOOPBACK
from shipway.local.variables import secret_values
from shipway.plan import container, servers
from shipway_runtime import contract
from shipway_runtime.contract import env

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Unpack

    from shipway.local.container_process import Role, Run
    from shipway.local.plan import Docker, Machine, Model, Process
    from shipway.plan.stack import Replay, Sidecar, StackPlan

POD = "pod"
_JOURNAL, _PROMPTS = "/journal", "/prompts"  # in the replay's container


def project(name: str, root: str) -> str:
    """What a stack is called in the engine: the same for every start in a directory, and only there."""
    return f"{name}-{hashlib.sha256(root.encode()).hexdigest()[:6]}"


def plan_containers(
    stack: StackPlan, machine: Machine, *, model: Model = "replayed", speed: float | None = None
) -> LocalPlan:
    """The containers of the stack, in the order they start; `model` is what answers the agent.

    Raises StackError for a service without a URL, and for a key that the model needs.
    """
    if machine.docker is None:
        raise StackError("no engine was found on this machine", "use --engine processes")
    return _Planner(stack, machine, machine.docker, model, speed).plan()


class _Planner:
    """One plan in the making: what every part of it looks at."""

    def __init__(
        self, stack: StackPlan, machine: Machine, docker: Docker, model: Model, speed: float | None
    ) -> None:
        self.stack, self.machine, self.docker, self.model = stack, machine, docker, model
        self.project = project(stack.name, machine.root)
        self.services = plan_services(stack, machine)
        self.values = secret_values(stack, machine, model, self.services.urls)
        self.replay = None if model == "--live" else stack.replay
        self.images = name_images(stack, self.replay, self.project)
        self.pace = ("--speed", f"{speed:g}") if speed is not None else ()

    def plan(self) -> LocalPlan:
        stack, machine, replay = self.stack, self.machine, self.replay
        beside = [self._server(server, beside=True) for server in stack.sidecars]
        apart = [self._server(server, beside=False) for server in stack.apart]
        databases = [self._service(service) for service in self.services.started]
        played = [self._replay(replay)] if replay else []
        processes = (self._pod(), *databases, *played, *beside, *apart, self._agent())
        sources = stack.agent.secrets
        return LocalPlan(
            name=stack.name,
            root=machine.root,
            ports=machine.ports,
            processes=processes,
            environments=(),
            setups=(),
            files={f"{machine.state}/run/config.json": contract.encode(stack.config)},
            secrets={name: value for name, value in self.values.items() if sources.get(name) == "file"},
            directories=tuple(self._directories()),
            remarks=(
                *remarks.on_replicas(stack),
                *self.services.remarks,
                *remarks.on_secrets(stack, machine, self.model, self.values),
            ),
            replayed=replay.directory if replay and self.model == "replayed" else None,
            recorded=replay.directory if replay and self.model != "replayed" else None,
            containers=self._containers(processes),
        )

    def _containers(self, processes: tuple[Process, ...]) -> Containers:
        program = self.docker.program
        names = [self._name(process.name) for process in processes]
        given = [server.image for server in (*self.stack.sidecars, *self.stack.apart)]
        return Containers(
            program=program,
            network=self.project,
            admin_token=self.docker.admin_token,
            built=self.images.built,
            others=self.images.others([*given, *(service.image for service in self.services.started)]),
            removal=(
                (program, "rm", "--force", "--volumes", *names),
                (program, "network", "rm", self.project),
            ),
        )

    def _directories(self) -> Iterator[str]:
        state = self.machine.state
        if self.stack.storage:
            yield f"{state}/data"
        if self.replay:
            yield f"{self.machine.root}/{self.replay.directory}"
            yield f"{state}/{JOURNAL}".rpartition("/")[0]

    # -- Processes -----------------------------------------------------------------------------------------

    def _pod(self) -> Process:
        ports, agent = self.machine.ports, self.stack.agent.ports
        published = {ports.api: agent["api"], ports.admin: agent["admin"]}
        if self.replay:
            published[ports.replay] = self.replay.port
        published |= {ports.sidecars[server.name]: server.port for server in self.stack.sidecars}
        hosts = [f"{HOST}:host-gateway"]
        if self.model == "replayed" and self.stack.replay:
            hosts += [f"{host}:{LOOPBACK}" for host in contract.PROVIDER_HOSTS if "*" not in host]
        return self._run(
            POD,
            "network",
            self.images.name(self.stack.agent.image),
            options=(
                *("--network", self.project),
                *each("--publish", (f"{LOOPBACK}:{here}:{there}" for here, there in published.items())),
                *each("--add-host", hosts),
                *("--user", self.docker.user, *HARDENED),
            ),
            arguments=container.HOLD,
            address="",
        )

    def _agent(self) -> Process:
        stack, machine = self.stack, self.machine
        given = {n: v for n, v in self.values.items() if stack.agent.secrets.get(n) != "file"}
        options = [
            *self._inside(stack.agent.resources.memory),
            *mount(f"{machine.state}/run", contract.CONFIG.rpartition("/")[0], readonly=True),
            *mount(f"{machine.state}/secrets", contract.SECRETS, readonly=True),
            *(mount(f"{machine.state}/data", stack.storage.path) if stack.storage else ()),
        ]
        return self._run(
            "agent",
            "agent",
            self.images.name(stack.agent.image),
            options=tuple(options),
            variables=agent_variables(stack, machine, self.model),
            secrets=given | self.services.urls | {env.ADMIN_TOKEN: self.docker.admin_token},
            address=f"http://{LOOPBACK}:{machine.ports.api}",
            probe=Probe("agent", (f"http://{LOOPBACK}:{machine.ports.admin}/readyz",)),
            after=(POD, *(service.name for service in self.services.started)),
            grace_s=stack.agent.grace_s + GRACE_S,
            memory=stack.agent.resources.memory,
            inside=POD,
        )

    def _server(self, server: Sidecar, *, beside: bool) -> Process:
        """An image of ours tells its health to this machine; what others built listens as it likes."""
        stack, machine = self.stack, self.machine
        here = f"{LOOPBACK}:{machine.ports.sidecars[server.name]}"
        place = f"{stack.name}-mcp-{server.name}"
        options = [
            *(("--network", self._shared()) if beside else self._apart(place, f"{here}:{server.port}")),
            *limit(server.resources.memory),
            *(("--user", self.docker.user, *HARDENED) if server.program else ()),
            *self._secret_files(server),
        ]
        if beside and server.storage and stack.storage:
            options += mount(f"{machine.state}/data", stack.storage.path)
        return self._run(
            f"mcp-{server.name}",
            "sidecar",
            self.images.name(server.image),
            options=tuple(options),
            arguments=_command(server),
            variables=inherited(machine.variables) | server.env,
            secrets={n: self.values[n] for n, s in server.secrets.items() if s == "env" and n in self.values},
            address=f"http://{here}{server.path}",
            probe=Probe("http", (f"http://{here}/healthz",)) if server.program else None,
            after=(POD,) if beside else (),
            memory=server.resources.memory,
            inside=POD if beside else None,
        )

    def _secret_files(self, server: Sidecar) -> Iterator[str]:
        for name, source in server.secrets.items():
            if source == "file" and name in self.values:
                secret = f"{contract.SECRETS}/{name}"
                yield from mount(f"{self.machine.state}/secrets/{name}", secret, readonly=True)

    def _replay(self, replay: Replay) -> Process:
        stack, machine = self.stack, self.machine
        secrets = recording.kept_out(self.values)
        settings = stack.config.settings.model
        known = ({env.PROMPTS: _PROMPTS} if stack.prompts else {}) | (
            {env.MODEL: settings.name} if settings else {}
        )
        records = self.model != "replayed"
        journal, _, file = f"{machine.state}/{JOURNAL}".rpartition("/")
        return self._run(
            "replay",
            "replay",
            replay.image,
            options=(
                *self._inside(),
                *mount(f"{machine.root}/{replay.directory}", replay.mount, readonly=not records),
                *mount(journal, _JOURNAL),
                *(mount(f"{machine.root}/{stack.prompts}", _PROMPTS, readonly=True) if stack.prompts else ()),
            ),
            arguments=(
                *("--journal", f"{_JOURNAL}/{file}"),
                *self.pace,
                *recording.arguments(stack, machine, self.model, from_container),
                *each("--secret", secrets),
            ),
            variables=inherited(machine.variables) | known,
            secrets=secrets,
            address=f"http://{LOOPBACK}:{machine.ports.replay}",
            probe=Probe("http", (f"http://{LOOPBACK}:{machine.ports.replay}/healthz",)),
            after=(POD,),
            inside=POD,
        )

    def _service(self, service: Started) -> Process:
        here = f"{LOOPBACK}:{self.machine.ports.services[service.name]}"
        published = f"{here}:{service.port}" if service.port else None
        volume = [f"{self.project}-{source}:{target}" for source, target in service.volumes.items()]
        exec_ = (self.docker.program, "exec", self._name(service.name), *service.probe)
        return self._run(
            service.name,
            "service",
            service.image,
            options=(
                *self._apart(service.name, published),
                *each("--volume", volume),
            ),
            variables=service.variables,
            address=here if service.port else "",
            probe=Probe("command", exec_) if service.probe else None,
            stop=service.stop,
        )

    # -- Their parts ---------------------------------------------------------------------------------------

    def _run(self, name: str, role: Role, image: str, **run: Unpack[Run]) -> Process:
        return run_container(self.machine, self.docker, self.project, name, role, image, **run)

    def _name(self, process: str) -> str:
        return f"{self.project}-{process}"

    def _shared(self) -> str:
        return f"container:{self._name(POD)}"

    def _inside(self, memory: int | None = None) -> tuple[str, ...]:
        own = ("--network", self._shared(), "--user", self.docker.user)
        return (*own, *HARDENED, *limit(memory))

    def _apart(self, alias: str, published: str | None) -> tuple[str, ...]:
        network = ("--network", self.project, "--network-alias", alias)
        hosts = ("--add-host", f"{HOST}:host-gateway")
        return (*network, *hosts, *(("--publish", published) if published else ()))


def _command(server: Sidecar) -> tuple[str, ...]:
    """Our relay, on every address of the pod: `shipway status` asks it from outside."""
    if server.program is None:
        return ()
    python = container.PYTHON
    own = server.program.command(servers.environment_path(server.name), python)
    return (
        python,
        *servers.relay_arguments(server.name, server.port, own, server.message_limit, plain=True, apart=True),
    )
