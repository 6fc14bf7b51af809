"""A real registry and real Docker: what we push they take, what they have we find, and little travels."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import re
import socket
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from shipway.build import engine as engines
from shipway.build.attachments.attach import Origin, attach
from shipway.build.cache import Cache
from shipway.build.environments.distributions import Distribution
from shipway.build.inspection.image_source import open_image
from shipway.build.layers import Entry
from shipway.build.layout_server import serve
from shipway.build.oci import PlatformImage, image_digest, platform_image, write_layout
from shipway.build.registries.push import Pushed, push
from shipway.build.registries.reference import parse_reference
from shipway.build.registries.registry import Repository
from shipway.build.registries.remote_cache import RemoteCache
from shipway.build.registries.remote_image import fetch_blob, resolve
from shipway.errors import BuildError
from shipway.plan.image import Process
from shipway_runtime.contract import Source

PROCESS = Process(("/bin/x",), "65532:65532", {"A": "1"}, "/app", (8080,))


def image(cache: Cache, *contents: bytes, platform: str = "linux/amd64") -> PlatformImage:
    """An image of one layer for each content."""
    layers = [
        cache.layer(f"layer {n}", {"content": c.hex()[:80]}, lambda c=c: [Entry("app/f", "file", content=c)])
        for n, c in enumerate(contents)
    ]
    return platform_image(platform, layers, PROCESS, {"k": "v"}, cache)


def attached(made: PlatformImage, cache: Cache) -> PlatformImage:
    """With its bill of materials and its provenance."""
    origin = Origin("team/a", Source("9f" * 20, dirty=False), {"platform": made.platform}, ())
    return dataclasses.replace(made, referrers=attach(made, origin, cache))


def noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def quiet(_: str) -> None: ...


def counts(pushed: Pushed) -> tuple[int, int, int]:
    return pushed.sent_blobs, pushed.mounted_blobs, pushed.existing_blobs


def test_push_sends_each_blob_once_and_mounts_what_is_next_door(
    registry: Callable[..., str], tmp_path: Path
) -> None:
    host = registry()
    cache = Cache(tmp_path / "cache")
    big = noise(6_000_000, 1)
    said: list[str] = []
    first = push([image(cache, big, b"one")], f"{host}/team/a:1", cache, said.append, {})
    assert counts(first) == (3, 0, 0)
    assert len(said) == 1
    assert counts(push([image(cache, big, b"one")], f"{host}/team/a:1", cache, quiet, {})) == (0, 0, 3)
    edited = push([image(cache, big, b"two")], f"{host}/team/a:1", cache, quiet, {})
    assert counts(edited) == (2, 0, 1)
    assert edited.sent_bytes < 2_000
    assert counts(push([image(cache, big, b"two")], f"{host}/team/b:1", cache, quiet, {})) == (0, 3, 0)


def test_what_is_attached_is_found_by_the_tag_that_stands_for_the_api(
    registry: Callable[..., str], tmp_path: Path
) -> None:
    """Debian's registry knows nothing of referrers: their index is kept by its clients."""
    host, cache = registry(), Cache(tmp_path / "cache")
    images = [
        attached(image(cache, b"x", platform=platform), cache) for platform in ("linux/amd64", "linux/arm64")
    ]
    push(images, f"{host}/team/a:1", cache, quiet, {})
    log = tmp_path / f"{host.rpartition(':')[2]}.log"
    written = writes(log)
    again = push(images, f"{host}/team/a:1", cache, quiet, {})
    assert again.sent_bytes == again.sent_blobs == 0
    assert writes(log) == written > 0
    root = f"http://{host}/v2/team/a"
    for made in images:
        assert httpx2.get(f"{root}/referrers/{made.digest}").status_code == 404
        index = httpx2.get(f"{root}/manifests/{made.digest.replace(':', '-')}", headers=ACCEPT).json()
        kinds = {entry["artifactType"]: entry for entry in index["manifests"]}
        assert set(kinds) == {"application/vnd.cyclonedx+json", "application/vnd.in-toto+json"}
        for kind, entry in kinds.items():
            manifest = httpx2.get(f"{root}/manifests/{entry['digest']}", headers=ACCEPT).json()
            assert manifest["artifactType"] == kind
            assert manifest["subject"]["digest"] == made.digest
            document = httpx2.get(f"{root}/blobs/{manifest['layers'][0]['digest']}").json()
            assert document.get("bomFormat") == ("CycloneDX" if "cyclonedx" in kind else None)
    found = open_image(f"{host}/team/a:1", platform="linux/arm64")
    assert {entry["digest"] for entry in found.referrers} == {
        referrer.manifest.digest for referrer in images[1].referrers
    }


