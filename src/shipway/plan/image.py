"""(Spec, Project, Lock) -> ImagePlan: what goes into each image, layer by layer.

In: what was read. Out: frozen values, the same on every machine. The order of the layers is the order of
change: what moves least is lowest, and an edit of the project's code changes the last one alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from shipway.plan import servers
from shipway.plan.settings import settings
from shipway_runtime import contract

if TYPE_CHECKING:
    from shipway.plan.servers import ServerProgram
    from shipway.spec.load import Loaded
    from shipway.spec.lock import Lock
    from shipway.spec.model import Spec
    from shipway.spec.project import Project

PYTHON = "3.13"  # of the `minimal` base: Debian 13's


@dataclass(frozen=True, slots=True)
class Base:
    """The lowest layer: Debian's own signed packages, without a shell."""

    kind: Literal["minimal"] = "minimal"
    suite: str = "trixie"
    packages: tuple[str, ...] = ()
    mirror: str | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """One set of Python distributions in a virtual environment of its own.

    `lock` is the project's file that says which, else `requirements` do; `runtime` adds what
    shipway-runtime needs, resolved under the project's own pins; `script` is a console script that must
    be there when all is installed; `split` gives each heavy wheel a layer of its own.
    """

    name: str
    path: str
    lock: str | None = None
    groups: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    runtime: bool = False
    script: str | None = None
    split: bool = False


@dataclass(frozen=True, slots=True)
class NodeEnvironment:
    """An MCP server from npm, below `path`; all of them share one Node in /app/node."""

    name: str
    path: str
    package: str


@dataclass(frozen=True, slots=True)
class File:
    """A file of the project: its path in the image, and where it is below the project's root."""

    path: str
    source: str
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Process:
    """How the container starts: exec form, numeric user, absolute paths."""

    entrypoint: tuple[str, ...]
    user: str
    env: dict[str, str]
    working_dir: str
    ports: tuple[int, ...]
    volumes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """One image. `role` is `agent`, or `mcp-NAME` as release.json says.

    `also` are sidecars that run from the same image with another command: modules of the project.
    """

    role: str
    also: tuple[str, ...]
    repository: str
    platforms: tuple[str, ...]
    python: str
    base: Base
    environments: tuple[Environment, ...]
    node: tuple[NodeEnvironment, ...]
    files: tuple[File, ...]
    manifest: contract.Manifest | None
    process: Process
    size_limit: int | None


def plan_images(loaded: Loaded, project: Project, lock: Lock) -> tuple[ImagePlan, ...]:
    """The agent's image, then one for each sidecar that is a package from an index."""
    spec = loaded.spec
    packages = [(name, program) for name, program in _sidecars(spec) if program.requirement]
    built = [_sidecar_image(spec, name, program) for name, program in packages]
    return (_agent_image(spec, project, lock), *built)


def list_unbuilt(spec: Spec) -> list[str]:
    """Sidecars that get no image from us, because a command of the user's own starts them."""
    return [name for name, program in _sidecars(spec) if program.kind == "command"]


def _sidecars(spec: Spec) -> list[tuple[str, ServerProgram]]:
    found = [(name, servers.program(s)) for name, s in spec.mcp.items() if s.shape == "sidecar"]
    return [(name, program) for name, program in found if program]


def _agent_image(spec: Spec, project: Project, lock: Lock) -> ImagePlan:
    inside = {n: servers.program(s) for n, s in spec.mcp.items() if s.shape == "inside"}
    own = [_server_environment(n, p) for n, p in inside.items() if p and p.kind == "pypi"]
    dependencies = Environment(
        name="dependencies",
        path=contract.VENV,
        lock=lock.path if lock.kind != "none" else None,
        groups=spec.image.groups,
        extras=spec.image.extras,
        runtime=True,
        split=True,
    )
    return ImagePlan(
        role="agent",
        also=tuple(f"mcp-{name}" for name, program in _sidecars(spec) if program.kind == "project"),
        repository=servers.image_name(spec),
        platforms=_platforms(spec),
        python=PYTHON,
        base=Base(packages=spec.image.packages, mirror=spec.image.mirror),
        environments=(*own, dependencies),
        node=tuple(_node_environment(n, p) for n, p in inside.items() if p and p.kind == "npm"),
        files=tuple(File(f.path, f.source, f.executable) for f in project.files),
        manifest=contract.Manifest(
            name=spec.name,
            entrypoint=spec.entrypoint,
            settings=settings(spec),
            mcp=servers.relay_servers(spec),
            prompts=project.prompts_digest,
        ),
        process=_process(
            ("-m", "shipway_runtime"),
            ports=(contract.API_PORT, contract.ADMIN_PORT),
            volumes=(spec.storage.path,) if spec.storage else (),
        ),
        size_limit=spec.image.size,
    )


def _sidecar_image(spec: Spec, name: str, program: ServerProgram) -> ImagePlan:
    server = spec.mcp[name]
    python = f"{contract.VENV}/bin/python"
    command = program.command(servers.environment_path(name), python)
    port = servers.sidecar_ports(spec)[name]
    relay = ("-m", "shipway_runtime.relay", name, "--port", str(port), "--", *command)
    runtime = Environment(name="runtime's dependencies", path=contract.VENV, runtime=True)
    return ImagePlan(
        role=f"mcp-{name}",
        also=(),
        repository=servers.image_name(spec, name),
        platforms=_platforms(spec),
        python=PYTHON,
        base=Base(packages=server.packages, mirror=spec.image.mirror),
        environments=(*([_server_environment(name, program)] if program.kind == "pypi" else []), runtime),
        node=(_node_environment(name, program),) if program.kind == "npm" else (),
        files=(),
        manifest=None,
        process=_process(relay, ports=(port,), volumes=()),
        size_limit=None,
    )


def _server_environment(name: str, program: ServerProgram) -> Environment:
    return Environment(
        name=f"mcp {name}",
        path=servers.environment_path(name),
        requirements=(program.requirement,),
        script=program.script,
    )


def _node_environment(name: str, program: ServerProgram) -> NodeEnvironment:
    return NodeEnvironment(f"mcp {name}", servers.environment_path(name), program.requirement)


def _platforms(spec: Spec) -> tuple[str, ...]:
    return spec.image.platforms or ("linux/amd64",)


def _process(arguments: tuple[str, ...], ports: tuple[int, ...], volumes: tuple[str, ...]) -> Process:
    return Process(
        entrypoint=(f"{contract.VENV}/bin/python", *arguments),
        user=f"{contract.UID}:{contract.UID}",
        env={
            "PATH": f"{contract.VENV}/bin:/usr/bin:/bin",
            "HOME": "/tmp",  # noqa: S108 - the only writable place besides the volume
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
        },
        working_dir=contract.APP,
        ports=ports,
        volumes=volumes,
    )
