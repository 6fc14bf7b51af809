"""ImagePlans -> what their Dockerfiles need besides the project: pins, uv, bases, the runtime, the last step.

In: plans. Out: content by path below .shipway/docker, where render/dockerfile.py looks for it. The pins and
the base are those of `shipway build`, so both roads make the same tree. STAGE is that of an environment:

    finish.py  compile.py  runtime/WHEEL     the last step and the runtime
    ARCH/uv  ARCH/uv.toml                    the resolver, and the platform it installs for
    ROLE/ARCH/base.tar.gz                    the base of an image; not with a base of one's own
    ROLE/ARCH/STAGE/pins.txt  …/*.whl        its requirements, and the wheels among them that were built here
    ROLE/ARCH/STAGE/package-lock.json  …     what `npm ci` reads, for a server from npm
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING

import uv

from shipway.build import finishing, npm
from shipway.build.bytecode import COMPILE, host_arch
from shipway.build.image import base_layer, find_base
from shipway.build.node import server_packages
from shipway.build.requirements import UV_PLATFORMS, resolve, target_options
from shipway.build.runtime_wheel import runtime_wheel
from shipway.build.sources import split_built, wheel_sha256
from shipway.build.uv import run_uv
from shipway.errors import BuildError
from shipway.plan.image import NODE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from shipway.build.cache import Cache
    from shipway.build.locking import Locked
    from shipway.plan.image import Environment, ImagePlan, NodeEnvironment

    Say = Callable[[str], None]
    StageName = Callable[[Environment | NodeEnvironment], str]

WHEEL = "runtime/shipway_runtime.whl"


def build_context(
    plans: Sequence[ImagePlan],
    stage_name: StageName,
    root: Path,
    cache: Cache,
    say: Say,
    locked: Locked,
    *,
    bases: bool = True,
) -> dict[str, bytes | Path]:
    """Content by path. `locked` is what shipway.lock says; `stage_name` names an environment's directory.

    Raises BuildError and its kinds; refuses what a Dockerfile cannot do yet.
    """
    for plan in plans:
        _refuse_unsupported(plan)
    files: dict[str, bytes | Path] = {
        "finish.py": Path(finishing.__file__),
        "compile.py": COMPILE.lstrip().encode(),
        WHEEL: runtime_wheel(cache.root),
    }
    for platform in sorted({platform for plan in plans for platform in plan.platforms}):
        files |= _uv(platform, plans[0].python, cache, say)
    for plan in plans:
        for platform in plan.platforms:
            directory = f"{plan.role}/{_arch(platform)}"
            files |= {
                f"{directory}/{name}": content
                for name, content in _stages(plan, platform, stage_name, root, cache, say, locked)
            }
            if bases:
                files[f"{directory}/base.tar.gz"] = _base(plan, platform, cache, say, locked)
    return files


def _refuse_unsupported(plan: ImagePlan) -> None:
    if plan.base.kind != "minimal":
        raise BuildError(
            f"a Dockerfile on a base of the kind {plan.base.kind!r} is not rendered yet",
            "render with --base REF: an image with the same Python as `minimal`",
        )


def _stages(
    plan: ImagePlan,
    platform: str,
    stage_name: StageName,
    root: Path,
    cache: Cache,
    say: Say,
    locked: Locked,
) -> Iterator[tuple[str, bytes | Path]]:
    options = target_options(plan.python, platform)
    pins = {}
    for environment in plan.installed:
        known = locked.resolution(environment, plan.python, platform)
        pins[environment] = resolve(environment, root, options, cache, say, known)
        for name, content in _python_files(pins[environment], cache).items():
            yield f"{stage_name(environment)}/{name}", content
    for server in plan.node:
        packages = server_packages(server, pins[NODE], root, cache, say, locked)
        for name, text in npm.project_files(server.package, packages, platform).items():
            yield f"{stage_name(server)}/{name}", text.encode()


def _python_files(pins: str, cache: Cache) -> dict[str, bytes | Path]:
    """Requirements, in which what was built here is a file beside them: no index is asked for it."""
    others, wheels = split_built(pins, cache)
    beside = "".join(f"./{wheel.name} --hash=sha256:{wheel_sha256(wheel)}\n" for wheel in wheels)
    return {"pins.txt": (others + beside).encode(), **{wheel.name: wheel for wheel in wheels}}


def _uv(platform: str, python: str, cache: Cache, say: Say) -> Mapping[str, bytes | Path]:
    """The installed uv where it is this platform's, else that of the same version's wheel."""
    arch = _arch(platform)
    settings = f'[pip]\npython-version = "{python}"\npython-platform = "{UV_PLATFORMS[platform]}"\n'
    program = Path(uv.find_uv_bin()) if arch == host_arch() else _fetched_uv(platform, python, cache, say)
    return {f"{arch}/uv": program, f"{arch}/uv.toml": settings.encode()}


def _fetched_uv(platform: str, python: str, cache: Cache, say: Say) -> Path:
    version = importlib.metadata.version("uv")
    directory = cache.root / "uv" / f"{version}-{_arch(platform)}"
    program = directory / "bin/uv"
    if not program.exists():
        say(f"fetching uv {version} for {platform}")
        options = (*target_options(python, platform), "--no-deps", "--target", str(directory))
        run_uv(("pip", "install", f"uv=={version}", *options), f"fetch uv for {platform}")
    return program


def _base(plan: ImagePlan, platform: str, cache: Cache, say: Say, locked: Locked) -> Path:
    """The base's layer, as `shipway build` makes it."""
    base = find_base(plan, _arch(platform), cache, say, locked)
    return cache.blob(base_layer(plan, base, cache.layer).digest)


def _arch(platform: str) -> str:
    return platform.partition("/")[2]
