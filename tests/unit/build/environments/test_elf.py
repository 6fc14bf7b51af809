"""Every program of an image is for the image's machine."""

import struct
import sys
from pathlib import Path

import pydantic_core
import pytest

from shipway.build.environments.bytecode import host_arch
from shipway.build.environments.elf import check_machines, machine
from shipway.build.layers import Entry, tree_entries

SITE = "app/.venv/lib/python3.13/site-packages"


def elf(number, kind=3, order="<", bits=2):
    ident = b"\x7fELF" + bytes([bits, 1 if order == "<" else 2, 1]) + bytes(9)
    return ident + struct.pack(f"{order}HH", kind, number) + bytes(44)


AMD64, ARM64, I386 = elf(62), elf(183), elf(3, bits=1)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (AMD64, "amd64"),
        (ARM64, "arm64"),
        (elf(22, order=">"), "s390x"),
        (elf(21), "ppc64le"),
        (elf(21, order=">"), "ppc64"),
        (elf(4711), "ELF machine 4711"),
        (b"MZ" + bytes(60), None),
        (b"\x7fELF", None),
        (b"", None),
    ],
)
def test_the_header_names_the_machine(data, expected):
    assert machine(data) == expected


@pytest.mark.skipif(host_arch() == "", reason="this host has no machine that images are made for")
def test_this_interpreter_is_of_this_machine():
    assert machine(Path(sys.executable).resolve().read_bytes()[:20]) == host_arch()


def test_a_library_of_another_machine_is_named_with_its_distribution(tmp_path):
    record = b"yarl/__init__.py,,\nyarl/_quoting.so,sha256=x,64\nyarl-1.9.0.dist-info/RECORD,,\n"
    made = tmp_path / "_quoting.so"
    made.write_bytes(ARM64)
    entries = [
        Entry(f"{SITE}/yarl/_quoting.so", "file", content=made),
        Entry(f"{SITE}/yarl-1.9.0.dist-info/RECORD", "file", content=record),
        Entry("app/src/own", "file", 0o755, content=ARM64),
        Entry("usr/bin/python3.13", "file", 0o755, content=AMD64),
        Entry("usr/bin/python3", "symlink", 0o777, target="python3.13"),
    ]
    wheel, own = check_machines(entries, "linux/amd64")
    assert (own.rule, own.file) == ("foreign-machine", "app/src/own")
    assert wheel.file == f"{SITE}/yarl/_quoting.so"
    assert "made for arm64, and the image is for linux/amd64" in wheel.message
    assert "yarl 1.9.0" in wheel.message
    assert "yarl" not in own.message
    assert [finding.file for finding in check_machines(entries, "linux/arm64")] == ["usr/bin/python3.13"]


@pytest.mark.parametrize(
    "path",
    [
        "pydevd_attach_to_process/attach_linux_amd64.so",
        "tool/bin/linux-x86_64/helper",
        "tool/native/x64/helper.so",
        "elftools/tests/hello.so",
    ],
)
def test_helpers_that_name_their_machine_and_test_data_may_lie_there(path):
    assert check_machines([Entry(f"{SITE}/{path}", "file", content=AMD64)], "linux/arm64") == []


@pytest.mark.parametrize(
    "path",
    [
        "x/_speed.cpython-313-x86_64-linux-gnu.so",
        "x/_speed.cpython-313-x86_64-linux-musl.so",
        "x/_speed.abi3.so",
        "charm/library.so",
        "x.libs/libgomp-1a2b.so.1",
    ],
)
def test_a_name_that_only_the_toolchain_gave_excuses_nothing(path):
    assert len(check_machines([Entry(f"{SITE}/{path}", "file", content=AMD64)], "linux/arm64")) == 1
    debian = Entry("usr/lib/x86_64-linux-gnu/libz.so.1", "file", content=AMD64)
    assert len(check_machines([debian], "linux/arm64")) == 1


def test_what_is_not_loaded_by_the_machine_is_left_alone():
    data = [elf(62, kind=1), elf(62, kind=4), elf(190, kind=2), elf(247), b"MZ" + AMD64, AMD64[:10]]
    entries = [Entry(f"app/src/f{i}", "file", content=content) for i, content in enumerate(data)]
    assert check_machines(entries, "linux/arm64") == []
    assert len(check_machines([Entry("app/src/x", "file", content=I386)], "linux/amd64")) == 1


@pytest.mark.skipif(host_arch() == "", reason="this host has no machine that images are made for")
def test_what_is_installed_here_is_for_this_machine():
    entries = tree_entries(Path(pydantic_core.__file__).parent, f"{SITE}/pydantic_core")
    assert check_machines(entries, f"linux/{host_arch()}") == []
    other = {"amd64": "arm64", "arm64": "amd64"}[host_arch()]
    assert len(check_machines(entries, f"linux/{other}")) == 1
