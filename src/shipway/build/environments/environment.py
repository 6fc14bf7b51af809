"""Exact versions -> a virtual environment's tree, as it will lie in the image.

In: pins from `requirements.resolve`. Out: a directory with `pyvenv.cfg`, `bin` and `lib`, laid out for the
environment's path in the image, with bytecode; nothing in it depends on the host. The finishing step itself
is in finishing.py, which the Dockerfile road runs as well, so both roads make the same tree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.build.environments import finishing
from shipway.build.environments.containment import check_records
from shipway.build.environments.declared import explicit_indexes
from shipway.build.environments.finishing import finish as finish
from shipway.build.environments.finishing import install_wheel as install_wheel
from shipway.build.environments.finishing import site_packages as site_packages
from shipway.build.environments.uv import run_uv
from shipway.build.layers import Entry
from shipway.errors import ResolveError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shipway.plan.image import Python


def install(pins: str, packages: Path, options: Sequence[str], name: str, root: Path | None = None) -> None:
    """Let uv fill `packages`, the directory that will be site-packages.

    Every file comes from a wheel whose hash is in `pins`; nothing is built, nothing runs. `root` is the
    project, whose uv settings say which indexes there are.
    """
    packages.mkdir(parents=True)
    if not pins:
        return
    wanted = packages.parent / "pins.txt"
    wanted.write_text(pins)
    arguments = ("pip", "install", "--target", str(packages), *options, "--no-deps", "--require-hashes")
    indexes = explicit_indexes(root) if root else ()
    run_uv((*arguments, *indexes, "--requirements", str(wanted)), f"install {name}", cwd=root)
    wanted.unlink()
    check_records(packages)


def install_built(wheels: Sequence[Path], packages: Path, options: Sequence[str], name: str) -> None:
    """Add wheels that were built here; no index is asked."""
    if wheels:
        arguments = ("pip", "install", "--target", str(packages), *options, "--no-deps", "--no-index")
        run_uv((*arguments, *map(str, wheels)), f"install {name}")
        check_records(packages)


def skeleton(path: str, python: Python) -> list[Entry]:
    """What makes the directory `path` of the image a virtual environment, before anything is installed."""
    root = path.lstrip("/")
    return [
        Entry(f"{root}/{name}", "symlink", 0o777, target=content)
        if kind == "symlink"
        else Entry(f"{root}/{name}", "file", content=content.encode())
        for name, (kind, content) in finishing.skeleton(python.version, python.path).items()
    ]


def require_script(tree: Path, path: str, script: str, requirement: str) -> None:
    """Check that the console script is there; the only one of the package's may go by its name.

    Raises ResolveError that lists the scripts there are.
    """
    if own := finishing.place_script(tree, script):
        there = ", ".join(own) or "none"
        raise ResolveError(
            f"{requirement} has no console script called {script}; its scripts: {there}",
            f'start it with a command instead: run = ["{path}/bin/NAME"]',
        )
