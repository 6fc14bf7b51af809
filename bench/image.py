"""Building an agent's image: shipway beside BuildKit, with the best Dockerfile and with the usual one.

One project, three roads (builders.py), taken in turns. "First" means: base there, wheels downloaded, no layer
made. "In a registry" is a real one on loopback; what was sent is what its storage has grown by. Docker with
BuildKit has to answer, and docker-registry to be installed.
"""

from __future__ import annotations

import json
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import uv
from builders import (
    CERTIFICATES,
    PIP_BASE,
    MultiStage,
    Shipway,
    SingleStage,
    docker,
    forget_images,
    import_bases,
)
from loopback import free_port, registry, wait, wheels
from table import Row, medians, report, seconds

from shipway.build.environments.runtime_wheel import runtime_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from builders import BuildKit
    from loopback import Registry

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples/02-support"
SPEC = 'name = "bench"\nentrypoint = "support.agent:agent"\nprompts = "prompts"\n'
MANIFEST = {"format": 1, "name": "bench", "entrypoint": "support.agent:agent"}
DEVELOPMENT = ("--env", "SHIPWAY_ENV=development", "--env", "SHIPWAY_HOST=127.0.0.1")
BUMPS = ("23.1.0", "23.2.0", "24.1.0", "24.2.0", "24.3.0", "25.1.0")
"""Versions of attrs, one for each time that a dependency moves."""
RUNS, SLOW_RUNS = 5, 3


def requirements() -> str:
    """The example's pins and what shipway-runtime needs beside them, each with its hashes."""
    options = ("--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--quiet")
    image = ("--python-version", "3.13", "--python-platform", "x86_64-manylinux_2_40")
    asked = (str(EXAMPLE / "requirements.txt"), str(ROOT / "runtime/pyproject.toml"))
    return _said(uv.find_uv_bin(), "pip", "compile", *asked, *options, *image, "--only-binary", ":all:")


def _said(*command: str, given: str = "") -> str:
    return subprocess.run(command, input=given, check=True, capture_output=True, text=True).stdout


def project(directory: Path, pins: str) -> Path:
    """A copy of 02-support without MCP servers, which the Dockerfiles do not install."""
    directory.mkdir()
    for name in ("src", "prompts"):
        shutil.copytree(EXAMPLE / name, directory / name)
    (directory / "requirements.txt").write_text(pins)
    (directory / "agent.toml").write_text(SPEC)
    (directory / "shipway.json").write_text(json.dumps(MANIFEST))
    return directory


def edit(directory: Path) -> None:
    """One line of the agent's code."""
    with (directory / "src/support/agent.py").open("a") as file:
        file.write("# an edit\n")


class Bumps:
    """One small dependency moves to a version that was not there before."""

    def __init__(self) -> None:
        options = ("--no-deps", "--generate-hashes", "--no-header", "--no-annotate", "--quiet")
        command = (uv.find_uv_bin(), "pip", "compile", "-", *options)
        self.pins = [_said(*command, given=f"attrs=={version}\n") for version in BUMPS]
        self.used: dict[Path, int] = {}

    def __call__(self, directory: Path) -> None:
        path = directory / "requirements.txt"
        number = self.used[directory] = self.used.get(directory, -1) + 1
        head, _, tail = re.split(r"(?ms)^(attrs==.*?)(?=^[a-z])", path.read_text(), maxsplit=1)
        path.write_text(head + self.pins[number] + tail)


