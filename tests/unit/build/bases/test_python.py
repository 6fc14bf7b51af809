"""The Python of a base is found, whatever it is called and wherever it is."""

from __future__ import annotations

import shutil
import struct
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.base_images import ARCH, MINOR, VERSION, slim_tree

from shipway.build.bases.python import find_certificates, find_python
from shipway.build.environments.bytecode import Interpreter, compile_tree
from shipway.build.environments.requirements import uv_platform
from shipway.errors import BuildError
from shipway.plan.image import Python

SLIM = {"PATH": "/usr/local/bin:/usr/bin"}


@pytest.fixture(scope="module")
def slim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return slim_tree(tmp_path_factory.mktemp("base") / "root")


def elf(loader: str, *strings: bytes) -> bytes:
    """A program with one header that names its loader, and these strings."""
    text = loader.encode() + b"\0"
    head = (
        b"\x7fELF\x02\x01\x01"
        + bytes(9)
        + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    )
    segment = struct.pack("<IIQQQQQQ", 3, 4, 120, 0, 0, len(text), len(text), 1)
    return head + segment + text + b"\0".join((b"", *strings, b""))


def tree(root: Path, files: Mapping[str, bytes], links: Mapping[str, str] = {}) -> Path:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    for path, target in links.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).symlink_to(target)
    return root


ALPINE = {
    "usr/local/bin/python3.12": elf("/lib/ld-musl-x86_64.so.1", b"Py_Main", b"3.12.9", b"3.46.1"),
    "usr/local/lib/python3.12/os.py": b"",
    "lib/ld-musl-x86_64.so.1": b"\x7fELF\0musl libc\0" + b"1.2.5\0",
    "etc/ssl/cert.pem": b"x",
}


@pytest.mark.slow
def test_a_slim_image(slim: Path) -> None:
    found = find_python(slim, SLIM, "slim")
    assert (found.python.path, found.python.version, found.version) == (
        f"/usr/local/bin/python{MINOR}",
        MINOR,
        VERSION,
    )
    assert found.python.libc.startswith("glibc 2.")
    assert find_certificates(slim) == "/etc/ssl/certs/ca-certificates.crt"


def test_it_runs_through_its_own_loader_and_compiles(slim: Path, tmp_path: Path) -> None:
    found = find_python(slim, SLIM, "slim")
    plain = [path.lstrip("/") for path in (found.python.path, found.loader, found.home)]
    interpreter = Interpreter(
        slim, plain[0], plain[1], tuple(p.lstrip("/") for p in found.libraries), plain[2]
    )
    assert interpreter.run("-c", "import sys, os; print(sys.version.split()[0], os.__file__)").split() == [
        VERSION,
        str(slim / f"usr/local/lib/python{MINOR}/os.py"),
    ]
    (tmp_path / "m.py").write_text("x = 1\n")
    assert compile_tree(interpreter, tmp_path, "/app/src").files == 1
    assert (tmp_path / f"__pycache__/m.cpython-{MINOR.replace('.', '')}.pyc").is_file()


def test_alpine_with_musl(tmp_path: Path) -> None:
    root = tree(tmp_path, ALPINE, {"usr/local/bin/python3": "/usr/local/bin/python3.12".lstrip("/")})
    (root / "usr/local/bin/python3").unlink()
    (root / "usr/local/bin/python3").symlink_to("python3.12")
    found = find_python(root, SLIM, "alpine")
    assert found.python == Python("/usr/local/bin/python3.12", "3.12", "musl 1.2.5")
    assert found.version == "3.12.9"
    assert find_certificates(root) == "/etc/ssl/cert.pem"
    assert uv_platform(found.python, "linux/amd64") == "x86_64-unknown-linux-musl"


def test_only_a_versioned_name_outside_of_path(tmp_path: Path) -> None:
    files = {path.replace("usr/local", "opt/venv"): content for path, content in ALPINE.items()}
    assert find_python(tree(tmp_path, files), {"PATH": "/usr/bin"}, "own").home == "/opt/venv"


def test_scripts_and_broken_links_by_its_name_are_passed_over(tmp_path: Path) -> None:
    root = tree(tmp_path, ALPINE, {"usr/bin/python3": "nowhere"})
    tree(root, {"usr/bin/python": b"#!/bin/sh\nexec /usr/local/bin/python3.12\n"})
    assert find_python(root, {"PATH": "/usr/bin:/usr/local/bin"}, "x").python.version == "3.12"


@pytest.mark.parametrize("length", [22, 60, 100])
def test_a_program_that_is_cut_short_is_passed_over(tmp_path: Path, length: int) -> None:
    root = tree(tmp_path, ALPINE)
    tree(root, {"usr/bin/python3": ALPINE["usr/local/bin/python3.12"][:length]})
    assert find_python(root, {"PATH": "/usr/bin:/usr/local/bin"}, "x").python.version == "3.12"


def test_without_python_the_error_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(
        BuildError, match=r"the base debian:13 has no Python: looked .* in /here, /usr/local/bin"
    ):
        find_python(tree(tmp_path, {"bin/sh": b"\x7fELF"}), {"PATH": "/here"}, "debian:13")


def test_a_python_without_its_library_is_none(tmp_path: Path) -> None:
    files = {path: content for path, content in ALPINE.items() if not path.endswith("os.py")}
    with pytest.raises(BuildError, match="has no Python"):
        find_python(tree(tmp_path, files), SLIM, "x")


def test_one_that_is_too_old_is_refused(tmp_path: Path) -> None:
    files = {
        "usr/bin/python3.9": elf("/lib64/ld-linux-x86-64.so.2", b"3.9.21"),
        "usr/lib/python3.9/os.py": b"",
        "lib64/ld-linux-x86-64.so.2": b"",
        "usr/lib64/libc.so.6": b"GNU C Library (GNU libc) stable release version 2.34.\n",
    }
    with pytest.raises(BuildError, match=r"has Python 3.9.21 \(/usr/bin/python3.9\), .* needs 3.11"):
        find_python(tree(tmp_path, files), SLIM, "ubi9")


def test_wheels_are_chosen_for_the_c_library() -> None:
    names = {
        "glibc 2.34": "x86_64-manylinux_2_34",
        "glibc 2.41": "x86_64-manylinux_2_40",
        "glibc 2.30": "x86_64-manylinux_2_28",
        "glibc 2.17": "x86_64-manylinux_2_17",
    }
    assert {libc: uv_platform(Python(libc=libc), "linux/amd64") for libc in names} == names


@pytest.mark.skipif(sys.platform != "linux", reason="copies a Linux machine's libraries")
def test_the_version_is_read_for_a_machine_that_cannot_run_here(slim: Path, tmp_path: Path) -> None:
    root = shutil.copytree(slim, tmp_path / "foreign", symlinks=True)
    program = root / f"usr/local/bin/python{MINOR}"
    data = bytearray(program.read_bytes())
    data[18:20] = (183 if ARCH == "amd64" else 62).to_bytes(2, "little")
    program.write_bytes(data)
    assert find_python(root, SLIM, "arm").version == VERSION
