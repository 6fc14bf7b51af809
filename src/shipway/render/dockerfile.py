"""ImagePlans -> Dockerfiles that make the same /app as `shipway build`, and their .dockerignore.

In: plans whose bases were found, and the references of those that are images. Out: the text of files by
their path in the build context. Nothing is read, resolved or asked. What a Dockerfile takes from
.shipway/docker beside these files (pins, uv, the base's tree) is put there by build/context.py.

Every instruction has the exec form, because the base has no shell. Secrets are mounted over the files where
programs look for them, so no instruction has to read them, and no layer holds them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from shipway.plan.context import stage_name, uv_directory
from shipway.plan.image import NODE, NPM, Python
from shipway.render.copies import copies, words
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shipway.plan.image import Environment, ImagePlan, NodeEnvironment

CONTEXT = ".shipway/docker"
"""Where the Dockerfiles take from what is not the project's own."""

MARK = "# Rendered by `shipway render dockerfile`"
"""The first line of each file; one without it is somebody's own and is not replaced."""

_RUNTIME = "runtime"
_PROJECT = "project"
_MADE = "/made"
"""Below it stages make what they give to the image: a shared base has an /app already, and keeps it."""
_VOLUMES = "/volumes"


_NODE_WHEEL = "/build/wheel"

_UV_MOUNTS = (
    "--mount=type=cache,id=uv,target=/root/.cache/uv,sharing=locked",
    "--mount=type=secret,id=netrc,target=/root/.netrc",
    "--mount=type=secret,id=uv,target=/etc/uv/uv.toml",
)
_NPM_MOUNTS = (
    "--mount=type=cache,id=npm,target=/root/.npm,sharing=locked",
    "--mount=type=secret,id=npmrc,target=/root/.npmrc",
)


def render(plans: Sequence[ImagePlan], bases: Mapping[str, str] | None = None) -> dict[str, str]:
    """`Dockerfile` for the agent, `Dockerfile.mcp-NAME` for sidecars, .dockerignore and the manifest.

    `bases` are the images, pinned by digest, that plans stand on, by role; `minimal` is in the context.
    """
    texts = {dockerfile_name(plan): dockerfile(plan, (bases or {}).get(plan.role)) for plan in plans}
    manifests = {manifest_path(p): contract.encode(p.manifest) for p in plans if p.manifest}
    return texts | {".dockerignore": dockerignore(plans)} | manifests


def dockerfile_name(plan: ImagePlan) -> str:
    """`Dockerfile`, or `Dockerfile.ROLE` for what is not the agent."""
    return "Dockerfile" if plan.role == "agent" else f"Dockerfile.{plan.role}"


def own_directory(plan: ImagePlan) -> str:
    """Where the context keeps what is one image's own."""
    return f"{CONTEXT}/{plan.role}"


def manifest_path(plan: ImagePlan) -> str:
    """The manifest, in the context."""
    return f"{own_directory(plan)}/shipway.json"


def dockerignore(plans: Sequence[ImagePlan]) -> str:
    """An allow-list: the files of the plan, and nothing else of the project, whatever lies there."""
    sources = sorted({_escaped(file.source) for plan in plans for file in plan.files})
    lines = (f"{MARK}: what the plan names, and nothing else", "*", f"!{CONTEXT}")
    return "\n".join([*lines, *(f"!{source}" for source in sources)]) + "\n"


def dockerfile(plan: ImagePlan, base: str | None = None) -> str:
    """One image's Dockerfile."""
    stages = [
        _head(plan),
        _base(plan, base),
        _build(plan, base),
        *([_node(plan)] if plan.node else []),
        *(_server(server, plan) for server in plan.node),
        *(_environment(environment, plan) for environment in plan.environments),
        _runtime(plan),
        _project(plan),
        _final(plan),
    ]
    return "\n".join(f"{chr(10).join(lines)}\n" for lines in stages if lines)


def _head(plan: ImagePlan) -> list[str]:
    named = "" if plan.role == "agent" else f"-f {dockerfile_name(plan)} "
    indexes = ["UV_DEFAULT_INDEX", "UV_INDEX", *(["NPM_CONFIG_REGISTRY"] if plan.node else [])]
    return [
        f"{MARK}, which also fills {CONTEXT}; render again instead of editing.",
        "#",
        f"#   DOCKER_BUILDKIT=1 docker build {named}-t {plan.repository} .",
        "#",
        "# Secrets, each only where it is needed and never in a layer:",
        "#   --secret id=ca,src=bundle.pem   certificates to trust while installing, all of them",
        "#   --secret id=netrc,src=.netrc    credentials of private indexes",
        "#   --secret id=uv,src=uv.toml      private indexes with their settings",
        *(["#   --secret id=npmrc,src=.npmrc    npm's registry with its settings"] if plan.node else []),
        f"# Build arguments: HTTPS_PROXY and its like, {', '.join(indexes)} (without credentials).",
    ]


