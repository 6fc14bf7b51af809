"""Rules about layers: what an edit makes anew, what is copied, and what stays that only the build needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.check.dockerfiles.installs import COMPILERS, installs, removes
from shipway.check.rule import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.dockerfiles.stages import Stage
    from shipway.check.dockerfiles.subject import Copied, Dockerfile

_DECLARATIONS = (
    *("requirements", "constraints", "pyproject.toml", "uv.lock", "uv.toml", "poetry.lock", "pdm.lock"),
    *("pylock", "setup.", "Pipfile", ".python-version", "environment.y", "README", "LICENSE"),
    *("package.json", "package-lock.json", "pnpm-lock", "yarn.lock", ".npmrc"),
)
"""How the names of files begin that say what to install."""
_LEFT_OUT = (".git", ".env", ".venv", "__pycache__")


def dependencies_come_first(dockerfile: Dockerfile) -> Iterator[Seen]:
    """Dependencies are installed before the source is copied.

    A layer is made anew when one before it has changed. With the source first, every edit installs every
    dependency again, and every node pulls them again.
    """
    for stage in dockerfile.stages.all:
        first = next((i for r in stage.all("RUN") for i in installs(r) if i.brings_dependencies), None)
        copied = dockerfile.copied(stage.all("COPY", "ADD"))
        source = next((c for c in copied if _is_source(c)), None)
        if first and source and source.instruction.line < first.instruction.line:
            yield _after(source, first.command.program, first.instruction.line)


def _is_source(copied: Copied) -> bool:
    base = copied.source.rstrip("/").rpartition("/")[2]
    small = base.startswith(_DECLARATIONS) or base.endswith((".whl", ".txt", ".sh", ".crt", ".pem"))
    return copied.whole or not small


def _after(source: Copied, program: str, line: int) -> Seen:
    what = "the source" if source.whole else source.source
    return Seen(
        f"{program} installs after {what} was copied, so every edit installs everything again",
        "copy the files that name the dependencies, install, and copy the source after that",
        line,
    )


def context_is_narrow(dockerfile: Dockerfile) -> Iterator[Seen]:
    """Where the whole context is copied, .dockerignore keeps out what must not be in an image.

    `COPY . .` takes `.git` with its whole history, `.env` with its keys, and virtual environments made for
    another machine, if they are on the machine that builds; and each of them changes the layer.
    """
    for stage in dockerfile.stages.all:
        whole = next((c for c in dockerfile.copied(stage.all("COPY", "ADD")) if c.whole), None)
        if whole is None:
            continue
        line = whole.instruction.line
        if dockerfile.context.ignore is None:
            message = "all of the context is copied, and there is no .dockerignore: .git and .env go with it"
            fix = f"write a .dockerignore with {', '.join(_LEFT_OUT)}; or copy by name what the agent needs"
            yield Seen(message, fix, line)
        elif sent := [name for name in (".git", ".env") if not dockerfile.context.keeps_out(name)]:
            message = f"all of the context is copied, and .dockerignore lets {' and '.join(sent)} go with it"
            yield Seen(message, f"add {', '.join(sent)} to .dockerignore", line)


def build_tools_are_left_behind(dockerfile: Dockerfile) -> Iterator[Seen]:
    """Compilers and headers are not in the image.

    They are hundreds of megabytes, and what an intruder would otherwise have to bring along. A later
    instruction that removes them leaves them in the layer before.
    """
    for instruction in dockerfile.stages.in_image("RUN"):
        if removes(instruction):
            continue
        found = [p for i in installs(instruction) if not i.manager.language for p in i.packages]
        tools = sorted({p for p in found if p.partition("=")[0] in COMPILERS})
        if tools:
            verb = "stays" if len(tools) == 1 else "stay"
            fix = "install and compile in a stage of its own, and copy the virtual environment from there"
            yield Seen(f"{', '.join(tools)} {verb} in the image", fix, instruction.line)


def build_is_apart(dockerfile: Dockerfile) -> Iterator[Seen]:
    """Dependencies are installed in a stage of its own, and what they became is copied from there.

    In one stage, the package manager and its leavings are in the image, and whatever a package needs to be
    built will be as well.
    """
    if len(dockerfile.stages.all) > 1 or not dockerfile.stages.base.image:
        return
    for instruction in dockerfile.stages.base.all("RUN"):
        if any(install.manager.language for install in installs(instruction)):
            message = "one stage builds and runs: the package manager and what it leaves are in the image"
            fix = "install into a virtual environment in a first stage; COPY --from=… it into a second"
            yield Seen(message, fix, dockerfile.stages.base.start.line)
            return


def caches_are_left_behind(dockerfile: Dockerfile) -> Iterator[Seen]:
    """Package managers leave no cache in a layer.

    The cache is a second copy of what was installed, which nothing ever reads.
    """
    variables = dockerfile.stages.environment
    for instruction in dockerfile.stages.in_image("RUN"):
        for install in installs(instruction):
            manager = install.manager
            if install.keeps_cache and not any(_is_on(variables.get(name)) for name in manager.variables):
                how = manager.no_cache[0] if manager.no_cache else manager.removal
                option = f"{how}, or " if how else ""
                message = f"{install.command.program} leaves its cache in the layer: {manager.cache}"
                fix = f"{option}RUN --mount=type=cache,target={manager.cache}"
                yield Seen(message, fix, instruction.line)
                break


def bytecode_is_made(dockerfile: Dockerfile) -> Iterator[Seen]:
    """What uv installs is compiled to bytecode while the image is built.

    uv, unlike pip, leaves it to the first import. In a container that may not write beside its code, every
    import compiles again at every start: tens of percent of an agent's start.
    """
    if any(_compiles(stage) for stage in dockerfile.stages.all):
        return
    for stage in dockerfile.stages.all:
        for install in (install for instruction in stage.all("RUN") for install in installs(instruction)):
            if install.command.program == "uv" and not install.command.has("--compile-bytecode"):
                message = "uv installs without bytecode: every start compiles what it imports"
                fix = "add --compile-bytecode, or set UV_COMPILE_BYTECODE=1"
                yield Seen(message, fix, install.instruction.line)
                return


def _compiles(stage: Stage) -> bool:
    """Whether a stage makes bytecode itself, or has told uv to."""
    told = any(_is_on(i.pairs.get("UV_COMPILE_BYTECODE")) for i in stage.all("ENV", "ARG"))
    return told or any("compile" in text for i in stage.instructions for text in (i.text, *i.heredocs))


def _is_on(value: str | None) -> bool:
    return (value or "").lower() not in ("", "0", "false", "off", "no")
