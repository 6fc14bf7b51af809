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
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from shipway.plan.context import uv_directory
from shipway.plan.image import Python
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shipway.plan.image import Environment, File, ImagePlan

CONTEXT = ".shipway/docker"
"""Where the Dockerfiles take from what is not the project's own."""

MARK = "# Rendered by `shipway render dockerfile`"
"""The first line of each file; one without it is somebody's own and is not replaced."""

_RUNTIME = "runtime"
_PROJECT = "project"
_SOURCES = "/sources"  # not below /app, which the last stage copies

_INSTALL_MOUNTS = (
    "--mount=type=cache,id=uv,target=/root/.cache/uv,sharing=locked",
    "--mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt",
    "--mount=type=secret,id=netrc,target=/root/.netrc",
    "--mount=type=secret,id=uv,target=/etc/uv/uv.toml",
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


def pins_file(environment: Environment) -> str:
    """The requirements file of an environment, below the directory of an image and an architecture."""
    return f"{stage_name(environment)}.txt"


def stage_name(environment: Environment) -> str:
    """`dependencies` for the agent's own environment, `mcp-NAME` for a server's."""
    return "dependencies" if environment.path == contract.VENV else f"mcp-{_last(environment.path)}"


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
        *(_environment(environment, plan) for environment in plan.environments),
        _runtime(plan),
        _project(plan),
        _final(plan),
    ]
    return "\n".join(f"{chr(10).join(lines)}\n" for lines in stages if lines)


def _head(plan: ImagePlan) -> list[str]:
    named = "" if plan.role == "agent" else f"-f {dockerfile_name(plan)} "
    return [
        f"{MARK}, which also fills {CONTEXT}; render again instead of editing.",
        "#",
        f"#   DOCKER_BUILDKIT=1 docker build {named}-t {plan.repository} .",
        "#",
        "# Secrets, each only where it is needed and never in a layer:",
        "#   --secret id=ca,src=bundle.pem   certificates to trust while installing, all of them",
        "#   --secret id=netrc,src=.netrc    credentials of private indexes",
        "#   --secret id=uv,src=uv.toml      private indexes with their settings",
        "# Build arguments: HTTPS_PROXY and its like, UV_DEFAULT_INDEX, UV_INDEX (without credentials).",
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
    python = plan.python or Python()
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
    python = plan.python or Python()
    packages = f"{environment.path}/lib/python{python.version}/site-packages"
    pins = pins_file(environment)
    install = (
        *("/build/uv", "pip", "install", "--target", packages, "--no-deps", "--require-hashes"),
        *("--only-binary", ":all:", "--requirements", pins),
    )
    script = (environment.script,) if environment.script else ()
    mounts = [f"    {mount} \\" for mount in _INSTALL_MOUNTS]
    return [
        f"# {environment.name}: exactly these wheels, by hash.",
        f"FROM build AS {stage_name(environment)}",
        "ARG TARGETARCH=amd64",
        f"COPY {own_directory(plan)}/$TARGETARCH/{pins} /build/",
        *_joined("RUN \\", mounts),
        f"    {_exec(*install)}",
        f"RUN {_finish(plan, 'environment', *(environment.path,) * 2, python.version, python.path, *script)}",
    ]


def _runtime(plan: ImagePlan) -> list[str]:
    python = plan.python or Python()
    packages = f"{contract.VENV}/lib/python{python.version}/site-packages"
    return [
        "# shipway-runtime, as it was installed where this was rendered.",
        f"FROM build AS {_RUNTIME}",
        f"COPY {CONTEXT}/runtime/ /build/runtime/",
        f"RUN {_finish(plan, 'wheel', '/build/runtime/shipway_runtime.whl', packages)}",
    ]


def _project(plan: ImagePlan) -> list[str]:
    """The one stage that an edit runs again; empty for an image without a project."""
    if plan.manifest is None:
        return []
    return [
        "# The project, compiled.",
        f"FROM build AS {_PROJECT}",
        f"COPY {manifest_path(plan)} {contract.MANIFEST}",
        *copies(plan.files),
        f"RUN {_finish(plan, 'sources', contract.APP, contract.SOURCE)}",
        *(f'WORKDIR "{_SOURCES}{volume}"' for volume in plan.process.volumes),
    ]


def _final(plan: ImagePlan) -> list[str]:
    process = plan.process
    bundle = process.env.get("SSL_CERT_FILE", "")
    paths = [(stage_name(e), e.path) for e in plan.environments]
    layers = [*paths, (_RUNTIME, contract.VENV), *([(_PROJECT, contract.APP)] if plan.manifest else [])]
    owned = f"--chown={process.user} --from={_PROJECT}"
    return [
        "# The image: what moves least is lowest, and an edit changes the last layer alone.",
        "FROM base",
        *([f"COPY --from=build {bundle} {bundle}"] if plan.ca else []),
        *(f"COPY --from={stage} {path}/ {path}/" for stage, path in layers),
        *(f"COPY {owned} {_words(f'{_SOURCES}{volume}/', f'{volume}/')}" for volume in process.volumes),
        *_joined("ENV ", [f"{name}={_value(value)} \\" for name, value in process.env.items()], "    "),
        f"USER {process.user}",
        f"WORKDIR {process.working_dir}",
        f"EXPOSE {' '.join(map(str, process.ports))}",
        f"ENTRYPOINT {_exec(*process.entrypoint)}",
    ]


# -- Files of the project -----------------------------------------------------------------------------------


def copies(files: Sequence[File]) -> Iterator[str]:
    """COPY instructions for these files: whole directories where the allow-list leaves just what belongs.

    Any directory that is taken apart is copied file by file, so that nothing lands in two places.
    """
    pairs = {_lift(file, files) for file in files}
    for source, target in sorted(pairs):
        yield f"COPY {_words(source, target)}"


def _lift(file: File, files: Sequence[File]) -> tuple[str, str]:
    """The highest directory that can be copied whole and holds this file, or the file itself."""
    source, target = PurePosixPath(file.source), PurePosixPath(file.path)
    best = (str(source), str(target))
    while source.parent.name and (source.name == target.name or best[0] == file.source):
        source, target = source.parent, target.parent
        if not _whole(source, target, files):
            break
        best = (f"{source}/", f"{target}/")
    return best


def _whole(source: PurePosixPath, target: PurePosixPath, files: Sequence[File]) -> bool:
    below = [f for f in files if PurePosixPath(f.source).is_relative_to(source)]
    places = {PurePosixPath(f.path) for f in below}
    wanted = {target / PurePosixPath(f.source).relative_to(source) for f in below}
    return places == wanted and target.is_relative_to(contract.APP) and str(target) != contract.APP


# -- Words --------------------------------------------------------------------------------------------------


def _finish(plan: ImagePlan, *arguments: str) -> str:
    return _exec((plan.python or Python()).path, "-I", "-B", "/build/finish.py", *arguments)


def _exec(*words: str) -> str:
    return json.dumps(words, ensure_ascii=False)


def _value(text: str) -> str:
    """A value of ENV, quoted, in which nothing is expanded."""
    return '"' + re.sub(r'(["\\$])', r"\\\1", text) + '"'


def _words(source: str, target: str) -> str:
    """Two paths, quoted as JSON where one has a space, and `$` kept from being a variable."""
    plain = f"{source} {target}".replace("$", "\\$")
    if any(" " in path or '"' in path for path in (source, target)):
        return json.dumps([source.replace("$", "\\$"), target.replace("$", "\\$")], ensure_ascii=False)
    return plain


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


def _last(path: str) -> str:
    return path.rpartition("/")[2]
