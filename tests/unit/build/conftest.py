"""A small Debian archive: packages made here, signed with a key made here, served on loopback."""

import dataclasses
import functools
import gzip
import hashlib
import http.server
import io
import lzma
import os
import sys
import tarfile
import threading
from datetime import UTC, datetime, timedelta

import pysequoia
import pytest

from shipway.build.bases.minimal import find_minimal
from shipway.build.cache import default_root
from shipway.build.debian import download
from shipway.build.debian.mirrors import Mirror, find_mirrors
from shipway.build.environments.bytecode import host_arch


@dataclasses.dataclass
class Made:
    """A package: its control fields and the bytes of its .deb."""

    fields: dict
    data: bytes

    @property
    def filename(self):
        return f"pool/{self.fields['Package']}_{self.fields['Version'].replace(':', '%3a')}.deb"

    @property
    def sha256(self):
        return hashlib.sha256(self.data).hexdigest()


COMPRESS = {".xz": lzma.compress, ".gz": gzip.compress}


def deb(name, version="1.0", members=(), scripts=(), compression=".xz", **fields):
    """A package. `members` are (path, bytes) or TarInfo; underscores in field names stand for hyphens."""
    fields = {key.replace("_", "-"): value for key, value in fields.items()}
    fields = {"Package": name, "Version": version, "Architecture": "amd64"} | fields
    control = [("./control", stanza(fields)), *((f"./{script}", b"#!/bin/sh\n") for script in scripts)]
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar.xz": lzma.compress(tar(control)),
        f"data.tar{compression}": COMPRESS.get(compression, bytes)(tar(members)),
    }
    return Made(fields, ar(parts))


def stanza(fields):
    return "".join(f"{key}: {value}\n" for key, value in fields.items()).encode()


def tar(members):
    """A tar file, with names as they are given: nothing is made safe here."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                header = tarfile.TarInfo(member[0])
                header.size = len(member[1])
                archive.addfile(header, io.BytesIO(member[1]))
    return sink.getvalue()


def special(path, kind, target="", mode=0o755):
    """A directory, link or device for `members`."""
    header = tarfile.TarInfo(path)
    header.type, header.linkname, header.mode = kind, target, mode
    return header


def ar(parts):
    out = bytearray(b"!<arch>\n")
    for name, data in parts.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
        out += data + b"\n" * (len(data) % 2)
    return bytes(out)


class Archive:
    """An archive below `root`, with what was asked of its server in `asked`."""

    def __init__(self, root):
        self.root = root
        self.key = pysequoia.Tsk.generate("Test archive <archive@example.com>")
        self.asked = []
        self.failures = 0  # how many of the next answers are errors of the server
        self.cuts = 0  # how many of the next packages end in the middle
        handler = functools.partial(Handler, self)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/debian"

    def stop(self):
        if self.thread.is_alive():
            self.server.shutdown()
            self.thread.join()
            self.server.server_close()

    def mirror(self, *suites, **changes):
        cert = self.key.extract_certificate()
        mirror = Mirror(self.url, suites or ("trixie",), "the test", (bytes(cert),))
        return dataclasses.replace(mirror, **changes)

    def publish(
        self, *packages, suite="trixie", arch="amd64", codename=None, key=None, by_hash=True, **fields
    ):
        """Write the packages, their index and its signed Release. Fields set to None are left out."""
        index = b"\n".join(stanza(self._listed(package)) for package in packages)
        packed = lzma.compress(index)
        digest = hashlib.sha256(packed).hexdigest()
        name = f"main/binary-{arch}/Packages.xz"
        placed = f"main/binary-{arch}/by-hash/SHA256/{digest}" if by_hash else name
        self.write(f"dists/{suite}/{placed}", packed)
        now = datetime.now(UTC)
        release = {
            "Suite": "stable",
            "Codename": codename or suite,
            "Date": now.strftime("%a, %d %b %Y %H:%M:%S UTC"),
            "Valid-Until": (now + timedelta(days=7)).strftime("%a, %d %b %Y %H:%M:%S UTC"),
            "Acquire-By-Hash": "yes" if by_hash else "no",
        } | {field.replace("_", "-"): value for field, value in fields.items()}
        release = {field: value for field, value in release.items() if value is not None}
        text = stanza(release) + f"SHA256:\n {digest} {len(packed)} {name}\n".encode()
        mode = pysequoia.SignatureMode.CLEAR
        self.write(f"dists/{suite}/InRelease", pysequoia.sign((key or self.key).signer(), text, mode=mode))
        return placed

    def write(self, path, data):
        target = self.root / "debian" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return target

    def _listed(self, package):
        self.write(package.filename, package.data)
        return package.fields | {
            "Filename": package.filename,
            "Size": len(package.data),
            "SHA256": package.sha256,
        }


class Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, archive, *arguments):
        self.archive = archive
        super().__init__(*arguments, directory=str(archive.root))

    def do_GET(self):
        self.archive.asked.append(self.path)
        if self.archive.failures:
            self.archive.failures -= 1
            self.send_error(503)
        elif self.archive.cuts and self.path.endswith(".deb"):
            self.archive.cuts -= 1
            data = (self.archive.root / self.path[1:]).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])
        else:
            super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def archive(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "PAUSE_S", 0.01)
    archive = Archive(tmp_path / "archive")
    yield archive
    archive.stop()


@pytest.fixture(scope="session")
def making():
    """This module's names, for tests: there are no packages among tests to import from."""
    return sys.modules[__name__]


@pytest.fixture(scope="session")
def minimal():
    """The real base for this host's architecture, made by the first test that needs it and then cached."""
    if not host_arch():
        pytest.skip("this host runs no Debian binaries")
    base = find_minimal(host_arch(), (), find_mirrors(None, os.environ), default_root(), print)
    base.tree()
    return base
