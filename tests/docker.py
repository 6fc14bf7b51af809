"""Docker with BuildKit, as a test uses it: what it builds and starts is removed at the test's end."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
import uuid
from collections.abc import Sequence
from pathlib import Path

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
BUILDKIT = os.environ | {"DOCKER_BUILDKIT": "1"}
Tree = dict[str, tuple[str, ...]]


class Docker:
    """Images and containers of one test, removed at its end."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.containers: list[str] = []
        self.images: list[str] = []

    def __call__(self, *arguments: str) -> str:
        command = (self.program, *arguments)
        done = subprocess.run(command, capture_output=True, text=True, timeout=400, env=BUILDKIT)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout.strip()

    def build(
        self,
        context: Path,
        name: str = "Dockerfile",
        secrets: Sequence[str] = (),
        options: Sequence[str] = (),
    ) -> str:
        image = f"shipway-test-{uuid.uuid4().hex[:8]}:1"
        given = [w for s in (f"id=ca,src={CERTIFICATES}", *secrets) for w in ("--secret", s)]
        named = ("--file", str(context / name), "--tag", image)
        self("build", "--network", "host", *given, *options, *named, str(context))
        self.images.append(image)
        return image

    def container(self, verb: str, image: str, *options: str) -> str:
        name = f"shipway-test-{uuid.uuid4().hex[:8]}"
        self.containers.append(name)
        self(verb, "--name", name, *options, image)
        return name

    def tree(self, image: str) -> Tree:
        """Every path of the image: its type, mode, owner, and content or target."""
        name = self.container("create", image)
        with (
            subprocess.Popen((self.program, "export", name), stdout=subprocess.PIPE) as export,
            tarfile.open(fileobj=export.stdout, mode="r|") as archive,
        ):
            return {member.name: _described(archive, member) for member in archive}

    def remove(self) -> None:
        for name in self.containers:
            subprocess.run((self.program, "rm", "--force", "--volumes", name), capture_output=True)
        for image in self.images:
            subprocess.run((self.program, "rmi", "--force", image), capture_output=True)

    def address(self, name: str, port: str) -> str:
        return "http://" + self("port", name, port).splitlines()[0]


def _described(archive: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[str, ...]:
    file = archive.extractfile(member) if member.isreg() else None
    content = hashlib.sha256(file.read()).hexdigest() if file else member.linkname
    return (str(member.type), oct(member.mode), f"{member.uid}:{member.gid}", content)
