"""Exact versions -> a virtual environment's tree, as it will lie in the image.

In: pins from `requirements.resolve`. Out: a directory with `pyvenv.cfg`, `bin` and `lib`, laid out for the
environment's path in the image, with bytecode; nothing in it depends on the host. The Dockerfile road ends
in the same finishing step, so both roads make the same tree.
"""

from __future__ import annotations

import configparser
import shutil
import zipfile
from typing import TYPE_CHECKING

from shipway.build.uv import run_uv
from shipway.errors import ResolveError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_LAUNCHER = """\
#!{python}
import sys
from {module} import {name}
sys.argv[0] = sys.argv[0].removesuffix(".exe")
sys.exit({call}())
"""


def site_packages(python: str) -> str:
    """Below the environment's own directory."""
    return f"lib/python{python}/site-packages"


def install(pins: str, tree: Path, path: str, python: str, options: Sequence[str], name: str) -> None:
    """Fill `tree` with the environment that will lie at `path` in the image.

    Every file comes from a wheel whose hash is in `pins`; nothing is built, nothing runs.
    """
    packages = tree / site_packages(python)
    packages.mkdir(parents=True)
    if pins:
        wanted = tree / "pins.txt"
        wanted.write_text(pins)
        arguments = ("pip", "install", "--target", str(packages), *options, "--no-deps", "--require-hashes")
        run_uv((*arguments, "--requirements", str(wanted)), f"install {name}")
        wanted.unlink()
    finish(tree, path, python)


def finish(tree: Path, path: str, python: str) -> None:
    """Make a directory that uv filled into a virtual environment for `path`.

    uv writes the host's interpreter into scripts and the launcher of this moment into RECORD: scripts
    are made again from `entry_points.txt`, and what installers write about themselves is left out.
    """
    packages = tree / site_packages(python)
    shutil.rmtree(packages / "bin", ignore_errors=True)
    (packages / ".lock").unlink(missing_ok=True)
    for leftover in ("INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"):
        for file in packages.glob(f"*.dist-info/{leftover}"):
            file.unlink()
    for record in packages.glob("*.dist-info/RECORD"):
        _rewrite_record(record)
    (tree / "bin").mkdir(exist_ok=True)
    for script, text in _scripts(packages, f"{path}/bin/python"):
        _write_script(tree / "bin" / script, text)
    (tree / "bin/python").symlink_to(f"/usr/bin/python{python}")
    for alias in ("python3", f"python{python}"):
        (tree / "bin" / alias).symlink_to("python")
    config = ("home = /usr/bin", "include-system-site-packages = false", f"version = {python}")
    (tree / "pyvenv.cfg").write_text("\n".join(config) + "\n")


def install_wheel(wheel: Path, packages: Path) -> None:
    """Unpack a pure wheel of ours; it has no scripts and no data."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)


def require_script(tree: Path, path: str, script: str, requirement: str) -> None:
    """Check that the console script is there; the only one of the package's may go by its name.

    Raises ResolveError that lists the scripts there are.
    """
    wanted = tree / "bin" / script
    if wanted.exists():
        return
    own = sorted(_scripts_of(tree, script))
    if len(own) == 1:
        wanted.symlink_to(own[0])
        return
    there = ", ".join(own) or "none"
    raise ResolveError(
        f"{requirement} has no console script called {script}; its scripts: {there}",
        f'start it with a command instead: run = ["{path}/bin/NAME"]',
    )


def _scripts_of(tree: Path, package: str) -> Iterator[str]:
    wanted = package.lower().replace("-", "_").replace(".", "_")
    for info in tree.glob("lib/*/site-packages/*.dist-info"):
        if info.name.partition("-")[0].lower().replace(".", "_") == wanted:
            yield from _entry_points(info / "entry_points.txt")


def _scripts(packages: Path, python: str) -> Iterator[tuple[str, str]]:
    for info in sorted(packages.glob("*.dist-info")):
        for script, target in sorted(_entry_points(info / "entry_points.txt").items()):
            module, _, attribute = target.partition("[")[0].strip().partition(":")
            name = attribute.partition(".")[0]
            yield script, _LAUNCHER.format(python=python, module=module, name=name, call=attribute)


def _entry_points(file: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(file, encoding="utf-8")
    return dict(parser["console_scripts"]) if parser.has_section("console_scripts") else {}


def _write_script(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o755)


def _rewrite_record(record: Path) -> None:
    """Keep the rows of files that are in the wheel itself: scripts and metadata of installers go."""
    gone = ("../", "bin/", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")
    rows = record.read_text().splitlines(keepends=True)
    kept = [row for row in rows if not any(row.startswith(g) or f"/{g}," in row for g in gone)]
    record.write_text("".join(sorted(kept)))
