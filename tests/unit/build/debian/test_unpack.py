"""Packages to a tree: what is written where, and what is refused."""

import os
import stat
import tarfile

import pytest

from shipway.build.debian.unpack import Tree, is_left_out
from shipway.errors import BuildError

DIRECTORY, LINK, HARD = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


@pytest.fixture
def unpack(tmp_path, making):
    """Unpacks packages, given as lists of members, into one tree; gives its root."""
    root = tmp_path / "tree"
    root.mkdir()
    tree = Tree(root)

    def run(*packages, **options):
        for number, members in enumerate(packages):
            file = tmp_path / f"{number}.deb"
            file.write_bytes(making.deb(f"package{number}", members=members, **options).data)
            run.controls.append(tree.add(f"package{number}", file))
        tree.finish()
        return root

    run.controls, run.tree = [], tree
    return run


def files_below(root):
    found = (path for path in root.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(str(path.relative_to(root)) for path in found)


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


def test_files_links_and_modes(unpack, making):
    program = making.special("./usr/bin/tool", tarfile.REGTYPE, mode=0o4755)
    root = unpack(
        [
            making.special("./", DIRECTORY),
            making.special("./usr/", DIRECTORY),
            making.special("./root/", DIRECTORY, mode=0o700),
            making.special("./tmp/", DIRECTORY, mode=0o1777),
            making.special("./var/mail/", DIRECTORY, mode=0o2775),
            making.special("./usr/locked/", DIRECTORY, mode=0o555),
            ("./usr/locked/file", b"inside a read-only directory"),
            program,
            making.special("./usr/bin/again", HARD, "./usr/bin/tool"),
            making.special("./usr/bin/other", LINK, "tool"),
        ]
    )
    assert mode(root / "usr/bin/tool") == 0o755, "without set-user-ID"
    assert (root / "usr/bin/again").samefile(root / "usr/bin/tool")
    assert str((root / "usr/bin/other").readlink()) == "tool"
    modes = {name: mode(root / name) for name in ("usr", "root", "tmp", "var/mail", "usr/locked")}
    assert modes == {"usr": 0o755, "root": 0o700, "tmp": 0o1777, "var/mail": 0o775, "usr/locked": 0o755}


@pytest.mark.parametrize("mask", [0o077, 0o000])
def test_the_users_mask_does_not_matter(unpack, making, mask):
    before = os.umask(mask)
    try:
        root = unpack([("./etc/a", b"a"), making.special("./etc/d", DIRECTORY, mode=0o755)])
    finally:
        os.umask(before)
    assert [mode(root / name) for name in ("etc", "etc/a", "etc/d")] == [0o755, 0o644, 0o755]


def test_the_merged_usr_is_one_directory(unpack, making):
    root = unpack(
        [
            making.special("./lib/", DIRECTORY),
            ("./lib/x/a.so", b"a"),
            ("./bin/tool", b"b"),
            ("./lib64/ld", b"c"),
        ],
        [making.special("./lib64", LINK, "usr/lib64"), making.special("./bin", LINK, "usr/bin")],
    )
    assert files_below(root) == [
        "bin",
        "lib",
        "lib64",
        "sbin",
        "usr/bin/tool",
        "usr/lib/x/a.so",
        "usr/lib64/ld",
    ]
    assert {name: str((root / name).readlink()) for name in ("bin", "sbin", "lib", "lib64")} == {
        "bin": "usr/bin",
        "sbin": "usr/sbin",
        "lib": "usr/lib",
        "lib64": "usr/lib64",
    }


def test_absolute_links_stay_in_the_tree(unpack, making):
    root = unpack(
        [
            making.special("./usr/lib/python/site.py", LINK, "/etc/python/site.py"),
            ("./etc/python/site.py", b"x"),
            making.special("./usr/share/up", LINK, "../lib/./python/../python"),
        ]
    )
    assert str((root / "usr/lib/python/site.py").readlink()) == "../../../etc/python/site.py"
    assert (root / "usr/lib/python/site.py").read_bytes() == b"x"
    assert str((root / "usr/share/up").readlink()) == "../lib/python", "no way up after the start"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("../../etc/x", b"")], "leaves the tree"),
        ([("./usr/../../etc/x", b"")], "leaves the tree"),
        ([("/etc/x", b"")], "leaves the tree"),
        ([("./etc", LINK, "../outside")], "links to ../outside, outside the tree"),
        ([("./a/b", LINK, "../../../etc")], "outside the tree"),
        ([("./etc", LINK, "/../../outside")], "outside the tree"),
        (
            [("./way", LINK, "etc"), ("./way/passwd", b"")],
            "is a directory here, and a file or link in package0",
        ),
        ([("./way", LINK, "etc"), ("./way", DIRECTORY, "")], "is a directory here, and a file or link"),
        ([("./file", b""), ("./file/below", b"")], "is a directory here, and a file or link"),
        ([("./name", HARD, "../../etc/passwd")], "leaves the tree"),
        ([("./name", HARD, "/etc/passwd")], "leaves the tree"),
        ([("./name", HARD, "./etc/passwd")], "which the package has not brought"),
        ([("./way", LINK, "etc"), ("./name", HARD, "./way")], "which the package has not brought"),
        ([("./dev/sda", tarfile.BLKTYPE, "")], "is a device or a pipe"),
        ([("./dev/null", tarfile.CHRTYPE, "")], "is a device or a pipe"),
        ([("./pipe", tarfile.FIFOTYPE, "")], "is a device or a pipe"),
        ([("./bin", LINK, "usr/elsewhere")], "is also in the layout"),
    ],
)
def test_tricks_are_refused_and_leave_nothing_outside(unpack, making, tmp_path, members, message):
    tree = tmp_path / "tree"
    before = set(files_below(tmp_path))
    members = [making.special(*member) if len(member) == 3 else member for member in members]
    with pytest.raises(BuildError, match="package0 cannot be unpacked: ") as caught:
        unpack(members)
    assert message in str(caught.value)
    written = set(files_below(tmp_path)) - before - {"0.deb"}
    assert all((tmp_path / path).is_relative_to(tree) for path in written)