class Race:
    """The three builders, and the registry that they push to."""

    def __init__(self, ours: Shipway, peers: Sequence[BuildKit], stored: Registry) -> None:
        self.ours, self.peers, self.registry = ours, peers, stored
        self.builders = (ours, *peers)
        self.bump = Bumps()
        self.rows: list[Row] = []

    def row(self, metric: str, unit: str, target: str, values: Sequence[float]) -> None:
        for number, (peer, value) in enumerate(zip(self.peers, values[1:], strict=True)):
            shown = "" if number else target  # it is one against the best Dockerfile
            self.rows.append(Row(metric, unit, values[0], shown, value, peer.name))

    def first(self) -> None:
        def once(builder: Shipway | BuildKit) -> float:
            builder.forget()
            return builder.build()

        values = medians([lambda b=b: once(b) for b in self.builders], SLOW_RUNS, warm=0)
        self.row("first build", "s", "<= 0.7 x", values)

    def nothing(self) -> None:
        self.row("nothing changed", "s", "", medians([b.build for b in self.builders], RUNS))

    def change(self, what: str, before: Callable[[Path], None], target: str, runs: int, warm: int) -> None:
        """Rows for built, in a registry, and the bytes sent for it."""
        rounds = [[self._once(b, before) for b in self.builders] for _ in range(warm + runs)][warm:]
        built, pushed, sent = (
            [statistics.median(turn[b][part] for turn in rounds) for b in range(len(self.builders))]
            for part in range(3)
        )
        self.row(f"{what}, built", "s", "", built)
        self.row(f"{what}, in a registry", "s", target, pushed)
        self.row(f"{what}, sent to it", "MB", "<= 3 MB", sent)

    def _once(
        self, builder: Shipway | BuildKit, before: Callable[[Path], None]
    ) -> tuple[float, float, float]:
        """Seconds until built, seconds until in the registry, and by how many MB that has grown."""
        before(builder.directory)
        there = self.registry.stored()
        built, pushed = builder.publish()
        sent = (self.registry.stored() - there) / 1e6
        if builder is self.ours:  # its --push builds and sends in one command: built is measured apart
            before(builder.directory)
            built = builder.build()
        return built, pushed, sent

    def sizes(self, program: str) -> None:
        def unpacked(image: str) -> float:
            return int(_said(program, "image", "inspect", "--format", "{{.Size}}", image)) / 1e6

        for builder in self.builders:
            builder.load()
        self.row("image, unpacked", "MB", "", [unpacked(b.image) for b in self.builders])
        compressed = [self.registry.compressed(b.image) / 1e6 for b in self.builders]
        self.row("image, compressed", "MB", "", compressed)

    def starts(self, program: str) -> None:
        values = medians([lambda b=b: started(program, b.image) for b in self.builders], RUNS)
        self.row("`docker run` to the first /healthz", "s", "", values)


def started(program: str, image: str) -> float:
    """From `docker run` to the first 200 on /healthz."""
    admin, api = free_port(), free_port()
    ports = ("--env", f"SHIPWAY_ADMIN_PORT={admin}", "--env", f"SHIPWAY_API_PORT={api}")
    before = time.perf_counter()
    container = _said(program, "run", "--detach", "--network", "host", *DEVELOPMENT, *ports, image).strip()
    try:
        wait(f"http://127.0.0.1:{admin}/healthz")
        return time.perf_counter() - before
    except SystemExit:
        raise SystemExit(f"{image}: no /healthz\n{_said(program, 'logs', container)}") from None
    finally:
        seconds((program, "rm", "--force", container))


def fetch_wheels(program: str, requirements: Path, directory: Path, runtime: Path) -> None:
    """What the single-stage Dockerfile installs, by the pip that will install it."""
    mounts = (f"{directory}:/wheels", f"{requirements.parent}:/in:ro", f"{CERTIFICATES}:/ca.crt:ro")
    options = [option for mount in mounts for option in ("--volume", mount)]
    for name, value in {"PIP_NO_INDEX": "0", "PIP_FIND_LINKS": "/wheels", "PIP_CERT": "/ca.crt"}.items():
        options += ["--env", f"{name}={value}"]
    run = (program, "run", "--rm", "--network", "host", *options, "--entrypoint", "/usr/bin/python3")
    shutil.copy(runtime, directory)
    pip = (
        *run,
        "--entrypoint",
        "/usr/bin/python3",
        PIP_BASE,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        "/wheels",
    )
    seconds((*pip, "-r", f"/in/{requirements.name}"))
    for version in BUMPS[:SLOW_RUNS]:
        seconds((*pip, f"attrs=={version}"))


def prepared(program: str, root: Path, stored: Registry, links: str) -> Race:
    """The three projects, and what they stand on: bases, wheels, a first image of ours."""
    pins = requirements()
    ours = Shipway(project(root / "ours", pins), stored.host, root / "cache")
    ours.build()  # makes the base
    (tree,) = (root / "cache/base").iterdir()
    import_bases(program, tree, root / "base", links)
    wheel = runtime_wheel(root / "cache")
    best = MultiStage(program, project(root / "multi", pins), stored.host, wheel)
    usual = SingleStage(program, project(root / "single", pins), stored.host, wheel)
    fetch_wheels(program, usual.directory / "requirements.txt", root / "wheels", wheel)
    return Race(ours, (best, usual), stored)


def main() -> None:
    program = docker()
    with (
        tempfile.TemporaryDirectory() as name,
        registry(Path(name) / "registry") as stored,
        wheels(Path(name) / "wheels") as links,
    ):
        race = prepared(program, Path(name), stored, links)
        try:
            race.first()
            for builder in race.builders:
                builder.publish()
            race.nothing()
            race.change("one-line edit", edit, "<= 1.5 x", RUNS, warm=1)
            race.change("one dependency moves", race.bump, "<= 0.125 x", SLOW_RUNS, warm=0)
            race.sizes(program)
            race.starts(program)
        finally:
            forget_images(program, [b.image for b in race.builders])
    version = _said(program, "version", "--format", "{{.Server.Version}}").strip()
    report("image", race.rows, "shipway", "uv", "pip", docker=version)


main()
