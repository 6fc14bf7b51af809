"""ImagePlans -> what their Dockerfiles need besides the project: pins, uv, bases, the runtime, the last step.

In: plans. Out: content by path below .shipway/docker, where render/dockerfile.py looks for it. The pins and
the base are those of `shipway build`, so both roads make the same tree. STAGE is that of an environment:

    finish.py  compile.py  runtime/WHEEL     the last step and the runtime
    ARCH/uv                                  the resolver; ARCH-musl for a base with musl
    ROLE/ARCH/uv.toml                        the platform it installs for
    ROLE/ARCH/base.tar.gz                    the base of an image, if it is `minimal`
    ROLE/ARCH/ca.pem                         certificates to trust ([image] ca)
    ROLE/ARCH/STAGE/pins.txt  …/*.whl        its requirements, and the wheels among them that were built here
    ROLE/ARCH/STAGE/package-lock.json  …     what `npm ci` reads, for a server from npm
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING

import uv

from shipway.build.bases.shared import lacking, preferred
from shipway.build.certificates import read_certificates
from shipway.build.environments import finishing, npm
from shipway.build.environments.bytecode import COMPILE, host_arch
from shipway.build.environments.node import server_packages
from shipway.build.environments.requirements import resolve, target_options, uv_platform
from shipway.build.environments.runtime_wheel import runtime_wheel
from shipway.build.environments.sources import split_built, wheel_sha256
from shipway.build.environments.uv import run_uv
from shipway.errors import BuildError
from shipway.plan.context import stage_name, uv_directory
from shipway.plan.image import NODE
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from shipway.build.bases.base import Base
    from shipway.build.cache import Cache
    from shipway.build.locking import Locked
    from shipway.plan.image import ImagePlan, Python

    Say = Callable[[str], None]

WHEEL = "runtime/shipway_runtime.whl"


def build_context(
    plans: Sequence[ImagePlan],
    root: Path,
    cache: Cache,
    say: Say,
    locked: Locked,
    bases: Mapping[str, Mapping[str, Base]],
) -> dict[str, bytes | Path]:
    """Content by path. `bases` are by role and platform; `locked` is what shipway.lock says.

    Raises BuildError and its kinds; refuses what a Dockerfile cannot do yet.
    """
    for plan in plans:
        _refuse_unsupported(plan)
    files: dict[str, bytes | Path] = {
        "finish.py": Path(finishing.__file__),
        "compile.py": COMPILE.lstrip().encode(),
        WHEEL: runtime_wheel(cache.root),
    }
    for plan in plans:
        for platform, base in bases[plan.role].items():
            directory = f"{plan.role}/{_arch(platform)}"
            files |= _uv(platform, base.facts.python, directory, cache, say)
            files |= {
                f"{directory}/{name}": content
                for name, content in _stages(plan, platform, base, root, cache, say, locked)
            }
            if plan.base.kind == "minimal":
                (layer,) = base.layers(cache.layer)
                files[f"{directory}/base.tar.gz"] = cache.bring(layer.digest)
            if plan.ca:
                files[f"{directory}/ca.pem"] = read_certificates(root, plan.ca)
    return files


def _refuse_unsupported(plan: ImagePlan) -> None:
    if plan.base.kind == "layout":
        raise BuildError(
            f"a Dockerfile cannot start from an OCI layout ({plan.base.reference})",
            "push the base to a registry, and name it there",
        )


def _stages(
    plan: ImagePlan,
    platform: str,
    base: Base,
    root: Path,
    cache: Cache,
    say: Say,
    locked: Locked,
) -> Iterator[tuple[str, bytes | Path]]:
    python = base.facts.python
    options = target_options(python, platform)
    pins = {}
    for environment in plan.installed:
        known = locked.resolution(environment, plan.base, platform)
        there = base.facts.pins if environment.path == contract.VENV else ""
        text = resolve(environment, root, options, cache, say, known, preferred(there))
        pins[environment] = lacking(text, there, plan.base.reference)
        for name, content in _python_files(pins[environment], cache).items():
            yield f"{stage_name(environment)}/{name}", content
    for server in plan.node:
        packages = server_packages(server, pins[NODE], root, cache, say, locked)
        for name, text in npm.project_files(server.package, packages, platform, python.libc).items():
            yield f"{stage_name(server)}/{name}", text.encode()


def _python_files(pins: str, cache: Cache) -> dict[str, bytes | Path]:
    """Requirements, in which what was built here is a file beside them: no index is asked for it."""
    others, wheels = split_built(pins, cache)
    beside = "".join(f"./{wheel.name} --hash=sha256:{wheel_sha256(wheel)}\n" for wheel in wheels)
    return {"pins.txt": (others + beside).encode(), **{wheel.name: wheel for wheel in wheels}}


def _uv(platform: str, python: Python, directory: str, cache: Cache, say: Say) -> Mapping[str, bytes | Path]:
    """The installed uv where it is this platform's, else that of the same version's wheel."""
    name = uv_platform(python, platform)
    settings = f'[pip]\npython-version = "{python.version}"\npython-platform = "{name}"\n'
    is_own = _arch(platform) == host_arch() and not python.libc.startswith("musl")
    program = Path(uv.find_uv_bin()) if is_own else _fetched_uv(platform, python, cache, say)
    return {f"{uv_directory(python, _arch(platform))}/uv": program, f"{directory}/uv.toml": settings.encode()}


def _fetched_uv(platform: str, python: Python, cache: Cache, say: Say) -> Path:
    version = importlib.metadata.version("uv")
    directory = cache.root / "uv" / f"{version}-{uv_directory(python, _arch(platform))}"
    program = directory / "bin/uv"
    if not program.exists():
        say(f"fetching uv {version} for {platform}")
        options = (*target_options(python, platform), "--no-deps", "--target", str(directory))
        run_uv(("pip", "install", f"uv=={version}", *options), f"fetch uv for {platform}")
    return program


def _arch(platform: str) -> str:
    return platform.partition("/")[2]