ACCEPT = {"Accept": "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"}


def writes(log: Path) -> int:
    """How many requests so far have changed the registry."""
    return len(re.findall(r'"(?:PUT|POST|PATCH|DELETE) /v2/', log.read_text()))


def test_a_stale_hint_does_no_harm(registry: Callable[..., str], tmp_path: Path) -> None:
    """The registry was emptied: what is remembered of it is wrong."""
    cache = Cache(tmp_path / "cache")
    host = registry()
    for file in (image(cache, b"one"),):
        places = cache.root / "places" / host.replace(":", "_")
        places.mkdir(parents=True)
        (places / file.layers[0].digest.partition(":")[2]).write_text('"gone/away"')
    assert counts(push([image(cache, b"one")], f"{host}/a", cache, quiet, {})) == (2, 0, 0)


def test_what_was_pushed_is_pulled_back_lazily(registry: Callable[..., str], tmp_path: Path) -> None:
    host = registry()
    cache = Cache(tmp_path / "cache")
    images = [image(cache, b"layer", platform=p) for p in ("linux/amd64", "linux/arm64")]
    pushed = push(images, f"{host}/team/a:1", cache, quiet, {})
    assert pushed.reference == f"{host}/team/a@{image_digest(images, cache)}"
    empty = Cache(tmp_path / "empty")
    reference = parse_reference(f"{host}/team/a:1")
    with Repository(reference, {}) as repository:
        found = resolve(repository, reference, "linux/arm64", empty)
        assert found.config["architecture"] == "arm64"
        assert str(found.reference) == pushed.reference
        (layer,) = found.layers
        assert found.diff_ids == (images[1].layers[0].diff_id,)
        assert not empty.blob(layer.digest).exists()
        path = fetch_blob(repository, layer, empty)
        assert path.read_bytes() == cache.blob(layer.digest).read_bytes()
        with pytest.raises(BuildError, match=r"no image for linux/s390x; it has linux/amd64, linux/arm64"):
            resolve(repository, reference, "linux/s390x", empty)


def test_a_base_that_is_in_the_registry_is_never_downloaded(
    registry: Callable[..., str], tmp_path: Path
) -> None:
    """A blob is brought when the registry lacks it, and otherwise never."""
    host = registry()
    cache = Cache(tmp_path / "cache")
    base = image(cache, noise(100_000, 2))
    push([base], f"{host}/base:1", cache, quiet, {})
    agent = image(cache, noise(100_000, 2), b"agent")
    cache.blob(base.layers[0].digest).unlink()

    def bring() -> None:
        raise AssertionError("the base's layer was asked for")

    cache.offer(base.layers[0].digest, base.layers[0].size, bring)
    assert counts(push([agent], f"{host}/agent:1", cache, quiet, {})) == (2, 1, 0)


