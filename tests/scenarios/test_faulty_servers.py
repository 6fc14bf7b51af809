"""Mirrors, indexes and registries that break off, answer errors or serve something else."""

from __future__ import annotations

import functools
import hashlib
import http.server
import itertools
import json
import os
import signal
import threading
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.package_index import write_tree
from tests.scenarios.conftest import MADE, Run, Start, Undisturbed, unfinished
from tests.unit.build.registries.conftest import Registry, serving

from shipway.build.debian.mirrors import find_mirrors

pytestmark = pytest.mark.network  # the packages of the base; those of Python are ours

Handler = http.server.BaseHTTPRequestHandler
Fault = Callable[[Handler, bytes], bool]


class DebianMirror:
    """Serves what a cache has downloaded, as the mirror it is from did. `fault` may answer instead."""

    def __init__(self, cache: Path) -> None:
        self.fault: Fault = lambda handler, data: False
        selections = [json.loads(path.read_bytes()) for path in cache.glob("selections/*")]
        self.files: dict[str, Path] = {}
        for mirror, name in zip(find_mirrors(None, os.environ), ("debian", "debian-security"), strict=True):
            for suite in mirror.suites:
                url = f"{mirror.url}/dists/{suite}/InRelease"
                kept = cache / "releases" / hashlib.sha256(url.encode()).hexdigest()
                self.files[f"/{name}/dists/{suite}/InRelease"] = kept
            for deb in (deb for selection in selections for deb in selection["debs"]):
                if deb["url"].startswith(f"{mirror.url}/"):
                    path = deb["url"].removeprefix(mirror.url)
                    self.files[f"/{name}{path}"] = cache / "debs" / deb["sha256"]
        self.indexes = cache / "indexes"

    def read(self, path: str) -> bytes:
        """A package index is asked for by its hash."""
        return (self.files.get(path) or self.indexes / path.rpartition("/")[2]).read_bytes()


class MirrorHandler(Handler):
    def __init__(self, mirror: DebianMirror, *arguments: object) -> None:
        self.mirror = mirror
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        data = self.mirror.read(urllib.parse.unquote(self.path))
        if not self.mirror.fault(self, data):
            send(self, data)

    def log_message(self, *_: object) -> None:
        pass