def _base(plan: ImagePlan, base: str | None) -> list[str]:
    if base:
        return [f"FROM {base} AS base"]
    return [
        "# The base: signed Debian packages, without a shell.",
        "FROM scratch AS base",
        "ARG TARGETARCH=amd64",
        f"ADD {own_directory(plan)}/$TARGETARCH/base.tar.gz /",
    ]


def _build(plan: ImagePlan, base: str | None) -> list[str]:
    python = _python(plan)
    uv = uv_directory(python, "$TARGETARCH")
    bundle = plan.process.env.get("SSL_CERT_FILE", "")
    trust = [f"    SSL_CERT_FILE={bundle} \\"] if bundle else []
    root = [
        "# The image itself is not root: this is a stage. `base` may say another user.",
        "# hadolint ignore=DL3002",
        "USER 0:0",
    ]
    return [
        "# uv and the finishing step, run by the base's own Python.",
        "FROM base AS build",
        "ARG TARGETARCH=amd64",
        "ARG UV_DEFAULT_INDEX",
        "ARG UV_INDEX",
        "ENV HOME=/root \\",
        *trust,
        "    UV_LINK_MODE=copy \\",
        "    UV_NO_PROGRESS=1",
        *(root if base else []),
        "WORKDIR /build",
        f"COPY {CONTEXT}/{uv}/uv {own_directory(plan)}/$TARGETARCH/uv.toml /build/",
        f"COPY {CONTEXT}/finish.py {CONTEXT}/compile.py /build/",
        *_trusting(plan),
    ]


def _trusting(plan: ImagePlan) -> list[str]:
    """The project's own certificates join the base's, for what is installed and for the image."""
    if plan.ca is None:
        return []
    bundle = plan.process.env["SSL_CERT_FILE"]
    return [
        f"COPY {own_directory(plan)}/$TARGETARCH/ca.pem /build/",
        f"RUN {_finish(plan, 'certificates', '/build/ca.pem', bundle)}",
    ]


def _environment(environment: Environment, plan: ImagePlan) -> list[str]:
    python = _python(plan)
    tree = f"{_MADE}{environment.path}"
    packages = f"{tree}/lib/python{python.version}/site-packages"
    script = (environment.script,) if environment.script else ()
    return [
        f"# {environment.name}: exactly these wheels, by hash.",
        *_install(environment, packages, plan),
        f"RUN {_finish(plan, 'environment', tree, environment.path, python.version, python.path, *script)}",
    ]


def _install(environment: Environment, target: str, plan: ImagePlan) -> list[str]:
    """A stage in which uv fills `target`; wheels that no index has lie beside the pins."""
    command = (
        *("/build/uv", "pip", "install", "--target", target, "--no-deps", "--require-hashes"),
        *("--only-binary", ":all:", "--requirements", "pins.txt"),
    )
    return [
        f"FROM build AS {stage_name(environment)}",
        *_take(environment, f"/build/{stage_name(environment)}", plan),
        *_run(plan, _UV_MOUNTS, *command),
    ]


def _node(plan: ImagePlan) -> list[str]:
    return [
        "# Node, and npm for the stages after this one: a wheel, by hash.",
        *_install(NODE, _NODE_WHEEL, plan),
        f"RUN {_finish(plan, 'node', _NODE_WHEEL, contract.NODE)}",
    ]


def _server(server: NodeEnvironment, plan: ImagePlan) -> list[str]:
    node = f"{contract.NODE}/bin/node"
    ci = (node, "--use-openssl-ca", f"{_NODE_WHEEL}/{NPM}", "ci", "--ignore-scripts")
    return [
        f"# {server.name}: exactly these npm packages, by hash; none of their scripts runs.",
        f"FROM {stage_name(NODE)} AS {stage_name(server)}",
        "ARG NPM_CONFIG_REGISTRY",
        *_take(server, server.path, plan),
        *_run(plan, _NPM_MOUNTS, *ci),
        f"RUN {_finish(plan, 'npm', server.path, server.package_name, node)}",
    ]


