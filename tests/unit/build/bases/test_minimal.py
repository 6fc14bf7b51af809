"""The minimal base: what is assembled, and, with the real archive, that it is small, whole and runs."""

import contextlib
import hashlib
import io
import json
import os
import subprocess
import tarfile
import uuid
from pathlib import Path

import pytest
from zlib_ng import zlib_ng

from shipway.build.bases import minimal as minimal_module
from shipway.build.bases.minimal import BASE, LEFT_OUT, assemble, find_minimal
from shipway.build.cache import default_root
from shipway.build.debian.debs import Deb, find_mirrors
from shipway.build.environments.bytecode import host_arch
from shipway.errors import BuildError, UnreachableError

MODULES = "ssl, sqlite3, ctypes, lzma, bz2, uuid, readline, zoneinfo, hashlib, asyncio, curses"
MACHINES = {"amd64": 62, "arm64": 183}  # e_machine in an ELF header
CERTIFICATES = "./usr/share/ca-certificates/mozilla"


def contents(root):
    """Path -> kind, mode and content of everything below `root`."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        if path.is_symlink():
            content = str(path.readlink())
        else:
            content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "directory"
        found[str(path.relative_to(root))] = (oct(status.st_mode), content)
    return found


def names_in(directory):
    return sorted(path.name for path in directory.iterdir())


# -- with packages made here -----------------------------------------------------------------------------


@pytest.fixture
def assembled(making, tmp_path):
    """Assembles packages made here; gives the tree and what was said."""

    def run(*packages, name="tree"):
        root, said = tmp_path / name, []
        root.mkdir()
        debs = [Deb(p.fields["Package"], p.fields["Version"], "amd64", "", p.sha256, 0) for p in packages]
        files = [tmp_path / deb.sha256 for deb in debs]
        for file, package in zip(files, packages, strict=True):
            file.write_bytes(package.data)
        assemble(root, debs, files, said.append)
        return root, said

    return run


@pytest.fixture
def certificates(making):
    members = [(f"{CERTIFICATES}/{name}.crt", text) for name, text in (("B", b"second"), ("A", b"first\n"))]
    return making.deb("ca-certificates", members=members, scripts=["postinst"])


def test_the_trust_store_is_what_the_package_ships_in_order(assembled, certificates):
    root, _ = assembled(certificates)
    for path in ("etc/ssl/certs/ca-certificates.crt", "usr/lib/ssl/cert.pem"):
        assert (root / path).read_bytes() == b"first\nsecond\n"
    assert not (root / "usr/share/ca-certificates").exists()


def test_scanners_find_each_package(assembled, certificates, making):
    root, _ = assembled(certificates, making.deb("lib", "1:2.0", members=[("./usr/lib/lib.so", b"code")]))
    status = root / "var/lib/dpkg/status.d"
    assert [name for name in names_in(status) if "." not in name] == ["ca-certificates", "lib"]
    listed = f"{hashlib.md5(b'code').hexdigest()}  usr/lib/lib.so\n"
    assert listed in (status / "lib.md5sums").read_text()
    assert (status / "lib").read_text() == "Package: lib\nVersion: 1:2.0\nArchitecture: amd64\n"


def test_users_and_names(assembled, certificates):
    root, _ = assembled(certificates)
    users = [line.split(":") for line in (root / "etc/passwd").read_text().splitlines()]
    assert {user[0]: int(user[2]) for user in users} == {"root": 0, "nobody": 65534, "nonroot": 65532}
    assert "hosts: files dns\n" in (root / "etc/nsswitch.conf").read_text()
    assert str((root / "usr/bin/python3").readlink()) == "python3.13"


def test_a_package_may_bring_the_link_itself(assembled, certificates, making):
    link = making.special("./usr/bin/python3", tarfile.SYMTYPE, "python3.13")
    root, _ = assembled(certificates, making.deb("python3-minimal", members=[link]))
    assert str((root / "usr/bin/python3").readlink()) == "python3.13"


def test_scripts_of_extra_packages_are_said_not_to_run(assembled, certificates, making):
    _, said = assembled(certificates, making.deb("tool", scripts=["postinst"]), making.deb("quiet"))
    assert said == ["not run, as the image has no shell: the install scripts of tool"]


def test_the_same_packages_make_the_same_tree(assembled, certificates, making):
    packages = [certificates, making.deb("lib", members=[("./usr/lib/lib.so", b"code")])]
    first, _ = assembled(*packages)
    before = os.umask(0o077)
    try:
        second, _ = assembled(*packages, name="another")
    finally:
        os.umask(before)
    assert contents(first) == contents(second)


@pytest.mark.skipif(not host_arch(), reason="this host runs no Debian binaries")
def test_a_build_that_fails_leaves_nothing(archive, making, certificates, tmp_path):
    source = ("./usr/lib/python3.13/os.py", b"")
    others = [making.deb(name) for name in BASE if name not in ("ca-certificates", "libpython3.13-stdlib")]
    others.append(making.deb("libpython3.13-stdlib", members=[source]))
    archive.publish(*others, certificates, arch=host_arch())
    said = []
    with pytest.raises(BuildError, match="does not start"):  # there is no Python in these packages
        find_minimal(host_arch(), (), [archive.mirror()], tmp_path / "cache", said.append).tree()
    assert f"assembling the {host_arch()} base from {len(BASE)} Debian packages" in said
    assert names_in(tmp_path / "cache/base") == []


def test_what_killed_builds_left_is_removed(tmp_path):
    old, young = tmp_path / ".making-old", tmp_path / ".making-young"
    old.mkdir()
    young.mkdir()
    os.utime(old, (1, 1))
    with minimal_module.making(tmp_path / "key") as tree:
        (tree / "file").touch()
    assert names_in(tmp_path) == [".making-young", "key"]
    assert names_in(tmp_path / "key") == ["file"]


def test_the_second_of_two_builds_at_once_uses_the_firsts(tmp_path):
    with minimal_module.making(tmp_path / "key") as slow:
        (slow / "file").write_text("same")
        with minimal_module.making(tmp_path / "key") as fast:
            (fast / "file").write_text("same")
    assert names_in(tmp_path) == ["key"]


def test_an_architecture_without_a_base(tmp_path):
    with pytest.raises(
        BuildError, match="no minimal base for 'riscv64' yet; there is one for amd64 and arm64"
    ):
        find_minimal("riscv64", (), (), tmp_path, print)


def test_without_a_mirror_the_error_says_so(archive, tmp_path):
    archive.stop()
    with pytest.raises(UnreachableError, match="no index of trixie from"):
        find_minimal("amd64", (), [archive.mirror()], tmp_path, print)


# -- with the real archive -------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def foreign(minimal):
    """The real base of the architecture that this host cannot run."""
    arch = "arm64" if minimal.arch == "amd64" else "amd64"
    base = find_minimal(arch, (), find_mirrors(None, os.environ), default_root(), print)
    base.tree()
    return base


@pytest.mark.network
def test_the_trees_own_python_has_all_its_modules(minimal):
    script = (
        f"import {MODULES}, sys; print(sys.version_info[:2], sqlite3.connect(':memory:').execute('select 1'))"
    )
    assert minimal.interpreter.run("-c", script).startswith("(3, 13) <sqlite3.Cursor")


@pytest.mark.network
@pytest.mark.parametrize("which", ["minimal", "foreign"])
def test_it_is_small_shell_less_and_whole(request, which):
    base = request.getfixturevalue(which)
    paths = list(base.root.rglob("*"))
    files = [path for path in paths if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in files) <= 64e6
    assert len(gzipped(tarred(base.root))) <= 23e6
    assert not {"sh", "bash", "dash", "busybox", "dpkg", "perl"} & {path.name for path in files}
    assert [path for path in paths if path.is_symlink() and not path.exists()] == []
    links = [path for path in paths if path.is_symlink()]
    assert all(path.resolve().is_relative_to(base.root) for path in links)
    assert {deb.name for deb in base.debs} == set(BASE)
    assert not LEFT_OUT & set(BASE)
    licences = base.root / "usr/share/doc"
    assert [deb.name for deb in base.debs if not (licences / deb.name / "copyright").is_file()] == []
    assert "VERSION_CODENAME=trixie" in (base.root / "etc/os-release").read_text()


@pytest.mark.network
@pytest.mark.parametrize("which", ["minimal", "foreign"])
def test_its_programs_are_of_its_architecture(request, which):
    base = request.getfixturevalue(which)
    machines = set()
    for path in base.root.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.stat().st_size > 64:
            with path.open("rb") as file:
                head = file.read(20)
            if head.startswith(b"\x7fELF"):
                machines.add(int.from_bytes(head[18:20], "little"))
    assert machines == {MACHINES[base.arch]}


@pytest.mark.network
def test_both_architectures_have_the_same_bytecode(minimal, foreign):
    found = []
    for base in (minimal, foreign):
        library = base.root / "usr/lib/python3.13"
        sources = {path for path in library.rglob("*.py") if "sysconfigdata" not in path.name}
        compiled = {path: path.parent / "__pycache__" / f"{path.stem}.cpython-313.pyc" for path in sources}
        found.append({str(path.relative_to(library)): compiled[path].read_bytes() for path in sources})
    assert len(found[0]) > 500
    assert found[0] == found[1]
    assert minimal.compiled_by == foreign.compiled_by


@pytest.mark.network
def test_made_again_elsewhere_with_another_mask_it_is_the_same(minimal, tmp_path):
    (tmp_path / "debs").symlink_to(default_root() / "debs")
    before = os.umask(0o077)
    try:
        again = find_minimal(minimal.arch, (), find_mirrors(None, os.environ), tmp_path, print)
        again.tree()
    finally:
        os.umask(before)
    assert again.key == minimal.key
    assert contents(again.root) == contents(minimal.root)


@pytest.mark.network
@pytest.mark.docker
def test_it_runs_in_docker_as_nobody_with_a_read_only_root(minimal):
    image = f"shipway-test-base:{uuid.uuid4().hex}"
    with imported(tarred(minimal.root), image):
        script = (
            f"import {MODULES}, json, os, pwd, socket\n"
            "print(json.dumps([os.getuid(), pwd.getpwuid(65532).pw_name, os.path.exists(json.__cached__), "
            "str(zoneinfo.ZoneInfo('Europe/Berlin')), socket.gethostbyname('localhost'), "
            "len(ssl.create_default_context().get_ca_certs()) > 100]))"
        )
        flags = ("--rm", "--read-only", "--network", "none", "--user", "65532")
        done = docker("run", *flags, image, "python", "-c", script)
        assert json.loads(done.stdout) == [65532, "nonroot", True, "Europe/Berlin", "127.0.0.1", True]
        done = docker("run", *flags, image, "/bin/sh", "-c", "true", check=False)
        assert done.returncode == 127
        assert "no such file" in done.stderr


def tarred(root):
    """A tree as the image's layers hold it: owned by root, without times."""

    def reset(member):
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = ""
        return member

    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        archive.add(root, arcname=".", filter=reset)
    return sink.getvalue()


def gzipped(data):
    compressor = zlib_ng.compressobj(6, zlib_ng.DEFLATED, 31)
    return compressor.compress(data) + compressor.flush()


def docker(*arguments, check=True, **options):
    text = not isinstance(options.get("input"), bytes)
    command = [DOCKER, *arguments]
    return subprocess.run(command, check=check, capture_output=True, text=text, timeout=120, **options)


@contextlib.contextmanager
def imported(data, image):
    try:
        docker("version", "--format", "{{.Server.Version}}")
    except (OSError, subprocess.CalledProcessError) as error:
        if os.environ.get("SHIPWAY_REQUIRE_ENGINES") == "1":
            raise
        pytest.skip(f"no Docker engine answers: {error}")
    docker("import", "-", image, input=data)
    try:
        yield
    finally:
        docker("rmi", "--force", image)


DOCKER = next(
    (path for path in ("/usr/bin/docker", "/usr/local/bin/docker") if Path(path).exists()), "docker"
)