def test_the_build_cache_gives_the_record_first_and_the_blob_when_asked(
    registry: Callable[..., str], tmp_path: Path
) -> None:
    host = registry()
    full = Cache(tmp_path / "full")
    held = (Distribution("six", "1.17.0", "/app/.venv", "MIT", "sha256:" + "ab" * 32),)
    layer = dataclasses.replace(image(full, b"layer").layers[0], distributions=held)
    full.keep_fact("f" * 64, '{"weight": 3}')
    with Repository(parse_reference(f"{host}/team/cache"), {}) as repository:
        keeper = RemoteCache(repository, full)
        assert keeper.store([layer], full.facts) == 2
        assert RemoteCache(repository, full).store([layer], full.facts) == 0
        local = Cache(tmp_path / "empty")
        empty = Cache(local.root, (RemoteCache(repository, local),))
        made_from = dict(layer.made_from)
        assert empty.fact("f" * 64) == '{"weight": 3}'
        assert empty.fact("f" * 40 + "0" * 24) is None
        assert empty.has(made_from)
        found = empty.layer("another name", made_from, never)
        assert dataclasses.replace(found, name=layer.name, cached=False) == layer
        assert not empty.blob(layer.digest).exists()
        assert empty.bring(layer.digest).read_bytes() == full.blob(layer.digest).read_bytes()
        assert not empty.has({"something": "else"})


def never() -> list[Entry]:
    raise AssertionError("the layer was made again")


def relay(source: socket.socket, sink: socket.socket, limit: int) -> None:
    """Bytes from one connection to another; both end after `limit` of them."""
    with contextlib.suppress(OSError):
        while limit > 0 and (data := source.recv(min(limit, 1 << 16))):
            sink.sendall(data)
            limit -= len(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


@pytest.fixture
def fragile() -> Iterator[Callable[[str], str]]:
    """Put an address before a registry whose first four connections break after 2.5 MB have been sent."""
    listeners: list[socket.socket] = []

    def accept(listener: socket.socket, target: int) -> None:
        with contextlib.suppress(OSError):
            for number in range(1000):
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", target))
                most = 2_500_000 if number < 4 else 1 << 40
                for one, two, limit in ((client, server, most), (server, client, 1 << 40)):
                    threading.Thread(target=relay, args=(one, two, limit), daemon=True).start()

    def before(host: str) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=accept, args=(listener, int(host.rpartition(":")[2])), daemon=True).start()
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield before
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_connections_that_break_in_the_middle_of_a_blob(
    registry: Callable[..., str], fragile: Callable[[str], str], tmp_path: Path
) -> None:
    """distribution forgets an upload that broke: the blob is sent anew, and is whole."""
    host = registry()
    cache = Cache(tmp_path / "cache")
    made = image(cache, noise(9_000_000, 3))
    assert counts(push([made], f"{fragile(host)}/a:1", cache, quiet, {})) == (2, 0, 0)
    reference = parse_reference(f"{host}/a:1")
    empty = Cache(tmp_path / "empty")
    with Repository(reference, {}) as repository:
        (layer,) = resolve(repository, reference, "linux/amd64", empty).layers
        assert fetch_blob(repository, layer, empty).stat().st_size > 9_000_000


# user `me` with the password `secret`, as `htpasswd -B` writes it
ENTRY = "me:$2b$05$eEYqOdvGLnPw4/2N7I1RZeUot4eRgxaWtGdYfglEpqnBgggOh2wl.\n"


def test_basic_credentials(registry: Callable[..., str], tmp_path: Path) -> None:
    host = registry(ENTRY)
    cache = Cache(tmp_path / "cache")
    environ = {"SHIPWAY_REGISTRY": host, "SHIPWAY_REGISTRY_USERNAME": "me"}
    docker = {"DOCKER_CONFIG": str(tmp_path)}
    good = environ | docker | {"SHIPWAY_REGISTRY_PASSWORD": "secret"}
    assert counts(push([image(cache, b"one")], f"{host}/a", cache, quiet, good)) == (2, 0, 0)
    with pytest.raises(BuildError, match="may not pull from") as caught:
        push([image(cache, b"two")], f"{host}/a", cache, quiet, docker)
    assert f"looked into {tmp_path}/config.json: no such file" in str(caught.value)
    bad = environ | docker | {"SHIPWAY_REGISTRY_PASSWORD": "wr0ng-word"}
    with pytest.raises(BuildError, match="SHIPWAY_REGISTRY_PASSWORD: user me") as caught:
        push([image(cache, b"two")], f"{host}/a", cache, quiet, bad)
    assert "wr0ng-word" not in str(caught.value)


