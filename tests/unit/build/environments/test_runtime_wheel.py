from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import uv

from shipway.build.environments.runtime_wheel import runtime_wheel


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    first, second = runtime_wheel(tmp_path / "a"), runtime_wheel(tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()
    assert first.relative_to(tmp_path / "a") == second.relative_to(tmp_path / "b")
    assert runtime_wheel(tmp_path / "a") == first


def test_it_holds_the_package_and_no_bytecode(tmp_path: Path) -> None:
    names = zipfile.ZipFile(runtime_wheel(tmp_path)).namelist()
    assert "shipway_runtime/contract.py" in names
    assert not [name for name in names if "__pycache__" in name]


def test_uv_installs_it(tmp_path: Path) -> None:
    target = tmp_path / "site"
    command = [
        uv.find_uv_bin(),
        "pip",
        "install",
        "--quiet",
        "--offline",
        "--no-deps",
        "--target",
        str(target),
    ]
    command += ["--python", sys.executable, str(runtime_wheel(tmp_path))]
    subprocess.run(command, check=True)
    code = "import shipway_runtime.contract as c; from importlib.metadata import version; "
    code += "print(c.FORMAT, version('shipway-runtime'))"
    found = subprocess.run(
        [sys.executable, "-S", "-c", code], env={"PYTHONPATH": str(target)}, check=True, capture_output=True
    )
    assert found.stdout == b"1 0.1.0\n"
