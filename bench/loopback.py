"""Servers on loopback for the time of a benchmark: Debian's docker-registry, and a directory of wheels.

In: a directory. Out: an address; what the registry holds, in bytes. Nothing outlives the `with`.
"""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
MANIFEST = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"


@dataclass(frozen=True)
class Registry:
    """A real registry; every pushed byte is in `root`."""

    host: str
    root: Path

    def stored(self) -> int:
        """Bytes of all blobs and manifests."""
        return sum(blob.stat().st_size for blob in self.root.glob("docker/registry/v2/blobs/*/*/*/data"))

    def compressed(self, image: str) -> int:
        """Bytes of an image's layers as they travel; `image` is `host/name:tag`."""
        name, _, tag = image.removeprefix(f"{self.host}/").partition(":")
        url = f"http://{self.host}/v2/{name}/manifests/{tag}"
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": MANIFEST})) as answer:
            return sum(layer["size"] for layer in json.load(answer)["layers"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def registry(directory: Path) -> Iterator[Registry]:
    program = shutil.which("docker-registry")
    if program is None:
        raise SystemExit("docker-registry is not on PATH: apt-get install docker-registry")
    port = free_port()
    directory.mkdir()
    config = directory / "config.yml"
    config.write_text(CONFIG.format(root=directory, port=port))
    quiet = subprocess.DEVNULL
    with subprocess.Popen((program, "serve", config), stdout=quiet, stderr=quiet) as process:
        try:
            wait(f"http://127.0.0.1:{port}/v2/")
            yield Registry(f"127.0.0.1:{port}", directory)
        finally:
            process.terminate()


@contextmanager
def wheels(directory: Path) -> Iterator[str]:
    """The address of a page with a link to each file."""
    directory.mkdir()
    handler = functools.partial(_Quiet, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


def wait(url: str) -> None:
    """Return at the first 200; give up after half a minute."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - ours
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.003)
    raise SystemExit(f"no 200 from {url} within 30 s")