# -- Docker ---------------------------------------------------------------------------------------------


@pytest.fixture
def docker(engine: Callable[[str], str]) -> Iterator[Callable[..., str]]:
    program = engine("docker")

    def run(*arguments: str) -> str:
        done = subprocess.run((program, *arguments), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


@pytest.fixture
def name(docker: Callable[..., str], engine: Callable[[str], str]) -> Iterator[str]:
    """An image's name of this test's own; the image is removed at the end."""
    chosen = f"shipway-test-{uuid.uuid4().hex[:8]}:1"
    yield chosen
    subprocess.run((engine("docker"), "rmi", "--force", chosen), capture_output=True)


@pytest.mark.docker
def test_docker_pulls_what_was_pushed(
    registry: Callable[..., str], docker: Callable[..., str], tmp_path: Path
) -> None:
    host = registry()
    cache = Cache(tmp_path / "cache")
    images = [image(cache, b"x", platform=p) for p in ("linux/amd64", "linux/arm64")]
    pushed = push(images, f"{host}/team/a:1", cache, quiet, {})
    try:
        docker("pull", "--quiet", pushed.reference)
        config = json.loads(docker("inspect", pushed.reference))[0]["Config"]
        assert config["User"] == "65532:65532"
    finally:
        docker("rmi", pushed.reference)


@pytest.mark.docker
def test_a_second_load_sends_the_last_layer_alone(
    docker: Callable[..., str], name: str, tmp_path: Path
) -> None:
    cache, layout = Cache(tmp_path / "cache"), tmp_path / "layout"
    base = noise(300_000, random.randrange(1 << 30))  # never seen by this engine

    def load(last: bytes) -> tuple[PlatformImage, str]:
        made = attached(image(cache, base, last), cache)
        write_layout(layout, {name: [made]}, cache)
        return made, engines.load(layout, {})

    _, said = load(uuid.uuid4().bytes)
    assert "docker pulled" in said
    assert "3 of 4 blobs" in said
    second, said = load(uuid.uuid4().bytes)
    assert "2 of 4 blobs, 0.0 MB" in said  # config and last layer
    document = json.loads(docker("inspect", name))[0]
    assert document["Id"] == second.config
    assert document["RepoTags"] == [name]
    assert document["RepoDigests"] == []
    _, said = load(b"")
    assert docker("images", "--quiet", "--filter", "reference=127.0.0.1:*/shipway-*") == ""


@pytest.mark.docker
def test_an_engine_elsewhere_is_given_the_whole_image(
    docker: Callable[..., str], name: str, tmp_path: Path
) -> None:
    cache, layout = Cache(tmp_path / "cache"), tmp_path / "layout"
    write_layout(layout, {name: [attached(image(cache, b"x"), cache)]}, cache)
    said = engines.load(layout, os.environ | {"DOCKER_HOST": "tcp://engine.example.com:2376"})
    assert said == f"docker loaded {name} whole, because it could not pull: the engine is on another machine"
    assert json.loads(docker("inspect", name))[0]["Config"]["User"] == "65532:65532"


def test_the_endpoint_gives_out_the_layout_and_nothing_else(tmp_path: Path) -> None:
    cache, layout = Cache(tmp_path / "cache"), tmp_path / "layout"
    made = image(cache, b"x")
    write_layout(layout, {"a:1": [made]}, cache)
    with serve(layout) as serving:
        root = f"http://127.0.0.1:{serving.port}/v2"
        assert httpx2.get(f"{root}/").status_code == 200
        good = httpx2.get(f"{root}/{serving.name}/manifests/{made.digest}")
        assert good.content == cache.blob(made.digest).read_bytes()
        for path in (f"other/blobs/{made.config}", f"{serving.name}/blobs/sha256:..%2f..%2findex.json"):
            assert httpx2.get(f"{root}/{path}").status_code == 404
        assert httpx2.post(f"{root}/{serving.name}/blobs/uploads/").status_code == 501
