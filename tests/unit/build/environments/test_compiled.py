"""Bytecode of project files: an edit compiles what was edited."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from shipway.build.cache import Cache
from shipway.build.environments.bytecode import compile_tree, interpreter_in
from shipway.build.environments.compiled import compile_sources
from shipway.build.toolchain import Toolchain
from shipway.errors import BuildError
from shipway.plan.image import Python

SOURCES = {
    "/app/src/agent/__init__.py": b"",
    "/app/src/agent/run.py": b"def run():\n    return {'one', 'two'}\n",
    "/app/src/agent/template.py": b"class {{ name }}:\n",
}


@pytest.fixture
def tools(minimal, tmp_path: Path) -> Toolchain:
    by, cache = minimal.compiled_by, Cache(tmp_path / "cache")
    return Toolchain("linux/amd64", Python(), (), minimal.compiler, by, cache, print, tmp_path)


@pytest.mark.network
def test_the_bytes_are_those_of_the_whole_tree(tools: Toolchain, tmp_path: Path) -> None:
    for path, data in SOURCES.items():
        file = tmp_path / "tree" / path.removeprefix("/app/src/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    compile_tree(tools.interpreter, tmp_path / "tree", "/app/src")
    found = compile_sources(SOURCES, tools)
    assert set(found) == {
        "/app/src/agent/__pycache__/__init__.cpython-313.pyc",
        "/app/src/agent/__pycache__/run.cpython-313.pyc",
    }
    for path, data in found.items():
        assert (tmp_path / "tree" / path.removeprefix("/app/src/")).read_bytes() == data


@pytest.mark.network
def test_what_is_known_needs_no_interpreter_and_what_is_not_does(tools: Toolchain, tmp_path: Path) -> None:
    found = compile_sources(SOURCES, tools)
    nowhere = dataclasses.replace(tools.interpreter, root=tmp_path / "none", prepare=None)
    without = dataclasses.replace(tools, interpreter=nowhere)
    assert compile_sources(SOURCES, without) == found
    for changed in (
        SOURCES | {"/app/src/agent/run.py": b"def run():\n    return 3\n"},
        {"/app/src/elsewhere/run.py": SOURCES["/app/src/agent/run.py"]},
    ):
        with pytest.raises(BuildError, match="does not start"):
            compile_sources(changed, without)
    with pytest.raises(BuildError, match="does not start"):
        compile_sources(SOURCES, dataclasses.replace(without, compiled_by="another Python"))
    assert len(compile_sources(SOURCES | {"/app/src/agent/new.py": b"X = 1\n"}, tools)) == len(found) + 1


def test_without_an_interpreter_for_this_host_there_is_no_bytecode(tmp_path: Path) -> None:
    cannot = dataclasses.replace(interpreter_in(tmp_path, "arm64"), unavailable="another machine")
    tools = Toolchain("linux/arm64", Python(), (), cannot, "", Cache(tmp_path), print, tmp_path)
    assert compile_sources(SOURCES, tools) == {}
