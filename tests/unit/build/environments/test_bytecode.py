"""Bytecode by the base's own interpreter: the same bytes wherever and whoever."""

import hashlib
import json
import os
import shutil
import stat
import sys
from pathlib import Path

import pytest

from shipway.build.environments.bytecode import compile_tree, host_arch, interpreter_in
from shipway.errors import BuildError

SOURCES = {
    "package/__init__.py": "NAMES = {'a', 'b', 'c'}\nX = frozenset({'one', 'two', 'three'})\n",
    "package/module.py": "def fail():\n    raise ValueError(__file__)\n",
    "package/deeper/more.py": "import package.module\n\ndef f(x):\n    return x in {'one', 'two', 'four'}\n",
    "package/template.py": "class {{ name }}:\n",
    "package/latin.py": "caf\xe9 = 1\n",
    "package/notes.txt": "not Python",
}


def write_sources(directory):
    for name, text in SOURCES.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("latin-1"))
        path.chmod(0o644)
    return directory


def bytecode(directory):
    files = sorted(directory.rglob("*.pyc"))
    return {str(file.relative_to(directory)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.mark.network
def test_the_same_bytes_from_any_path_mask_and_time(minimal, tmp_path):
    first = write_sources(tmp_path / "a")
    second = write_sources(tmp_path / "somewhere" / "else entirely, with a longer name")
    for path in second.rglob("*.py"):
        os.utime(path, (1, 1))
    results = [compile_tree(minimal.interpreter, first, "/app/src")]
    before = os.umask(0o077)
    try:
        results.append(compile_tree(minimal.interpreter, second, "/app/src"))
    finally:
        os.umask(before)
    assert results[0] == results[1]
    assert (results[0].files, results[0].skipped) == (3, ("package/latin.py", "package/template.py"))
    assert bytecode(first) == bytecode(second)
    assert len(bytecode(first)) == 3
    for cache in [*second.rglob("__pycache__")]:
        assert stat.S_IMODE(cache.stat().st_mode) == 0o755
        assert {stat.S_IMODE(file.stat().st_mode) for file in cache.iterdir()} == {0o644}


@pytest.mark.network
def test_a_file_does_not_depend_on_its_neighbours(minimal, tmp_path):
    whole, alone = write_sources(tmp_path / "whole"), write_sources(tmp_path / "alone")
    shutil.rmtree(alone / "package/deeper")
    (alone / "package/__init__.py").unlink()
    for tree in (whole, alone):
        compile_tree(minimal.interpreter, tree, "/app/src")
    ((name, digest),) = bytecode(alone).items()
    assert bytecode(whole)[name] == digest


def write_distribution(packages, name, files):
    for file in files:
        (packages / file).parent.mkdir(parents=True, exist_ok=True)
        (packages / file).write_text(
            f"first = second = {name!r}\n\ndef shared(self, key): return self[key]\n"
        )
    (packages / f"{name}-1.dist-info").mkdir()
    (packages / f"{name}-1.dist-info/RECORD").write_text("".join(f"{file},,\n" for file in files))


@pytest.mark.network
def test_a_distribution_does_not_depend_on_others_in_its_directory(minimal, tmp_path):
    one, both = tmp_path / "one", tmp_path / "both"
    for packages in (one, both):
        write_distribution(packages, "a", ["space/a1.py", "space/a2.py", "top.py"])
    write_distribution(both, "b", ["space/a0.py", "space/b.py", "also.py"])
    for packages in (one, both):
        compile_tree(minimal.interpreter, packages, "/app/.venv")
    assert bytecode(one).items() <= bytecode(both).items()
    assert len(bytecode(both)) == 6


@pytest.mark.network
def test_a_directory_that_cannot_be_written_is_an_error(minimal, tmp_path):
    (write_sources(tmp_path) / "package/__pycache__").write_text("a file in the way")
    with pytest.raises(BuildError, match=r"failed with 1: package/.*\.py could not be compiled \(1\)"):
        compile_tree(minimal.interpreter, tmp_path, "/app/src")


@pytest.mark.network
def test_a_copy_of_the_interpreter_elsewhere_makes_the_same(minimal, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(minimal.root, moved, symlinks=True)
    trees = [write_sources(tmp_path / name) for name in ("a", "b")]
    for root, tree in zip((minimal.root, moved), trees, strict=True):
        compile_tree(interpreter_in(root, minimal.arch), tree, "/app/src")
    assert bytecode(trees[0]) == bytecode(trees[1])


@pytest.mark.network
def test_it_is_unchecked_and_names_the_path_in_the_image(minimal, tmp_path):
    tree = write_sources(tmp_path / "tree")
    interpreter = minimal.interpreter
    compile_tree(interpreter, tree, "/app/src")
    (file,) = (tree / "package/__pycache__").glob("module.*.pyc")
    assert file.name == "module.cpython-313.pyc"
    assert int.from_bytes(file.read_bytes()[4:8], "little") == 0b01, "hash-based, and never checked"
    script = "import marshal, sys; print(marshal.load(open(sys.argv[1], 'rb')).co_filename)"
    code = tmp_path / "code"
    code.write_bytes(file.read_bytes()[16:])
    assert interpreter.run("-c", script, str(code)) == "/app/src/package/module.py\n"
    (tree / "package/module.py").write_text("an edit that is not seen")
    script = "import sys; sys.path.insert(0, sys.argv[1]); import package.module as m; print(m.fail.__name__)"
    assert interpreter.run("-c", script, str(tree)) == "fail\n"


@pytest.mark.network
def test_nothing_of_the_hosts_python_is_seen(minimal, monkeypatch, tmp_path):
    (tmp_path / "json.py").write_text("raise SystemExit('the working directory was searched')")
    monkeypatch.chdir(tmp_path)
    for name in ("PYTHONPATH", "PYTHONSTARTUP", "LD_LIBRARY_PATH"):
        monkeypatch.setenv(name, str(tmp_path))
    paths = minimal.interpreter.run("-c", "import json, sys; print(json.dumps(sys.path))")
    assert all(path.startswith(str(minimal.root)) for path in json.loads(paths))


@pytest.mark.network
def test_an_interpreter_that_fails_is_an_error(minimal):
    with pytest.raises(BuildError, match="the base's interpreter failed with 3: it hurts"):
        minimal.interpreter.run("-c", "import sys; print('it hurts', file=sys.stderr); sys.exit(3)")


@pytest.mark.skipif(not host_arch(), reason="this host runs no Debian binaries")
def test_a_cache_that_cannot_be_executed_is_an_error(tmp_path):
    with pytest.raises(BuildError, match="does not start from") as caught:
        compile_tree(interpreter_in(tmp_path, host_arch()), tmp_path, "/app")
    assert "SHIPWAY_CACHE" in caught.value.hint


def test_another_architecture_is_said_and_nothing_is_compiled(tmp_path):
    tree = write_sources(tmp_path / "tree")
    other = "arm64" if host_arch() != "arm64" else "amd64"
    interpreter = interpreter_in(tmp_path, other)
    assert interpreter.unavailable.endswith(f"cannot run the Python of a {other} base")
    result = compile_tree(interpreter, tree, "/app/src")
    assert (result.files, result.unavailable) == (0, interpreter.unavailable)
    assert bytecode(tree) == {}


def test_the_command_uses_the_trees_own_loader():
    command = interpreter_in(Path("/base"), "arm64").command("-c", "pass")
    assert command[0] == "/base/usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1"
    assert command[4] == "/base/usr/bin/python3.13"
    assert sys.executable not in command
