"""Images of a release in a real engine: from the build's layout, from a registry, from far away."""

from __future__ import annotations

import dataclasses
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.far_engine import far_engine

from shipway.build.cache import Cache
from shipway.build.layers import Entry
from shipway.build.oci import PlatformImage, image_digest, platform_image, write_layout
from shipway.build.registries.push import push
from shipway.deploy import images
from shipway.deploy.engine import Engine, connect
from shipway.deploy.images import Wanted
from shipway.errors import StackError
from shipway.plan.image import Process

pytestmark = pytest.mark.docker
BOTH = ("linux/amd64", "linux/arm64")


class Built:
    """An image of both platforms in a layout, under a name that nobody else has."""

    def __init__(self, root: Path, name: str = "deployed") -> None:
        self.cache, self.layout = Cache(root / "cache"), root / "images"
        self.made = [self._image(platform, name) for platform in BOTH]
        self.name = name
        self.digest = image_digest(self.made, self.cache)
        write_layout(self.layout, {f"{name}:latest": self.made}, self.cache)

    @property
    def wanted(self) -> Wanted:
        return Wanted(f"{self.name}@{self.digest}", f"{self.name}/agent:r-1")

    def config(self, platform: str) -> str:
        return next(made.config for made in self.made if made.platform == platform)

    def _image(self, platform: str, name: str) -> PlatformImage:
        content = f"{platform} {name}".encode()  # another one in each test
        layer = self.cache.layer("it", {"of": content.hex()}, lambda: [Entry("f", "file", content=content)])
        process = Process(("/f",), "65532:65532", {}, "/", ())
        return platform_image(platform, [layer], process, {}, self.cache)


@pytest.fixture
def docker(engine: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("PATH", str(Path(engine("docker")).parent), prepend=":")
    return connect()


@pytest.fixture
def built(tmp_path: Path, docker: Engine) -> Iterator[Built]:
    made = Built(tmp_path, f"deployed-{uuid.uuid4().hex[:8]}")
    yield made
    _remove(docker, made.wanted)


def _remove(docker: Engine, image: Wanted) -> None:
    subprocess.run((docker.program, "rmi", "--force", image.name, image.reference), capture_output=True)


def test_what_is_lacking_comes_out_of_the_layout_and_nothing_comes_twice(
    docker: Engine, built: Built
) -> None:
    said: list[str] = []
    roles = {"agent": built.wanted, "mcp-tools": built.wanted}
    found = images.provide(docker, roles, built.layout, said.append)
    assert set(found.values()) == {built.config(docker.platform)}
    assert len(said) == 1
    assert images.provide(docker, roles, built.layout, said.append) == found
    assert len(said) == 1


def test_without_a_layout_it_is_found_by_its_name(docker: Engine, built: Built, tmp_path: Path) -> None:
    roles = {"agent": built.wanted}
    found = images.provide(docker, roles, built.layout, print)
    assert images.provide(docker, roles, tmp_path / "gone", print) == found
    _remove(docker, built.wanted)
    with pytest.raises(StackError, match="the layout of its build is gone"):
        images.provide(docker, roles, tmp_path / "gone", print)


def test_a_far_engine_is_sent_its_own_platform(docker: Engine, built: Built) -> None:
    """Of an image of two, an archive of Docker's has one."""
    with far_engine() as host, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", host)
        far = dataclasses.replace(connect(), platform="linux/amd64")
        found = images.provide(far, {"agent": built.wanted}, built.layout, print)
    assert found == {"agent": built.config("linux/amd64")}


def test_a_far_engine_pulls_what_was_pushed(
    docker: Engine, registry: Callable[..., str], tmp_path: Path
) -> None:
    built = Built(tmp_path, f"{registry()}/team/{uuid.uuid4().hex[:8]}")
    push(built.made, f"{built.name}:1", built.cache, print, {})
    wanted = Wanted(f"{built.name}@{built.digest}", f"deployed-{uuid.uuid4().hex[:8]}/agent:r-1")
    said: list[str] = []
    try:
        with far_engine() as host, pytest.MonkeyPatch.context() as patch:
            patch.setenv("DOCKER_HOST", host)
            found = images.provide(connect(), {"agent": wanted}, built.layout, said.append)
        assert said == [f"pulling {wanted.reference}"]
        assert docker.ask("image", "inspect", "-f", "{{.Id}}", wanted.name) == found["agent"]
    finally:
        _remove(docker, wanted)


def test_what_a_registry_does_not_have_is_sent(docker: Engine, built: Built) -> None:
    nowhere = Wanted(f"127.0.0.1:9/{built.name}@{built.digest}", built.wanted.name)
    said: list[str] = []
    with far_engine() as host, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", host)
        found = images.provide(connect(), {"agent": nowhere}, built.layout, said.append)
    assert found == {"agent": built.config(docker.platform)}
    assert "cannot be pulled: " in said[1]
    assert said[1].endswith("it is sent from here instead")


def test_an_image_for_another_processor_is_refused(docker: Engine, built: Built) -> None:
    other = dataclasses.replace(docker, platform="linux/riscv64")
    with pytest.raises(
        StackError, match=r"is made for linux/amd64, linux/arm64, and Docker .* runs linux/riscv64"
    ):
        images.provide(other, {"agent": built.wanted}, built.layout, print)
