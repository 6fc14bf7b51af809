"""The `minimal` base: signed Debian packages -> a root file system with Python 3.13 and no shell.

In: an architecture, the names of extra packages, mirrors. Out: `MinimalBase`, and on demand its tree in the
cache, whose content and modes depend on the packages and on LAYOUT alone. The tree is made beside its place
and renamed into it, so two builds at once and a kill in the middle leave nothing half made. No script of any
package is run: what they would do that an image needs is done here.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.build.debian.debs import Deb, Selection, fetch_debs, select_debs
from shipway.build.debian.pinned import fetch_pinned, pinned_debs
from shipway.build.environments.bytecode import PYTHON, compile_tree, host_arch, interpreter_in
from shipway.build.interruption import temporary
from shipway.build.layers import Entry, tree_entries
from shipway.build.writing import UNFINISHED, remove_stale
from shipway.errors import BuildError
from shipway.plan.image import BaseFacts
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shipway.build.bases.base import MakeLayer
    from shipway.build.debian.mirrors import Mirror
    from shipway.build.debian.unpack import Tree
    from shipway.build.environments.bytecode import Interpreter
    from shipway.build.layers import Layer
    from shipway.spec.shipwaylock import LockedDeb

    Say = Callable[[str], None]

LAYOUT = 2
"""Part of every key: counts up when the same packages would make another tree than before."""

ARCHES = ("amd64", "arm64")

BASE = (
    *("base-files", "libc6", "libgcc-s1", "libstdc++6", "gcc-14-base"),  # the last for the others' licences
    *("python3.13-minimal", "libpython3.13-minimal", "libpython3.13-stdlib"),
    *("libssl3t64", "libsqlite3-0", "libexpat1", "zlib1g", "libbz2-1.0", "liblzma5", "libzstd1"),
    *("libffi8", "libuuid1", "libreadline8t64", "libncursesw6", "libtinfo6"),
    *("ca-certificates", "tzdata", "media-types", "netbase"),
)
"""Taken as they are. Following their dependencies would bring debconf, perl and a shell; what is not here
costs `dbm.ndbm` (libdb) and OpenSSL's legacy provider."""

LEFT_OUT = frozenset(
    {
        "dpkg",  # nothing is installed in a running container
        "debconf",  # asks questions at installation
        "ucf",  # keeps edited configuration through upgrades
        "adduser",  # the users are in BASE's own /etc/passwd
        "init-system-helpers",  # there is no init system
        "libc-bin",  # ldconfig, locale, getent: the loader finds Debian's directories without a cache
        "install-info",  # info pages are left out
        "sensible-utils",  # opens editors and pagers
    }
)
"""What extra packages depend on and an image does without: mostly for scripts that are never run."""

_PYTHON_PACKAGE = f"python{PYTHON}-minimal"
_SOURCES = (f"usr/lib/python{PYTHON}", "usr/lib/python3/dist-packages")
_assembling = threading.RLock()
_CERTIFICATES = "usr/share/ca-certificates"
_BUNDLE = "etc/ssl/certs/ca-certificates.crt"

_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/sbin/nologin\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n"
    f"nonroot:x:{contract.UID}:{contract.UID}:nonroot:/tmp:/sbin/nologin\n",
    "etc/group": f"root:x:0:\nnogroup:x:65534:\nnonroot:x:{contract.UID}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nnetworks: files\n"
    "services: files\nprotocols: files\nethers: files\nrpc: files\n",
}

_LINKS = {
    "usr/bin/python3": f"python{PYTHON}",
    "usr/bin/python": "python3",
    "usr/lib/ssl/cert.pem": f"/{_BUNDLE}",  # where OpenSSL looks; Debian's `openssl` package would link it
    "usr/lib/ssl/certs": "/etc/ssl/certs",
}


@dataclass(frozen=True, slots=True)
class MinimalBase:
    """A base of an architecture, "amd64" or "arm64", known by its packages; assembled when it is needed.

    `key` identifies the content. `compiled_by` is the Debian version of the Python that makes its bytecode,
    empty where this host can run none, and the tree has no bytecode. `native` is the base whose Python
    this host runs, where that is another one.
    """

    root: Path
    debs: tuple[Deb, ...]
    arch: str
    key: str
    compiled_by: str
    native: MinimalBase | None
    fetch: Callable[[], tuple[Path, ...]]
    """The packages' files, downloaded unless they are in the cache."""
    say: Say

    facts = BaseFacts()

    @property
    def interpreter(self) -> Interpreter:
        """This base's own. Look at `unavailable` before relying on it."""
        return interpreter_in(self.root, self.arch, self.tree)

    @property
    def compiler(self) -> Interpreter:
        return self.native.interpreter if self.native else self.interpreter

    def tree(self) -> Path:
        """The root file system: read it, never write to it, never follow its links from outside."""
        with _assembling:
            if not self.root.is_dir():
                self.say(f"assembling the {self.arch} base from {len(self.debs)} Debian packages")
                files = self.fetch()
                with making(self.root) as tree:
                    assemble(tree, self.debs, files, self.say)
                    own = interpreter_in(tree, self.arch)
                    _compile(tree, self.native.interpreter if self.native else own, self.say)
        return self.root

    def layers(self, make: MakeLayer) -> list[Layer]:
        """The one layer that all of it is."""
        name = f"base (minimal, {len(self.debs)} Debian packages)"
        inputs = {"root file system": self.key} | {deb.name: deb.version for deb in self.debs}
        app = Entry("app", "directory", 0o755)
        return [make(name, inputs, lambda: [*tree_entries(self.tree(), "", modes=True), app])]


