"""What hostile wheels can do: real ones, made here, installed by uv as the builder does."""

import base64
import hashlib
import os
import stat
import subprocess
import zipfile

import pytest
from uv import find_uv_bin

from shipway.build.environments.containment import check_records, unsafe_paths
from shipway.build.layers import Entry, tree_entries
from shipway.errors import TamperedError

SCRIPTS = b"[console_scripts]\n%s = evil:main\n"


def make_wheel(directory, files):
    """`files` are (name, content, mode); RECORD lists them as they are."""
    information = "evil-1.dist-info"
    metadata = b"Metadata-Version: 2.1\nName: evil\nVersion: 1\n"
    tags = b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    members = [
        *files,
        (f"{information}/METADATA", metadata, 0o100644),
        (f"{information}/WHEEL", tags, 0o100644),
    ]
    rows = [f"{name},sha256={_digest(content)},{len(content)}" for name, content, _ in members]
    record = "\n".join([*rows, f"{information}/RECORD,,", ""]).encode()
    wheel = directory / "evil-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content, mode in [*members, (f"{information}/RECORD", record, 0o100644)]:
            header = zipfile.ZipInfo(name)
            header.create_system, header.external_attr = 3, mode << 16
            archive.writestr(header, content)
    return wheel


def _digest(content):
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def install(directory, files):
    """Where uv put the wheel, and how it ended; its cache and its target are deep below `directory`."""
    packages = directory / "tree/lib/python3.13/site-packages"
    packages.mkdir(parents=True)
    wheel = make_wheel(directory, files)
    options = ("--no-index", "--no-deps", "--no-config", "--cache-dir", str(directory / "cache/uv/here"))
    ended = subprocess.run(
        (find_uv_bin(), "pip", "install", "--target", str(packages), *options, str(wheel)),
        env={**os.environ, "UV_NO_INSTALLER_METADATA": "1"},
        capture_output=True,
        timeout=60,
    )
    return packages, ended.returncode


def outside(directory, packages):
    """Files that are neither uv's cache nor below its target."""
    found = (path for path in directory.rglob("*") if path.is_file() or path.is_symlink())
    places = (directory / "cache/uv/here", packages)
    return [p.name for p in found if not any(p.is_relative_to(place) for place in places)]


@pytest.mark.parametrize(
    "name",
    [
        "../escaped",
        "evil/../../escaped",
        "../../../../../escaped",
        "{root}/escaped",
        "..\\escaped",
        "evil-1.data/scripts/../../../escaped",
        "evil-1.data/data/../../../escaped",
        "evil-1.data/data/{root}/escaped",
    ],
)
def test_uv_lets_no_file_of_a_wheel_out(tmp_path, name):
    packages, _ = install(tmp_path, [(name.format(root=tmp_path), b"#!python\n", 0o100755)])
    assert outside(tmp_path, packages) == ["evil-1-py3-none-any.whl"]
    check_records(packages)


@pytest.mark.parametrize("mode", [0o120777, 0o104755, 0o102755, 0o103777, 0o020666, 0o010666])
def test_uv_makes_plain_files_of_links_devices_and_setuid(tmp_path, mode):
    packages, status = install(tmp_path, [("evil/x", b"/etc/passwd", mode)])
    made = (packages / "evil/x").lstat()
    assert status == 0
    assert stat.S_ISREG(made.st_mode)
    assert not made.st_mode & 0o7000
    assert (packages / "evil/x").read_bytes() == b"/etc/passwd"
    assert unsafe_paths(tree_entries(packages, "app", modes=True)) == []


def test_uv_writes_nothing_through_a_link(tmp_path):
    (tmp_path / "target").mkdir()
    link = ("evil/dir", str(tmp_path / "target").encode(), 0o120777)
    _, status = install(tmp_path, [link, ("evil/dir/file", b"x", 0o100644)])
    assert status != 0
    assert list((tmp_path / "target").iterdir()) == []


@pytest.mark.parametrize("name", [b"../../escaped", b"a/../../escaped", b"/tmp/escaped"])
def test_uv_refuses_console_scripts_that_lead_out(tmp_path, name):
    packages, status = install(tmp_path, [("evil-1.dist-info/entry_points.txt", SCRIPTS % name, 0o100644)])
    assert status != 0
    assert outside(tmp_path, packages) == ["evil-1-py3-none-any.whl"]


@pytest.mark.parametrize("place", ["evil-1.data/purelib", "evil-1.data/data"])
@pytest.mark.parametrize(
    "row", ["bin/../../../escaped", "share/../../../../victim", "/etc/victim", "./x", ""]
)
def test_metadata_that_a_wheel_smuggles_in_is_refused(tmp_path, place, row):
    files = [
        (f"{place}/zz-1.dist-info/entry_points.txt", SCRIPTS % b"../../../escaped", 0o100644),
        (f"{place}/zz-1.dist-info/RECORD", f'"{row}",,\n'.encode(), 0o100644),
    ]
    packages, status = install(tmp_path, files)
    assert status == 0, "uv takes it: that is why we look"
    with pytest.raises(TamperedError, match=r"zz-1\.dist-info/RECORD names"):
        check_records(packages)


def test_honest_records_pass(tmp_path):
    files = [
        ("evil/__init__.py", b"", 0o100644),
        ("evil/..data", b"", 0o100644),
        ("evil-1.data/data/etc/x.conf", b"", 0o100644),
        ("evil-1.data/scripts/tool", b"#!python\n", 0o100755),
        ("evil-1.dist-info/entry_points.txt", SCRIPTS % b"evil", 0o100644),
    ]
    packages, status = install(tmp_path, files)
    assert status == 0
    check_records(packages)


# -- Entries -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "app/../../x", "app//x", "app/./x", "app/x\0y", ""])
def test_a_path_that_leads_out_is_a_finding(path):
    (found,) = unsafe_paths([Entry(path, "file")])
    assert (found.rule, found.file) == ("unsafe-path", path)


def test_setuid_is_a_finding_and_what_is_usual_is_none():
    usual = [
        Entry("usr/bin/x", "file", 0o755),
        Entry("tmp", "directory", 0o1777),
        Entry("var/mail", "directory", 0o2775),
        Entry("bin", "symlink", 0o777, target="usr/bin"),
        Entry("etc/..data", "file"),
    ]
    assert unsafe_paths(usual) == []
    found = unsafe_paths([*usual, Entry("usr/bin/su", "file", 0o4755), Entry("usr/bin/wall", "file", 0o2755)])
    assert [finding.file for finding in found] == ["usr/bin/su", "usr/bin/wall"]
    assert "4755" in found[0].message
