"""Exact versions -> a virtual environment's tree, as it will lie in the image.

In: pins from `requirements.resolve`. Out: a directory with `pyvenv.cfg`, `bin` and `lib`, laid out for the
environment's path in the image, with bytecode; nothing in it depends on the host. The Dockerfile road ends
in the same finishing step, so both roads make the same tree.
"""

from __future__ import annotations

import configparser
import csv
import shutil
import zipfile
from typing import TYPE_CHECKING

from shipway.build.layers import Entry
from shipway.build.uv import run_uv
from shipway.errors import ResolveError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LAUNCHER = """\
#!{python}
import sys
from {module} import {name}
sys.argv[0] = sys.argv[0].removesuffix(".exe")
sys.exit({call}())
"""


_OF_INSTALLERS = {"INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"}
_BESIDE = {"bin", "etc", "share", "include", "man"}
"""Directories that uv puts among the packages with --target, and environments have at their root."""


def site_packages(python: str) -> str:
    """Below the environment's own directory."""
    return f"lib/python{python}/site-packages"


def install(pins: str, packages: Path, options: Sequence[str], name: str) -> None:
    """Let uv fill `packages`, the directory that will be site-packages.

    Every file comes from a wheel whose hash is in `pins`; nothing is built, nothing runs.
    """
    packages.mkdir(parents=True)
    if not pins:
        return
    wanted = packages.parent / "pins.txt"
    wanted.write_text(pins)
    arguments = ("pip", "install", "--target", str(packages), *options, "--no-deps", "--require-hashes")
    run_uv((*arguments, "--requirements", str(wanted)), f"install {name}")
    wanted.unlink()


def finish(tree: Path, path: str, python: str) -> None:
    """Make a directory that uv filled into a virtual environment for `path`.

    uv writes the host's interpreter into scripts, and puts scripts and data beside the packages: here
    they get the image's interpreter and their place, and RECORD says so. What installers write about
    themselves is left out.
    """
    packages = tree / site_packages(python)
    (tree / "bin").mkdir(exist_ok=True)
    for info in sorted(packages.glob("*.dist-info")):
        _settle(info, tree, f"{path}/bin/python")
    shutil.rmtree(packages / "bin", ignore_errors=True)
    (packages / ".lock").unlink(missing_ok=True)
    for entry in skeleton(path, python):
        target = tree / entry.path.removeprefix(f"{path.lstrip('/')}/")
        if entry.kind == "symlink":
            target.symlink_to(entry.target)
        else:
            target.write_bytes(bytes(entry.content))


def skeleton(path: str, python: str) -> list[Entry]:
    """What makes the directory `path` of the image a virtual environment, before anything is installed."""
    root = path.lstrip("/")
    lines = ("home = /usr/bin", "include-system-site-packages = false", f"version = {python}", "")
    links = {"python": f"/usr/bin/python{python}", "python3": "python", f"python{python}": "python"}
    return [
        Entry(f"{root}/pyvenv.cfg", "file", content="\n".join(lines).encode()),
        *(Entry(f"{root}/bin/{name}", "symlink", 0o777, target=target) for name, target in links.items()),
    ]


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
    info = _info_of(tree, script)
    own = sorted(_entry_points(info / "entry_points.txt")) if info else []
    if info and len(own) == 1:
        wanted.symlink_to(own[0])
        _record(info, f"../../../bin/{script}")
        return
    there = ", ".join(own) or "none"
    raise ResolveError(
        f"{requirement} has no console script called {script}; its scripts: {there}",
        f'start it with a command instead: run = ["{path}/bin/NAME"]',
    )


def _info_of(tree: Path, package: str) -> Path | None:
    wanted = package.lower().replace("-", "_").replace(".", "_")
    infos = tree.glob("lib/*/site-packages/*.dist-info")
    return next((i for i in infos if i.name.partition("-")[0].lower().replace(".", "_") == wanted), None)


def _record(info: Path, row: str) -> None:
    """Add a file to a distribution's RECORD, which stays sorted."""
    lines = (info / "RECORD").read_text(encoding="utf-8").splitlines()
    (info / "RECORD").write_text("\n".join(sorted([*lines, f"{row},,"])) + "\n", encoding="utf-8")


def _entry_points(file: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(file, encoding="utf-8")
    sections = [name for name in ("console_scripts", "gui_scripts") if parser.has_section(name)]
    return {script: target for name in sections for script, target in parser[name].items()}


def _launcher(target: str, python: str) -> str:
    module, _, attribute = target.partition("[")[0].strip().partition(":")
    return _LAUNCHER.format(python=python, module=module, name=attribute.partition(".")[0], call=attribute)


def _settle(info: Path, tree: Path, python: str) -> None:
    """Put one distribution's scripts and data where an environment has them, and tell its RECORD."""
    packages, record = info.parent, info / "RECORD"
    launchers = _entry_points(info / "entry_points.txt")
    rows = []
    for row in csv.reader(record.read_text(encoding="utf-8").splitlines()):
        place, _, name = row[0].partition("/")
        if row[0].startswith(f"{info.name}/") and name in _OF_INSTALLERS:
            (packages / row[0]).unlink(missing_ok=True)
            continue
        if place == "bin" and name in launchers:
            _write_script(tree / row[0], _launcher(launchers[name], python).encode())
            row = [f"../../../{row[0]}", "", ""]
        elif place in _BESIDE:
            _move(packages / row[0], tree / row[0], python)
            row = [f"../../../{row[0]}", "", ""]
        rows.append(row)
    with record.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(sorted(rows))


def _move(source: Path, target: Path, python: str) -> None:
    """A data file, or a script that is no entry point: a program, or a text with an interpreter's line."""
    if not source.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.parent.name != "bin":
        source.replace(target)
        return
    first, newline, rest = source.read_bytes().partition(b"\n")
    if first.startswith(b"#!") and b"python" in first:
        first = f"#!{python}".encode()
    _write_script(target, first + newline + rest)


def _write_script(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    file.chmod(0o755)