def _take(environment: Environment | NodeEnvironment, directory: str, plan: ImagePlan) -> list[str]:
    """What the context has for a stage, in a directory in which the stage goes on."""
    return [
        "ARG TARGETARCH=amd64",
        f"WORKDIR {directory}",
        f"COPY {own_directory(plan)}/$TARGETARCH/{stage_name(environment)}/ ./",
    ]


def _run(plan: ImagePlan, mounts: Sequence[str], *command: str) -> list[str]:
    """An instruction with its mounts; secrets lie where the programs look for them."""
    bundle = plan.process.env.get("SSL_CERT_FILE")
    mounts = [*mounts, *([f"--mount=type=secret,id=ca,target={bundle}"] if bundle else [])]
    return [*_joined("RUN \\", [f"    {mount} \\" for mount in mounts]), f"    {_exec(*command)}"]


def _runtime(plan: ImagePlan) -> list[str]:
    python = _python(plan)
    packages = f"{contract.VENV}/lib/python{python.version}/site-packages"
    return [
        "# shipway-runtime, as it was installed where this was rendered.",
        f"FROM build AS {_RUNTIME}",
        f"COPY {CONTEXT}/runtime/ /build/runtime/",
        f"RUN {_finish(plan, 'wheel', '/build/runtime/shipway_runtime.whl', f'{_MADE}{packages}', packages)}",
    ]


def _project(plan: ImagePlan) -> list[str]:
    """The one stage that an edit runs again; empty for an image without a project."""
    if plan.manifest is None:
        return []
    app, sources = f"{_MADE}{contract.APP}", f"{_MADE}{contract.SOURCE}"
    return [
        "# The project, compiled.",
        f"FROM build AS {_PROJECT}",
        f"COPY {manifest_path(plan)} {_MADE}{contract.MANIFEST}",
        *copies(plan.files, _MADE),
        f"RUN {_finish(plan, 'sources', app, sources, contract.SOURCE)}",
        *(f'WORKDIR "{_VOLUMES}{volume}"' for volume in plan.process.volumes),
    ]


def _final(plan: ImagePlan) -> list[str]:
    process = plan.process
    bundle = process.env.get("SSL_CERT_FILE", "")
    node = [(stage_name(NODE), contract.NODE), *((stage_name(s), s.path) for s in plan.node)]
    made = [*((stage_name(e), e.path) for e in plan.environments), (_RUNTIME, contract.VENV)]
    made += [(_PROJECT, contract.APP)] if plan.manifest else []
    owned = f"--chown={process.user} --from={_PROJECT}"
    return [
        "# The image: what moves least is lowest, and an edit changes the last layer alone.",
        "FROM base",
        *([f"COPY --from=build {bundle} {bundle}"] if plan.ca else []),
        *(f"COPY --from={stage} {path}/ {path}/" for stage, path in (node if plan.node else [])),
        *(f"COPY --from={stage} {_MADE}{path}/ {path}/" for stage, path in made),
        *(f"COPY {owned} {words(f'{_VOLUMES}{volume}/', f'{volume}/')}" for volume in process.volumes),
        *_joined("ENV ", [f"{name}={_value(value)} \\" for name, value in process.env.items()], "    "),
        f"USER {process.user}",
        f"WORKDIR {process.working_dir}",
        f"EXPOSE {' '.join(map(str, process.ports))}",
        f"ENTRYPOINT {_exec(*process.entrypoint)}",
    ]


# -- Words --------------------------------------------------------------------------------------------------


def _finish(plan: ImagePlan, *arguments: str) -> str:
    return _exec(_python(plan).path, "-I", "-B", "/build/finish.py", *arguments)


def _python(plan: ImagePlan) -> Python:
    """The base's. Raises ValueError for a plan that is not settled: its base has to be found first."""
    if plan.python is None:
        raise ValueError(f"the base of {plan.repository} was not found yet")
    return plan.python


def _exec(*words: str) -> str:
    return json.dumps(words, ensure_ascii=False)


def _value(text: str) -> str:
    """A value of ENV, quoted, in which nothing is expanded."""
    return '"' + re.sub(r'(["\\$])', r"\\\1", text) + '"'


def _joined(instruction: str, lines: Sequence[str], indent: str = "") -> list[str]:
    """One instruction over several lines that end in backslashes."""
    if instruction.endswith("\\"):
        return [instruction, *lines]
    first, *rest = lines
    *inner, last = [instruction + first, *(indent + line for line in rest)]
    return [*inner, last.removesuffix(" \\")]


def _escaped(path: str) -> str:
    """A path as a pattern that matches it alone."""
    return "".join(f"\\{c}" if c in "\\*?[]" else c for c in path)