def find_minimal(
    arch: str,
    packages: Sequence[str],
    mirrors: Sequence[Mirror],
    cache: Path,
    say: Say,
    pinned: Mapping[str, Sequence[LockedDeb]] | None = None,
) -> MinimalBase:
    """The base of an architecture with extra Debian packages. Nothing but its package list is looked up.

    `pinned` are the packages of both architectures as shipway.lock has them: then no mirror is asked. Raises
    BuildError and its kinds.
    """
    if arch not in ARCHES:
        raise BuildError(f"no minimal base for {arch!r} yet; there is one for {' and '.join(ARCHES)}")
    if pinned:
        debs = pinned_debs(pinned[arch], mirrors)
    else:
        debs = select_debs(Selection(arch, BASE, sorted(set(packages)), LEFT_OUT), mirrors, cache, say)
    host = host_arch()
    native = find_minimal(host, packages, mirrors, cache, say, pinned) if host not in (arch, "") else None
    compiled_by = native.compiled_by if native else _python_version(debs) if host else ""
    key = _key(arch, debs, compiled_by)

    def fetch() -> tuple[Path, ...]:
        return fetch_pinned(debs, mirrors, cache, say) if pinned else fetch_debs(debs, cache, say)

    return MinimalBase(cache / "base" / key, debs, arch, key, compiled_by, native, fetch, say)


def assemble(root: Path, debs: Sequence[Deb], files: Sequence[Path], say: Say) -> None:
    """Fill the empty directory `root` with the packages, and with what their scripts would have made."""
    from shipway.build.debian.unpack import Tree  # only when a base is made

    tree, unrun = Tree(root), []
    for deb, file in zip(debs, files, strict=True):
        control = tree.add(deb.name, file)
        tree.file(f"var/lib/dpkg/status.d/{deb.name}", control.stanza.encode(), 0o644, deb.name)
        if control.scripts and deb.name not in BASE:
            unrun.append(deb.name)
    if unrun:
        say(f"not run, as the image has no shell: the install scripts of {', '.join(unrun)}")
    _complete(tree)
    _list_files(tree, debs)
    tree.finish()


def _complete(tree: Tree) -> None:
    for path, text in _FILES.items():
        tree.file(path, text.encode(), 0o644, "shipway")
    for path, target in _LINKS.items():
        if path not in tree.owners:
            tree.link(path, target, "shipway")
    certificates = sorted((tree.root / _CERTIFICATES).rglob("*.crt"))
    bundle = b"".join(certificate.read_bytes().rstrip(b"\n") + b"\n" for certificate in certificates)
    tree.file(_BUNDLE, bundle, 0o644, "ca-certificates")
    tree.remove(_CERTIFICATES)


def _list_files(tree: Tree, debs: Sequence[Deb]) -> None:
    """Whose each file is, in the form that scanners and `shipway inspect` know from images without dpkg."""
    lines: dict[str, list[str]] = {deb.name: [] for deb in debs}
    for path, owner in sorted(tree.owners.items()):
        if owner in lines and not (tree.root / path).is_symlink():
            digest = hashlib.md5((tree.root / path).read_bytes(), usedforsecurity=False).hexdigest()
            lines[owner].append(f"{digest}  {path}\n")
    for name, files in lines.items():
        tree.file(f"var/lib/dpkg/status.d/{name}.md5sums", "".join(files).encode(), 0o644, name)


def _compile(root: Path, interpreter: Interpreter, say: Say) -> None:
    """Bytecode for all that packages bring: where the root is read-only Python could not keep any."""
    if interpreter.unavailable:
        say(f"the base has no bytecode: {interpreter.unavailable}")
    for path in _SOURCES:
        if (root / path).is_dir():
            compile_tree(interpreter, root / path, f"/{path}")


@contextmanager
def making(root: Path) -> Iterator[Path]:
    """An empty directory that becomes `root` if nothing was raised, unless another build was first."""
    root.parent.mkdir(parents=True, exist_ok=True)
    remove_stale(root.parent.glob(f"{UNFINISHED}*"))
    with temporary(lambda: Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=root.parent))) as tree:
        tree.chmod(0o755)
        yield tree
        os.sync()  # a power cut must not keep the name and lose the content, which nothing would notice
        try:
            tree.rename(root)
        except OSError:
            if not root.is_dir():  # otherwise another build was first, and made the same
                raise


def _python_version(debs: Sequence[Deb]) -> str:
    """The version of the Python package, without the counter of rebuilds of one architecture."""
    return next(re.sub(r"\+b\d+$", "", deb.version) for deb in debs if deb.name == _PYTHON_PACKAGE)


def _key(arch: str, debs: Sequence[Deb], compiled_by: str) -> str:
    content = [LAYOUT, arch, [deb.sha256 for deb in debs], compiled_by]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