def send(handler: Handler, data: bytes, length: int | None = None) -> bool:
    """A whole answer, or one that ends before its length."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data) if length is None else length))
    handler.end_headers()
    handler.wfile.write(data)
    return True


@pytest.fixture
def mirror(undisturbed: Undisturbed) -> Iterator[tuple[DebianMirror, str]]:
    served = DebianMirror(undisturbed.cache)
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(MirrorHandler, served)
    ) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield served, f"http://127.0.0.1:{server.server_port}/debian"
        server.shutdown()
        thread.join()


def test_a_mirror_that_fails_and_breaks_off_and_then_works(
    shipway: Run, undisturbed: Undisturbed, mirror: tuple[DebianMirror, str], tmp_path: Path
) -> None:
    served, url = mirror
    times: Counter[str] = Counter()

    def fault(handler: Handler, data: bytes) -> bool:
        times[handler.path] += 1
        if times[handler.path] == 1:
            handler.send_error(500)
            return True
        return times[handler.path] == 2 and send(handler, data[: len(data) // 2], len(data))

    served.fault = fault
    env = {**undisturbed.env, "SHIPWAY_CACHE": str(tmp_path / "cache"), "SHIPWAY_DEBIAN_MIRROR": url}
    done = shipway("build", cwd=write_tree(tmp_path / "project", undisturbed.files), env=env)
    assert (done.returncode, done.stdout) == (0, undisturbed.stdout), done.stderr
    assert set(times.values()) == {3}
    assert unfinished(tmp_path / "cache") == []


def test_a_mirror_that_serves_something_else(
    shipway: Run, undisturbed: Undisturbed, mirror: tuple[DebianMirror, str], tmp_path: Path
) -> None:
    served, url = mirror
    env = undisturbed.copy(tmp_path / "cache", without=(*MADE, "debs", "selections"))
    env |= {"SHIPWAY_DEBIAN_MIRROR": url}
    served.fault = lambda handler, data: handler.path.endswith(".deb") and send(handler, data[:-1] + b"!")
    done = shipway("build", cwd=write_tree(tmp_path / "project", undisturbed.files), env=env)
    assert done.returncode == 1
    assert f"error: {url.removesuffix('/debian')}" in done.stderr
    assert "with SHA-256" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "cache/debs").iterdir()) == []


# -- Package indexes -----------------------------------------------------------------------------------------


def anew(undisturbed: Undisturbed, tmp_path: Path, *without: str) -> dict[str, str]:
    """No distribution is in any cache."""
    env = undisturbed.copy(tmp_path / "cache", without=("blobs", "layers", "sizes", *without))
    return env | {"UV_CACHE_DIR": str(tmp_path / "uv")}


def test_an_index_that_fails_and_breaks_off_and_then_works(
    shipway: Run, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    times: Counter[str] = Counter()

    def fault(handler: Handler) -> bool:
        times[handler.path] += 1
        if times[handler.path] == 1:
            handler.send_error(500)
            return True
        wheel = undisturbed.index.root / handler.path[1:]
        return times[handler.path] == 2 and wheel.is_file() and send(handler, wheel.read_bytes()[:99], 9999)

    undisturbed.index.fault = fault
    env = anew(undisturbed, tmp_path, "resolved")
    done = shipway("build", cwd=write_tree(tmp_path / "project", undisturbed.files), env=env)
    undisturbed.index.fault = lambda handler: False
    assert (done.returncode, done.stdout) == (0, undisturbed.stdout), done.stderr


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda handler: send(handler, b"PK something else"), "what the package index served is no wheel"),
        (lambda handler: handler.send_error(500) or True, "the package index did not answer"),
        (lambda handler: send(handler, b"", 9999), "the package index did not answer"),
    ],
    ids=["something else", "errors", "cut off"],
)
def test_an_index_whose_wheels_never_come(
    shipway: Run,
    undisturbed: Undisturbed,
    tmp_path: Path,
    answer: Callable[[Handler], bool],
    message: str,
) -> None:
    undisturbed.index.fault = lambda handler: "/dep-" in handler.path and answer(handler)
    env = anew(undisturbed, tmp_path) | {"UV_HTTP_RETRIES": "1"}
    directory = write_tree(tmp_path / "project", undisturbed.files)
    done = shipway("build", cwd=directory, env=env)
    undisturbed.index.fault = lambda handler: False
    assert done.returncode == 1
    assert message in done.stderr
    assert "dep" in done.stderr
    assert "Traceback" not in done.stderr
    assert unfinished(tmp_path / "cache") == []
    again = shipway("build", cwd=directory, env=env)
    assert (again.returncode, again.stdout) == (0, undisturbed.stdout), again.stderr


# -- Registries ----------------------------------------------------------------------------------------------


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving() as server:
        yield server


def test_push_and_pull_where_every_other_request_fails(
    shipway: Run, undisturbed: Undisturbed, registry: Registry, tmp_path: Path
) -> None:
    count = itertools.count()

    def fault(handler: Handler) -> bool:
        if next(count) % 2:
            return False
        handler.read()
        handler.answer(503)
        return True

    registry.fault = fault
    env = undisturbed.copy(tmp_path / "cache")
    directory = write_tree(tmp_path / "project", undisturbed.files)
    image = f"{registry.host}/a:1"
    pushed = shipway("build", "--push", "-t", image, cwd=directory, env=env)
    assert pushed.returncode == 0, pushed.stderr
    seen = shipway("inspect", image, cwd=directory, env=env)
    assert seen.returncode == 0, seen.stderr
    assert "dep" in seen.stdout


def test_a_damaged_blob_is_never_pushed(
    shipway: Run, undisturbed: Undisturbed, registry: Registry, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    env = undisturbed.copy(cache)
    directory = write_tree(tmp_path / "project", undisturbed.files)
    largest = max(cache.glob("blobs/sha256/*"), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.unlink()
    largest.write_bytes(data)
    arguments = ("build", "--push", "-t", f"{registry.host}/a:1")
    refused = shipway(*arguments, cwd=directory, env=env)
    assert refused.returncode == 1
    assert f"error: {largest} was damaged on the disk" in refused.stderr
    assert "run the same command again" in refused.stderr
    assert refused.stdout == ""
    assert registry.manifests == {}
    done = shipway(*arguments, cwd=directory, env=env)
    assert done.returncode == 0, done.stderr
    assert f"sha256:{largest.name}" in registry.blobs


def test_an_interrupted_push_ends_at_once_and_the_next_one_succeeds(
    start: Start,
    shipway: Run,
    undisturbed: Undisturbed,
    registry: Registry,
    tmp_path: Path,
) -> None:
    arrived, ended = threading.Event(), threading.Event()

    def fault(handler: Handler) -> bool:
        if handler.command == "PUT":
            arrived.set()
            ended.wait()
        return False

    registry.fault = fault
    env = undisturbed.copy(tmp_path / "cache")
    directory = write_tree(tmp_path / "project", undisturbed.files)
    arguments = ("build", "--push", "-t", f"{registry.host}/a:1")
    process = start(*arguments, cwd=directory, env=env)
    arrived.wait()
    process.send_signal(signal.SIGTERM)
    out, error = process.communicate()
    ended.set()
    assert (process.returncode, out) == (143, ""), error
    assert unfinished(tmp_path / "cache", directory) == []
    registry.fault = lambda handler: False
    done = shipway(*arguments, cwd=directory, env=env)
    assert done.returncode == 0, done.stderr
    assert "1" in registry.manifests
