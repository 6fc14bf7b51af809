"""Building an agent's image: shipway beside BuildKit with the best multi-stage uv Dockerfile we can write.

Both start from the same base (our `minimal`, imported into Docker), install the same pins by hash from a warm
uv cache, and compile bytecode. "First" means: base there, wheels downloaded, no layer made. Docker with
BuildKit has to answer; everything is local but for uv's own look at the index.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import uv
from table import Row, median, report, seconds

if TYPE_CHECKING:
    from collections.abc import Callable

SHIPWAY = str(Path(sys.executable).with_name("shipway"))
EXAMPLE = Path(__file__).parent.parent / "examples/02-support"
BASE = "shipway-bench-base"
CERTIFICATES = os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
SPEC = 'name = "bench"\nentrypoint = "support.agent:agent"\nprompts = "prompts"\n'
DOCKERFILE = f"""\
FROM {BASE} AS build
COPY uv /uv
COPY requirements.txt /requirements.txt
RUN --mount=type=cache,target=/uv-cache --mount=type=secret,id=ca,target=/ca.crt \\
    ["/usr/bin/python3.13", "-c", "import os; os.environ.update(UV_CACHE_DIR='/uv-cache', \\
    SSL_CERT_FILE='/ca.crt', UV_LINK_MODE='copy'); os.execv('/uv', ['/uv', 'pip', 'install', '--quiet', \\
    '--python', '/usr/bin/python3.13', '--target', '/app/site', '--compile-bytecode', '--require-hashes', \\
    '-r', '/requirements.txt'])"]

FROM {BASE}
COPY --from=build /app/site /app/site
COPY prompts /app/prompts
COPY src /app/src
USER 65532:65532
ENTRYPOINT ["/usr/bin/python3.13", "-m", "shipway_runtime"]
"""


def docker() -> str:
    # Debian's own client builds with BuildKit as it is; newer ones want a plugin.
    for program in ("/usr/bin/docker", shutil.which("docker") or ""):
        works = Path(program).is_file() and subprocess.run(
            (program, "info"), capture_output=True, check=False
        )
        if works and works.returncode == 0:
            return program
    raise SystemExit("Docker does not answer: start it, or see `docker info`")


def project(directory: Path) -> Path:
    """A copy of 02-support without MCP servers, which the peer's Dockerfile does not install."""
    directory.mkdir()
    for name in ("src", "prompts"):
        shutil.copytree(EXAMPLE / name, directory / name)
    shutil.copy(EXAMPLE / "requirements.txt", directory)
    shutil.copy(uv.find_uv_bin(), directory / "uv")
    (directory / "agent.toml").write_text(SPEC)
    (directory / "Dockerfile").write_text(DOCKERFILE)
    (directory / ".dockerignore").write_text(".shipway\n")
    return directory


def edit(directory: Path) -> None:
    """One line of the agent's code."""
    with (directory / "src/support/agent.py").open("a") as file:
        file.write("# an edit\n")


def bump(directory: Path) -> None:
    """One small dependency moves to a version that was not there before; its wheel is in uv's cache."""
    path = directory / "requirements.txt"
    head, _, tail = re.split(r"(?ms)^(attrs==.*?)(?=^[a-z])", path.read_text(), maxsplit=1)
    version = next(v for v in VERSIONS if not (directory / f".{v}").exists())
    (directory / f".{version}").touch()
    path.write_text(head + pinned(version) + tail)


VERSIONS = ("23.1.0", "23.2.0", "24.1.0", "24.2.0", "24.3.0", "25.1.0", "25.2.0", "25.3.0")


@functools.cache
def pinned(version: str) -> str:
    """The lines of this attrs, with hashes; its wheel is downloaded on the way."""
    options = ("--no-deps", "--generate-hashes", "--no-header", "--no-annotate", "--quiet")
    command = (uv.find_uv_bin(), "pip", "compile", "-", *options)
    lines = subprocess.run(command, input=f"attrs=={version}\n", check=True, capture_output=True, text=True)
    return lines.stdout


class Ours:
    name = "shipway"

    def __init__(self, directory: Path, cache: Path) -> None:
        self.directory, self.cache = directory, cache
        self.command = (SHIPWAY, "build", str(directory))
        os.environ["SHIPWAY_CACHE"] = str(cache)
        (directory / "empty").mkdir()
        (directory / "empty/agent.py").write_text("async def agent(messages):\n    return ''\n")
        (directory / "empty/agent.toml").write_text('name = "empty"\nentrypoint = "agent:agent"\n')
        seconds((SHIPWAY, "build", str(directory / "empty")))  # makes the base
        seconds(self.command)  # downloads the wheels

    def forget(self) -> None:
        """Everything but the base and what was downloaded."""
        keep = {"base", "debs", "resolved", "lists", "indexes", "selections", "apt", "debian"}
        base = max((self.cache / "blobs/sha256").iterdir(), key=lambda blob: blob.stat().st_size)
        for path in self.cache.iterdir():
            if path.name not in keep and path.name not in ("blobs", "layers"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for blob in (self.cache / "blobs/sha256").iterdir():
            if blob != base:
                blob.unlink()

    def build(self) -> float:
        return seconds(self.command)


class BuildKit:
    name = "BuildKit, multi-stage, uv"

    def __init__(self, directory: Path, cache: Path) -> None:
        self.program, self.directory = docker(), directory
        os.environ["DOCKER_BUILDKIT"] = "1"
        (base,) = (cache / "base").iterdir()
        archive = subprocess.Popen(("tar", "-C", base, "-c", "."), stdout=subprocess.PIPE)
        subprocess.run(
            (self.program, "import", "-", BASE), stdin=archive.stdout, check=True, capture_output=True
        )
        self.command = (self.program, "build", "--network", "host", "--secret", f"id=ca,src={CERTIFICATES}")
        self.command = (*self.command, "--tag", "shipway-bench", str(directory))
        self.fresh: tuple[str, ...] = ()
        seconds(self.command)

    def forget(self) -> None:
        self.fresh = ("--no-cache",)

    def build(self) -> float:
        fresh, self.fresh = self.fresh, ()
        return seconds((*self.command[:2], *fresh, *self.command[2:]))


def measure(builder: Ours | BuildKit, before: Callable[[Path], object]) -> float:
    def once() -> float:
        before(builder.directory)
        return builder.build()

    return median(once, 4)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        ours = Ours(project(root / "ours"), root / "cache")
        peer = BuildKit(project(root / "peer"), root / "cache")
        builders = (ours, peer)
        steps = {
            "first build": ("<= 0.7 x", [measure(b, lambda _, b=b: b.forget()) for b in builders]),
            "nothing changed": ("", [measure(b, lambda _: None) for b in builders]),
            "one-line edit, built": ("", [measure(b, edit) for b in builders]),
            "one dependency moves, built": ("", [measure(b, bump) for b in builders]),
        }
        rows = [Row(step, "s", *(a, target, b, peer.name)) for step, (target, (a, b)) in steps.items()]
        report("image", rows, "shipway", "uv", "zlib-ng")


main()