def test_two_packages_cannot_bring_the_same_file(unpack):
    with pytest.raises(BuildError, match="package1 cannot be unpacked: etc/a is also in package0"):
        unpack([("./etc/a", b"1")], [("./etc/a", b"2")])


@pytest.mark.parametrize("compression", ["", ".gz"])
def test_other_compressions(unpack, compression):
    assert "etc/a" in files_below(unpack([("./etc/a", b"1")], compression=compression))


def test_a_compression_that_cannot_be_read_is_named(unpack):
    with pytest.raises(BuildError, match=r"data\.tar\.zst: this compression cannot be read yet"):
        unpack([("./etc/a", b"1")], compression=".zst")


@pytest.mark.parametrize("data", [b"", b"<html>", b"!<arch>\n"])
def test_a_file_that_is_no_package(unpack, tmp_path, data):
    (tmp_path / "no.deb").write_bytes(data)
    with pytest.raises(BuildError, match="no: not a Debian package"):
        unpack.tree.add("no", tmp_path / "no.deb")


def test_the_stanza_and_the_scripts_that_were_not_run(unpack):
    unpack([], scripts=["postinst", "prerm"])
    (control,) = unpack.controls
    assert control.stanza == "Package: package0\nVersion: 1.0\nArchitecture: amd64\n"
    assert control.scripts == {"postinst"}


@pytest.mark.parametrize(
    ("path", "left_out"),
    [
        ("usr/share/man/man1/a.1.gz", True),
        ("usr/share/manual", False),
        ("usr/share/doc/git", False),
        ("usr/share/doc/git/copyright", False),
        ("usr/share/doc/git/README", True),
        ("usr/share/doc/git/contrib/copyright", True),
        ("usr/lib/x86_64-linux-gnu/gconv", False),
        ("usr/lib/x86_64-linux-gnu/gconv/UTF-16.so", False),
        ("usr/lib/x86_64-linux-gnu/gconv/BIG5.so", True),
        ("usr/lib/x86_64-linux-gnu/gconv/gconv-modules.cache", True),
        ("usr/lib/x86_64-linux-gnu/gconv/gconv-modules.d/extra.conf", True),
        ("etc/issue", True),
        ("etc/issue-tracker", False),
        ("usr/sbin/update-ca-certificates", True),
    ],
)
def test_what_an_image_does_without(path, left_out):
    assert is_left_out(path) is left_out
