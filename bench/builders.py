"""Three roads from the same project to the same agent in a registry, behind one interface.

In: a directory with the project, the address of a registry. Out: seconds. `Shipway` needs no engine;
`MultiStage` is the best Dockerfile that we can write for BuildKit, `SingleStage` the one that most people
write. All stand on our `minimal` base, install the same pins and run the same shipway-runtime.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import uv
from table import ENVIRON, seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

SHIPWAY = str(Path(sys.executable).with_name("shipway"))
BASE, PIP_BASE = "shipway-bench-base", "shipway-bench-pip"
CERTIFICATES = os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
DOWNLOADED = ("base", "debs", "indexes", "lists", "releases", "selections")
"""What shipway's cache keeps of Debian: bases and what was fetched for them."""

MULTI_STAGE = f"""\
FROM {BASE} AS build
ENV UV_CACHE_DIR=/uv-cache UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 SSL_CERT_FILE=/ca.crt
RUN --mount=type=bind,source=uv,target=/uv \\
    ["/uv", "venv", "--quiet", "--python", "/usr/bin/python3.13", "/app/.venv"]
RUN --mount=type=bind,source=uv,target=/uv --mount=type=bind,source=wheels,target=/wheels \\
    --mount=type=bind,source=requirements.txt,target=/requirements.txt \\
    --mount=type=cache,target=/uv-cache --mount=type=secret,id=ca,target=/ca.crt \\
    ["/uv", "pip", "install", "--quiet", "--python", "/app/.venv", "--require-hashes", \\
    "--requirements", "/requirements.txt", "--requirements", "/wheels/runtime.txt"]

FROM {BASE}
ENV HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=build /app/.venv /app/.venv
COPY shipway.json /app/shipway.json
COPY prompts /app/prompts
COPY src /app/src
WORKDIR /app
USER 65532:65532
ENTRYPOINT ["/app/.venv/bin/python", "-m", "shipway_runtime"]
"""
SINGLE_STAGE = f"""\
FROM {PIP_BASE}
WORKDIR /app
COPY requirements.txt .
RUN ["python3", "-m", "pip", "install", "--no-cache-dir", "-r", "requirements.txt"]
COPY . .
CMD ["python3", "-m", "shipway_runtime"]
"""
WITH_PIP = f"""\
FROM {BASE}
COPY pip /usr/local/lib/python3.13/dist-packages/pip
RUN ["/usr/bin/python3.13", "-m", "compileall", "-q", "/usr/local/lib/python3.13/dist-packages/pip"]
ENV PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1
ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=INDEX_URL
"""
"""No shell, so `RUN` has exec form. The index is a directory of wheels on loopback."""


class Shipway:
    """`shipway build`; its image gets the runtime and a manifest by itself."""

    name = "shipway"

    def __init__(self, directory: Path, registry: str, cache: Path) -> None:
        self.directory, self.cache, self.image = directory, cache, f"{registry}/ours:latest"
        ENVIRON["SHIPWAY_CACHE"] = str(cache)

    def build(self) -> float:
        return seconds((SHIPWAY, "build", str(self.directory), "-t", self.image))

    def publish(self) -> tuple[float, float]:
        """Until it is in the registry; one command, so when it was built is not known."""
        return 0.0, seconds((SHIPWAY, "build", str(self.directory), "-t", self.image, "--push"))

    def load(self) -> None:
        seconds((SHIPWAY, "build", str(self.directory), "-t", self.image, "--load"))

    def forget(self) -> None:
        """Everything but the base and what was downloaded for it: layers, blobs, resolutions, sizes."""
        records = (self.cache / "layers").glob("*.json")
        layers = {path: json.loads(path.read_text()) for path in records}
        kept = {path: layer for path, layer in layers.items() if layer["name"].startswith("base (")}
        for path in set(layers) - set(kept):
            path.unlink()
        blobs = {layer["digest"].partition(":")[2] for layer in kept.values()}
        for blob in (self.cache / "blobs/sha256").iterdir():
            if blob.name not in blobs:
                blob.unlink()
        for path in self.cache.iterdir():
            if path.name not in (*DOWNLOADED, "blobs", "layers"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


class BuildKit:
    """`docker build` with a Dockerfile; `docker push`."""

    def __init__(self, program: str, directory: Path, registry: str) -> None:
        self.program, self.directory = program, directory
        self.image = f"{registry}/{directory.name}:latest"
        self.fresh: tuple[str, ...] = ()
        ENVIRON["DOCKER_BUILDKIT"] = "1"

    def build(self) -> float:
        fresh, self.fresh = self.fresh, ()
        options = ("--network", "host", "--secret", f"id=ca,src={CERTIFICATES}", "--tag", self.image)
        return seconds((self.program, "build", *options, *fresh, str(self.directory)))

    def publish(self) -> tuple[float, float]:
        """Until it is built, and until it is in the registry."""
        built = self.build()
        return built, built + seconds((self.program, "push", "--quiet", self.image))

    def load(self) -> None:
        self.build()

    def forget(self) -> None:
        self.fresh = ("--no-cache",)


class MultiStage(BuildKit):
    name = "BuildKit, multi-stage, uv"

    def __init__(self, program: str, directory: Path, registry: str, wheel: Path) -> None:
        super().__init__(program, directory, registry)
        shutil.copy(uv.find_uv_bin(), directory / "uv")
        (directory / "wheels").mkdir()
        shutil.copy(wheel, directory / "wheels")
        (directory / "wheels/runtime.txt").write_text(f"/wheels/{wheel.name} --hash={_digest(wheel)}\n")
        (directory / "Dockerfile").write_text(MULTI_STAGE)


class SingleStage(BuildKit):
    name = "BuildKit, single stage, pip"

    def __init__(self, program: str, directory: Path, registry: str, wheel: Path) -> None:
        super().__init__(program, directory, registry)
        version = wheel.name.split("-")[1]
        with (directory / "requirements.txt").open("a") as file:
            file.write(f"shipway-runtime=={version} --hash={_digest(wheel)}\n")
        (directory / "Dockerfile").write_text(SINGLE_STAGE)


def import_bases(program: str, tree: Path, directory: Path, links: str) -> None:
    """Give Docker our base as it is, and one with pip, whose index is the address `links`."""
    with subprocess.Popen(("tar", "-C", tree, "-c", "."), stdout=subprocess.PIPE) as archive:
        subprocess.run((program, "import", "-", BASE), stdin=archive.stdout, check=True, capture_output=True)
    import pip

    directory.mkdir()
    shutil.copytree(Path(pip.__file__).parent, directory / "pip", ignore=shutil.ignore_patterns("*.pyc"))
    (directory / "Dockerfile").write_text(WITH_PIP.replace("INDEX_URL", links))
    seconds((program, "build", "--tag", PIP_BASE, str(directory)))


def forget_images(program: str, images: Sequence[str]) -> None:
    """Take what this run made out of the engine again, also what later builds took the tag from."""
    listing = (program, "images", "--quiet", "--no-trunc")
    for name in (*(image.rpartition(":")[0] for image in images), PIP_BASE, BASE):
        found = subprocess.run((*listing, name), check=True, capture_output=True, text=True)
        if made := sorted(set(found.stdout.split())):
            seconds((program, "rmi", "--force", *made))


def docker() -> str:
    # Debian's own client builds with BuildKit as it is; newer ones want a plugin.
    for program in ("/usr/bin/docker", shutil.which("docker") or ""):
        works = Path(program).is_file() and subprocess.run(
            (program, "info"), capture_output=True, check=False
        )
        if works and works.returncode == 0:
            return program
    raise SystemExit("Docker does not answer: start it, or see `docker info`")


def _digest(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
