"""A small package index: wheels and source distributions made here, served on loopback (PEP 503)."""

from __future__ import annotations

import base64
import functools
import hashlib
import http.server
import importlib.metadata
import io
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from packaging.requirements import Requirement

BACKEND = '''\
"""A build backend that needs nothing: it zips NAME.py, and says the tag that TAG has."""
import pathlib, zipfile

def _write(directory):
    here = pathlib.Path(__file__).parent
    name, version = (here / "NAME").read_text().split()
    tag = (here / "TAG").read_text().strip()
    info = f"{name}-{version}.dist-info"
    wheel = f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(pathlib.Path(directory) / wheel, "w") as archive:
        archive.write(here / f"{name}.py", f"{name}.py")
        archive.writestr(f"{info}/METADATA", (here / "PKG-INFO").read_text())
        head = "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true"
        archive.writestr(f"{info}/WHEEL", f"{head}\\nTag: {tag}\\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel

def build_wheel(directory, config_settings=None, metadata_directory=None):
    return _write(directory)
'''
PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "{name}"
version = "{version}"
dependencies = {dependencies}
"""


def source_tree(
    name: str, version: str = "1.0", code: str = "", requires: Iterable[str] = (), tag: str = "py3-none-any"
) -> dict[str, str]:
    """The files of a project that builds to a wheel with this tag, without any index."""
    return {
        "pyproject.toml": PROJECT.format(name=name, version=version, dependencies=list(requires)),
        "backend.py": BACKEND,
        "NAME": f"{name} {version}",
        "TAG": tag,
        f"{name}.py": code or f"VERSION = '{version}'\n",
        "PKG-INFO": _metadata(name, version, requires),
    }


def write_tree(directory: Path, files: Mapping[str, str]) -> Path:
    for path, text in files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(text)
    return directory


def _metadata(name: str, version: str, requires: Iterable[str]) -> str:
    lines = ["Metadata-Version: 2.2", f"Name: {name}", f"Version: {version}"]
    return "\n".join([*lines, *(f"Requires-Dist: {r}" for r in requires)]) + "\n"


class PackageIndex:
    """An index below `root`; `asked` are the paths that were asked for. Use it as a context manager.

    `login` is a `user:password` that everybody has to say; `fault` may answer instead, and returns True then.
    """

    def __init__(self, root: Path, login: str = "") -> None:
        self.root = root
        self.asked: list[str] = []
        self.login = login
        self.fault: Callable[[http.server.BaseHTTPRequestHandler], bool] = lambda handler: False
        handler = functools.partial(_Handler, self)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/simple"

    def __enter__(self) -> PackageIndex:
        self.root.mkdir(parents=True, exist_ok=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        if self.thread.is_alive():
            self.server.shutdown()
            self.thread.join()
        self.server.server_close()

    def runtime(self) -> None:
        """Publish stand-ins for what shipway-runtime requires."""
        for line in importlib.metadata.requires("shipway-runtime") or ():
            required = Requirement(line)
            version = next((s.version for s in required.specifier if s.operator in (">=", "==", "~=")), "1")
            self.wheel(required.name.replace("-", "_"), version)

    def wheel(
        self,
        name: str,
        version: str = "1.0",
        requires: Iterable[str] = (),
        tag: str = "py3-none-any",
        code: str = "",
    ) -> str:
        """Publish a wheel; returns its SHA-256."""
        info, sink = f"{name}-{version}.dist-info", io.BytesIO()
        with zipfile.ZipFile(sink, "w") as archive:
            members = {
                f"{name}.py": code or f"VERSION = '{version}'\n",
                f"{info}/METADATA": _metadata(name, version, requires),
                f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: {tag}\n",
                f"{info}/RECORD": f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n",
            }
            for path, text in members.items():
                archive.writestr(zipfile.ZipInfo(path), text)
        return self._publish(name, f"{name}-{version}-{tag}.whl", sink.getvalue())

    def sdist(self, name: str, version: str = "1.0", tag: str = "py3-none-any") -> str:
        """Publish a source distribution alone; returns its SHA-256."""
        sink = io.BytesIO()
        with tarfile.open(fileobj=sink, mode="w:gz") as archive:
            for path, text in source_tree(name, version, tag=tag).items():
                header = tarfile.TarInfo(f"{name}-{version}/{path}")
                header.size = len(text.encode())
                archive.addfile(header, io.BytesIO(text.encode()))
        return self._publish(name, f"{name}-{version}.tar.gz", sink.getvalue())

    def _publish(self, name: str, file: str, data: bytes) -> str:
        directory = self.root / "simple" / name.replace("_", "-")
        directory.mkdir(parents=True, exist_ok=True)
        (directory / file).write_bytes(data)
        links = [
            f'<a href="{path.name}#sha256={hashlib.sha256(path.read_bytes()).hexdigest()}">{path.name}</a>'
            for path in sorted(directory.iterdir())
            if path.name != "index.html"
        ]
        (directory / "index.html").write_text("\n".join(links))
        return hashlib.sha256(data).hexdigest()


class _Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, index: PackageIndex, *arguments: object) -> None:
        self.index = index
        super().__init__(*arguments, directory=str(index.root))  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.index.asked.append(self.path)
        if self.index.login and self.headers["Authorization"] != self._expected():
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="packages"')
            self.end_headers()
        elif not self.index.fault(self):
            super().do_GET()

    def _expected(self) -> str:
        return f"Basic {base64.b64encode(self.index.login.encode()).decode()}"

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")  # uv would take a page for today's, unasked
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass
